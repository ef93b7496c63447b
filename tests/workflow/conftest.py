"""Copies of the project in which Snakemake itself is driven."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "environment.yml", "default", "demo", "small")


class Tree:
    """A copy of what a run needs: Snakefile, rules, profiles, configuration, package."""

    def __init__(self, root):
        self.root = root
        for part in PARTS:
            source, target = PROJECT / part, root / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target, follow_symlinks=False)

    def path(self, name):
        return self.root / name

    def edit(self, name, old, new):
        """Replace a text that must be there."""
        path = self.path(name)
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new))

    def edit_yaml(self, name, changes):
        """Merge ``changes`` into a YAML file, mapping by mapping."""
        path = self.path(name)
        path.write_text(yaml.safe_dump(merge(yaml.safe_load(path.read_text()), changes)))

    def snakemake(self, *arguments, timeout=300):
        """Run Snakemake with the copy's own package; both streams in ``stdout``."""
        environment = {
            name: text for name, text in os.environ.items() if name != "MEDHASH_ARCHIVES"
        }
        bin_folder = Path(sys.executable).parent
        environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(self.root / "src")
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def planned(self, *arguments):
        """Rule -> number of jobs that a dry run would start."""
        result = self.snakemake("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout
        return job_counts(result.stdout)


def merge(below, above):
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: merge(below.get(key), value) for key, value in above.items()}


def job_counts(output):
    """The table that Snakemake prints under ``Job stats:``."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return Counter()
    table = output.split("Job stats:", 1)[1].split("\n\n", 1)[0]
    counts = Counter({name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, re.M)})
    assert counts.pop("total") == counts.total()
    return counts


@pytest.fixture(scope="session")
def copy_project(tmp_path_factory):
    """Makes a fresh copy at every call."""
    return lambda: Tree(tmp_path_factory.mktemp("project"))
