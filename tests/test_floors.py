"""The floors of the house: lint holds them, no folder is too large, one noun is one class."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src/medhash"
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]

BROKEN = {
    "Floors": ("data/cards.py", "from medhash.configuration import loading"),
    "No circles": ("schema/base.py", "from medhash.schema import settings"),
    "needs no torch": ("analysis/tables/rendering.py", "import torch"),
    "Methods know nothing": ("methods/csq.py", "from medhash import files"),
    "know no method": ("causal/dbw.py", "from medhash.methods import csq"),
    "network": ("training/loop.py", "import requests"),
}
"""Words of a contract's name -> a file, and an import that the contract forbids there."""


def lint(folder):
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("contract", BROKEN)
def test_a_contract_that_is_broken_fails(contract, copied, monkeypatch):
    name, line = BROKEN[contract]
    path = copied / "src/medhash" / name
    future = "from __future__ import annotations\n"
    path.write_text(path.read_text().replace(future, f"{future}\n{line}\n", 1))
    monkeypatch.setenv("PYTHONPATH", str(copied / "src"))
    result = lint(copied)
    assert result.returncode == 1
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(contract in row for row in broken), result.stdout


def test_no_folder_has_more_than_about_a_fifth_of_the_code():
    lines = Counter()
    for path in PACKAGE.rglob("*.py"):
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text().splitlines())
    folder, most = lines.most_common(1)[0]
    assert most <= 0.22 * lines.total(), f"{folder} has {most} of {lines.total()} lines"


def test_a_public_class_name_stands_for_one_thing():
    """What a file that is found by its name has to have is called alike in each: ``Method``."""
    shared = {"Method", "Kind", "Backbone", "Reader", "Spec"}
    places = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not {name: twice[name] for name in twice if name not in shared}
