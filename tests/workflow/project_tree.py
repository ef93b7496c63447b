"""Copies of the project in which Snakemake itself is driven."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml
from forked_snakemake import dry_run

from remembered import bring_memories

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "environment.yml", "default", "demo", "small")

MAKE_BY_HAND = """
import sys
from pathlib import Path
from typer.main import get_command
from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.flow.steps import Steps

scale, *targets = sys.argv[1:]
steps, medhash = Steps(load(overrides={"scale": scale})), get_command(app)
for step in steps.needed_for(*map(Path, targets)) if targets else steps.all():
    if step.receipt.is_file() and all(path.is_file() for path in step.outputs.values()):
        continue
    medhash([*step.arguments.split(), "--scale", scale], standalone_mode=False)
"""


class Tree:
    """A copy of what a run needs: Snakefile, rules, profiles, configuration, package.

    Attributes:
        programs: folders whose programs are found before all others.
    """

    programs = ()

    def __init__(self, root):
        self.root = root
        for part in PARTS:
            source, target = PROJECT / part, root / part
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target, follow_symlinks=False)
        bring_memories(root)

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

    def thin(self, *datasets):
        """Leave one table and one figure of DSH and CSQ, one epoch and sixty images."""
        shutil.rmtree(self.path("config/papers/claims"), ignore_errors=True)
        paper = yaml.safe_load(self.path("config/papers/ach.yaml").read_text())
        paper["tables"] = {"table3": paper["tables"]["table3"] | {"variants": ["none"]}}
        paper["figures"] = {"fig7": paper["figures"]["fig7"] | {"variants": ["none"]}}
        self.path("config/papers/ach.yaml").write_text(yaml.safe_dump(paper))
        scale = yaml.safe_load(self.path("config/scales/demo.yaml").read_text())
        for stage in ("mae", "classification", "hashing"):
            scale["settings"][stage]["epochs"] = 1
        scale |= {"phantoms": {"images": 60}, "artefacts": {}}
        scale["grid"] = {
            "papers": ["ach"],
            "methods": ["dsh", "csq"],
            "bits": [8],
            "datasets": list(datasets),
        }
        self.path("config/scales/demo.yaml").write_text(yaml.safe_dump(scale))

    def snakemake(self, *arguments, timeout=300):
        """Run Snakemake with the copy's own package; both streams in ``stdout``."""
        if not {"-n", "--dry-run"}.isdisjoint(arguments):
            return dry_run(arguments, self.root, self.environment, timeout)
        return self._run([sys.executable, "-m", "snakemake", *arguments], timeout)

    def start(self, *arguments):
        """Start Snakemake in a group of processes of its own, and do not wait for it."""
        return subprocess.Popen(
            # Where tests run in the background, Ctrl-C would be ignored.
            ["env", "--default-signal=INT", sys.executable, "-m", "snakemake", *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def environment(self):
        """Variables with which commands run the copy's own package."""
        variables = {name: text for name, text in os.environ.items() if name != "MEDHASH_ARCHIVES"}
        folders = [*self.programs, Path(sys.executable).parent, variables["PATH"]]
        variables["PATH"] = os.pathsep.join(map(str, folders))
        variables["PYTHONPATH"] = str(self.root / "src")
        return variables

    def _run(self, command, timeout):
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def medhash(self, *arguments):
        """Run a command of the copy's own package."""
        return self.python("-m", "medhash.commands.app", *arguments)

    def make_by_hand(self, scale, *targets):
        """Run the missing steps behind some files, or all, as commands, one after the other.

        They share one process, because starting Python and torch for each takes longer than these
        small steps do.
        """
        result = self.python("-c", MAKE_BY_HAND, scale, *targets)
        assert result.returncode == 0, result.stdout

    def python(self, *arguments):
        """Run Python with the copy's own package."""
        return self._run([sys.executable, *arguments], 300)

    def planned(self, *arguments):
        """Rule -> number of jobs that a dry run would start."""
        result = self.snakemake("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout
        return self.counts(result.stdout)

    @staticmethod
    def counts(output):
        """Rule -> number of jobs, from what Snakemake printed."""
        return job_counts(output)


def merge(below, above):
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: merge(below.get(key), value) for key, value in above.items()}


def job_counts(output):
    """The table that Snakemake prints under ``Job stats:``; a file that was named is no job."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return Counter()
    table = output.split("Job stats:", 1)[1].split("\n\n", 1)[0]
    counts = Counter({name: int(n) for name, n in re.findall(r"^(\S+) +(\d+)$", table, re.M)})
    assert counts.pop("total") == counts.total()
    return Counter({name: n for name, n in counts.items() if "/" not in name})
