"""What is finished stays until what replaces it is there, and is not made again for nothing."""

import os
import signal
import subprocess
import time
import zipfile

import pytest

from medhash.configuration.loading import load
from medhash.flow.steps import Steps

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-content")]

CELL = "ach/phantom_covid_ct/csq/none/8/0"
IGNORED = "/.snakemake/\n/.cache/\n/logs/\n/results/*/running/\n__pycache__/\n"

# In place of the command medhash: says what git does not find as it was, fails in the first attempt
# of each job, is killed in the second, and does nothing in the third.
UNLUCKY = """#!/bin/sh
git --no-optional-locks status --porcelain >> "$TOLD/changed"
mine="$TOLD/$(echo "$*" | tr / _)"
echo attempt >> "$mine"
case $(wc -l < "$mine") in
1) exit 1 ;;
2) kill -9 $$ ;;
esac
"""
WAITING = """#!/bin/sh
touch "$TOLD/waiting"
exec sleep 100
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Where commands that stand in for medhash leave word."""
    folder = tmp_path / "told"
    folder.mkdir()
    monkeypatch.setenv("TOLD", str(folder))
    return folder


@pytest.fixture(scope="module")
def thin(copy_project):
    """One table and one figure of two cells; nothing is made."""
    tree = copy_project()
    tree.thin("covid_ct")
    return tree


@pytest.fixture(scope="module")
def committed(thin):
    """A tree with every file of a run, of whatever content, all committed; no test changes it."""
    return with_all_files(thin, "demo", *FURTHER)


FURTHER = [("explain", CELL), ("lesions", CELL), ("fps", CELL), ("gist", "phantom_covid_ct/32")]


def with_all_files(tree, scale, *further):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree.root)
        steps = Steps(load(overrides={"scale": scale}))
        targets = [step.receipt for step in steps.asked()]
        targets += [steps.of(*each).receipt for each in further]
        every = steps.needed_for(*targets)
    tree.targets = list(map(str, targets))
    for step in every:
        for path in step.files:
            tree.path(path).parent.mkdir(parents=True, exist_ok=True)
            tree.path(path).write_text(f"{step}\n")
    return commit(tree)


def commit(tree):
    tree.path(".gitignore").write_text(IGNORED)
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", *command], cwd=tree.root, check=True)
    return tree


def changed(tree):
    """What git does not find as it was."""
    command = ["git", "status", "--porcelain"]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=True)
    return result.stdout


def put_first(program, tree, folder, monkeypatch):
    """Let a script stand in for medhash."""
    path = folder / "bin/medhash"
    path.parent.mkdir()
    path.write_text(program)
    path.chmod(0o755)
    monkeypatch.setattr(tree, "programs", [path.parent])


def test_jobs_that_fail_or_are_killed_leave_what_was_there(committed, told, monkeypatch):
    put_first(UNLUCKY, committed, told.parent, monkeypatch)
    options = ["--profile", "demo", "--forceall", "--retries=2", "--"]
    result = committed.snakemake(*options, *committed.targets)
    assert result.returncode == 0, result.stdout
    counts = committed.counts(result.stdout)
    attempts = [p.read_text().splitlines() for p in told.iterdir() if p.name != "changed"]
    assert [len(each) for each in attempts] == [3] * sum(counts.values())
    assert len(counts) == 13
    assert (told / "changed").read_text() == changed(committed) == ""
    assert "Removing output" not in result.stdout
    assert "estore" not in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_what_was_there(committed, told, number, monkeypatch):
    put_first(WAITING, committed, told.parent, monkeypatch)
    process = committed.start("--profile", "demo", "--nolock", "--forceall", "--", "all")
    try:
        end = time.monotonic() + 300
        while not (told / "waiting").exists():
            assert process.poll() is None, "Snakemake has ended"
            assert time.monotonic() < end, "no job has begun"
            time.sleep(0.05)
        os.killpg(process.pid, number)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert changed(committed) == ""


def test_a_dataset_whose_archives_are_spoilt_stays_as_it_was(copy_project):
    tree = copy_project()
    folder = tree.path("results/small/data/covid_ct/64")
    files = [folder / name for name in ("images.npy", "labels.npy", "index.csv", "dataset.json")]
    files.append(tree.path("results/small/receipts/prepare/covid_ct/64.json"))
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    archives = tree.path("data/archives")
    archives.mkdir(parents=True)
    for name in ("CT_COVID", "CT_NonCOVID"):
        with zipfile.ZipFile(archives / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}/one.png", "no image")
    images = "results/small/data/covid_ct/64/images.npy"
    result = tree.snakemake("--profile", "small", "--config", "download=false", "--", images)
    assert result.returncode != 0
    assert "These jobs failed; what they stop has not run:\n  prepare covid_ct/64" in result.stdout
    assert [path.read_text() for path in files] == ["as it was"] * len(files)
