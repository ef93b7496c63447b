"""A project with one table and one figure of cells that are trained in a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from typer.testing import CliRunner

from remembered import bring_memories

PROJECT = Path(__file__).resolve().parents[2]
STAGE = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3}
SCALE = {
    "title": "cells in a second",
    "phantoms": {"images": 30},
    "grid": {
        "papers": ["ach"],
        "datasets": ["covid_ct"],
        "methods": ["csq", "hashnet"],
        "variants": ["none", "dbw"],
        "bits": [8],
    },
    "settings": {
        "network": {"image_size": 16, "patch_size": 4, "width": 16, "depth": 1, "heads": 2},
        "mae": STAGE | {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2},
        "classification": STAGE,
        "hashing": STAGE | {"epochs": 4},
        "lcr": {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [2, 2]]},
    },
}
DATASET = "phantom_covid_ct"
CELLS = [
    f"ach/{DATASET}/{method}/{variant}/8/0"
    for method, variant in (
        ("csq", "none"),
        ("csq", "dbw"),
        ("hashnet", "none"),
        ("hashnet", "dbw"),
    )
]


def make_project(root: Path, **settings: object) -> Path:
    """A folder with a scale ``tiny``; what Snakemake needs is in it, too."""
    shutil.copytree(PROJECT / "config", root / "config")
    for part in ("Snakefile", "workflow", "environment.yml", "default"):
        (root / part).symlink_to(PROJECT / part)
    paper = yaml.safe_load((root / "config/papers/ach.yaml").read_text())
    others = {*paper["tables"], *paper["figures"]} - {"table3", "fig7"}
    scale = SCALE | {
        "settings": SCALE["settings"] | settings,
        "artefacts": {f"ach/{name}": {"datasets": []} for name in sorted(others)},
    }
    (root / "config/scales/tiny.yaml").write_text(yaml.safe_dump(scale))
    bring_memories(root)
    return root


def environment(**variables: str) -> dict[str, str]:
    """For processes: this package, one thread."""
    return (
        os.environ
        | {
            "PYTHONPATH": str(PROJECT / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        | variables
    )


def start(*arguments: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """A ``medhash`` process."""
    return subprocess.Popen(
        [sys.executable, "-m", "medhash.commands.app", *arguments],
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something that comes about soon."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def medhash(*arguments: str):
    """A command in this process, which has torch already."""
    from medhash.commands import app as cli

    return CliRunner().invoke(cli.app, list(arguments))
