import subprocess
import sys

import numpy as np

from medhash.flow import environment


def test_it_names_what_decides_results():
    facts = environment.describe()
    assert set(facts) == {"python", "torch", "timm", "numpy", "platform", "lock_sha256"}
    assert facts["numpy"] == np.__version__
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(facts["lock_sha256"]) == 64


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def state(folder, monkeypatch):
    monkeypatch.setattr(environment, "_PROJECT", folder)
    environment.git_state.cache_clear()
    try:
        return environment.git_state()
    finally:
        environment.git_state.cache_clear()


def test_outside_of_git_nothing_is_claimed(tmp_path, monkeypatch):
    assert state(tmp_path, monkeypatch) == {"commit": None, "dirty": None}


def test_changed_code_is_dirty_and_changed_results_are_not(tmp_path, monkeypatch):
    for name in ("src/a.py", "results/table.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "All")
    clean = state(tmp_path, monkeypatch)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "results/table.csv").write_text("2\n")
    assert state(tmp_path, monkeypatch) == clean
    (tmp_path / "src/b.py").write_text("1\n")
    assert state(tmp_path, monkeypatch) == clean | {"dirty": True}
