"""A real one-node Slurm, and copies of the project whose cells are its jobs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors import safe_open

from medhash.configuration.paths import Layout
from remembered import bring_memories

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "workflow", "config", "src", "environment.yml", "default", "demo", "slurm")
NOT_COPIED = shutil.ignore_patterns("__pycache__")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
DATASET = "phantom_covid_ct"
METHODS = ("csq", "hashnet", "adsh", "dbdh")
TABLE = "results/demo/ach/tables/table3.md"
# An undisturbed cell trains for some seconds, so that there is time to disturb it.
EPOCHS = 24
# Nothing here takes so long (seconds) unless it is broken or the machine has much else to do.
PATIENCE = 600


def wait_for(what, found, seconds=PATIENCE):
    """Call ``found`` until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


def end(process):
    """End a Snakemake that still runs, and what it started on this machine."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def missing_programs():
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


class Cluster:
    """What ``tools/slurm_one_node.sh`` starts in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def tool(self, action):
        script = PROJECT / "tools" / "slurm_one_node.sh"
        return subprocess.run(
            ["bash", script, action, self.folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def command(self, *arguments):
        """Run one of Slurm's commands; its standard output."""
        result = subprocess.run(
            arguments,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert result.returncode == 0, f"{arguments}: {result.stderr}"
        return result.stdout

    def state(self, job):
        """``RUNNING``, ``TIMEOUT``, … of ``<job>`` or ``<array>_<task>``."""
        arguments = ("--noheader", "--states=all", f"--jobs={job}", "--format=%T")
        return self.command("squeue", *arguments).strip()

    def unfinished(self):
        """Names of the jobs that wait or run."""
        return self.command("squeue", "--noheader", "--format=%i").split()

    def facts(self, job=None):
        """One dictionary a job (an array's task): what ``scontrol show job`` says of it."""
        text = self.command("scontrol", "show", "job", "--oneliner", *([job] if job else []))
        lines = [line.split() for line in text.splitlines() if line.startswith("JobId=")]
        return [dict(word.split("=", 1) for word in line if "=" in word) for line in lines]


class Project:
    """A copy of what a run needs, set to few phantoms, one variant and short epochs."""

    def __init__(self, root, methods=METHODS, source=PROJECT):
        self.root = root
        for part in PARTS:
            if (source / part).is_dir() and not (source / part).is_symlink():
                shutil.copytree(source / part, root / part, ignore=NOT_COPIED)
            else:
                shutil.copy(source / part, root / part, follow_symlinks=False)
        bring_memories(root)
        paper = yaml.safe_load((root / "config/papers/ach.yaml").read_text())
        others = {*paper["tables"], *paper["figures"]} - {Path(TABLE).stem}
        self.edit_yaml(
            "config/scales/demo.yaml",
            {
                # Every process of a job reads all of what a run consists of.
                "artefacts": {f"ach/{name}": {"datasets": []} for name in sorted(others)},
                "grid": {
                    "papers": ["ach"],
                    "datasets": ["covid_ct"],
                    "methods": list(methods),
                    "variants": ["none"],
                    "bits": [8],
                },
                "seeds": [0],
                "settings": {
                    "threads": 1,
                    "hashing": {"epochs": EPOCHS},
                    "mae": {"epochs": 2},
                    "classification": {"epochs": 2},
                },
            },
        )
        self.edit_yaml("config/scales/demo.yaml", {"phantoms": {"images": 160}})
        self.edit_yaml("workflow/profiles/slurm/scale.yaml", {"scale": "demo"})

    def edit_yaml(self, name, changes):
        """Merge ``changes`` into a YAML file, mapping by mapping."""
        path = self.root / name
        merged = merge(yaml.safe_load(path.read_text()), changes)
        path.write_text(yaml.safe_dump(merged))

    def set_up_profile(self, changes=None):
        """Edit the profile as a user does, for a small cluster that is asked often."""
        own = {
            "slurm-status-command": "squeue",
            "slurm-init-seconds-before-status-checks": 2,
            "seconds-between-status-checks": 1,
            "latency-wait": 5,
        }
        self.edit_yaml("workflow/profiles/slurm/config.yaml", own | (changes or {}))

    def start(self, *arguments, environment=None, log="snakemake.log"):
        """Start Snakemake; its output goes to a file that :meth:`output` reads."""
        environment = dict(environment or os.environ)
        environment.pop("MEDHASH_ARCHIVES", None)
        bin_folder = Path(sys.executable).parent
        environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(self.root / "src")
        with (self.root / log).open("w") as stream:
            return subprocess.Popen(
                # Where tests run in the background, Ctrl-C would be ignored.
                ["env", "--default-signal=INT", sys.executable, "-m", "snakemake", *arguments],
                cwd=self.root,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments, environment=None, log="snakemake.log"):
        """Run Snakemake to its end; its exit status."""
        process = self.start(*arguments, environment=environment, log=log)
        try:
            return process.wait(timeout=PATIENCE)
        finally:
            end(process)

    def output(self, log="snakemake.log"):
        return (self.root / log).read_text()

    def cell(self, method):
        return Cell(self.root, f"ach/{DATASET}/{method}/none/8/0")

    def take_backbone_of(self, other):
        """Copy the results of another project up to the pretrained backbone."""
        for folder in ("data", "ach/splits", "ach/pretrain", "receipts"):
            part = f"results/demo/{folder}"
            shutil.copytree(other.root / part, self.root / part)
        for rule in ("train", "record", "table"):
            shutil.rmtree(self.root / "results/demo/receipts" / rule)


def merge(below, above):
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: merge(below.get(key), value) for key, value in above.items()}


@dataclass(frozen=True)
class Cell:
    """A cell that is trained in a project: its files, and its process if it runs."""

    root: Path
    name: str

    @property
    def folder(self):
        return Layout(self.root / "results" / "demo").cell(self.name)

    def codes(self):
        return (self.folder / "codes.npz").read_bytes()

    def receipt(self):
        folder = self.root / "results" / "demo" / "receipts" / "train"
        return json.loads((folder / f"{self.name}.json").read_text())

    def epochs(self):
        """How many epochs are saved."""
        try:
            with safe_open(self.folder / ".resume.safetensors", framework="numpy") as stream:
                return len(json.loads(stream.metadata()["medhash"])["history"])
        except FileNotFoundError:
            return 0

    def process(self):
        """The process that trains it, or None."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and self._is_trained_by(folder):
                return int(folder.name)
        return None

    def job(self):
        """Slurm's name of the job that trains it."""
        variables = Path(f"/proc/{self.process()}/environ").read_text().split("\0")
        slurm = dict(line.split("=", 1) for line in variables if line.startswith("SLURM"))
        if "SLURM_ARRAY_JOB_ID" in slurm:
            return f"{slurm['SLURM_ARRAY_JOB_ID']}_{slurm['SLURM_ARRAY_TASK_ID']}"
        return slurm["SLURM_JOB_ID"]

    def _is_trained_by(self, folder):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            return (
                Path(words[1]).name == "medhash"
                and words[2:4] == ["train", self.name]
                and (folder / "cwd").readlink() == self.root
            )
        except (OSError, IndexError):
            return False
