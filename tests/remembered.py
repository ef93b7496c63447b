"""For copies of the project: what it has found out about its own text.

A process in a folder that knows nothing imports torch and reads the syntax trees of all modules,
which takes longer than most of what tests ask of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
MEMORY = Path(".cache/medhash")
# They hang on texts and settings alone, which each memory has with it.
KINDS = ("code", "declarations", "settings")
FIND_OUT = """
import sys
from medhash.configuration.loading import load
from medhash.flow.checked_settings import check_new_method_settings
from medhash.flow.steps import Steps

configuration = load(overrides={"scale": sys.argv[1]})
check_new_method_settings(configuration)
Steps(configuration).all()
"""


def bring_memories(root: Path) -> None:
    """Let a copy of the project begin with what is known of the project."""
    for kind in KINDS:
        # Files with hidden names are being written by somebody else.
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(_known_of_project() / kind, root / MEMORY / kind, ignore=hidden)


def find_out(folder: Path, scale: str) -> None:
    """Let a folder remember what its processes would find out of a scale."""
    variables = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    subprocess.run([sys.executable, "-c", FIND_OUT, scale], cwd=folder, env=variables, check=True)


@cache
def _known_of_project() -> Path:
    find_out(PROJECT, "demo")
    return PROJECT / MEMORY
