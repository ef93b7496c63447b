"""What was made and is not here is not taken for what never ran; who did nothing says so."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from finished_tree import command, medhash

from medhash.commands.app import main
from medhash.configuration.loading import load
from medhash.errors import AbsentError
from medhash.files import sha256_of_file
from medhash.flow.kinds import kinds
from medhash.flow.steps import Steps

# The tree is built once in the worker that runs these tests.
pytestmark = pytest.mark.xdist_group("audit")

ABSENT = 3


def typed(*arguments, monkeypatch):
    """Exit status of a command, as a shell sees it."""
    monkeypatch.setattr(sys, "argv", ["medhash", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def files():
    return {p: sha256_of_file(p) for p in Path("results").rglob("*") if p.is_file()}


def first_step(rule):
    return next(step for step in Steps(load()).all() if step.rule == rule)


RULES = ("split", "leakage", "pretrain", "train", "record", "table", "figure", "claims")


@pytest.mark.parametrize("rule", RULES)
def test_a_step_whose_input_was_lost_is_refused_and_touches_nothing(
    tree, rule, monkeypatch, capsys
):
    step = first_step(rule)
    lost = next(path for path in step.inputs.values() if Steps(load()).making(path))
    maker = Steps(load()).making(lost)
    lost.unlink()
    was = files()
    assert typed(*command(step), monkeypatch=monkeypatch) == ABSENT
    error = capsys.readouterr().err
    assert f"{lost} was made and is not here" in error
    assert f"make it again: medhash {maker.arguments} --scale real" in error
    assert files() == was


def test_every_rule_of_the_run_is_tested_or_says_itself_what_is_not_here(tree):
    asked = {step.rule for step in Steps(load()).all()}
    partial = {kind.rule for kind in kinds() if kind.partial}
    assert partial == {"report"}
    assert asked == {*RULES, *partial, "prepare"}


def test_a_tracked_file_comes_with_the_command_that_brings_it_back(tree, monkeypatch, capsys):
    step = first_step("table")
    lost = next(iter(step.inputs.values()))
    lost.with_name(f"{lost.name}.dvc").write_text(f"outs:\n- path: {lost.name}\n  md5: abc\n")
    lost.unlink()
    assert typed(*command(step), monkeypatch=monkeypatch) == ABSENT
    assert f"get it back: dvc pull {lost}" in capsys.readouterr().err


@pytest.mark.parametrize("rule", ["table", "figure", "claims"])
def test_nothing_is_made_of_nothing(tree, rule, monkeypatch, capsys):
    shutil.rmtree("results/real")
    assert typed(*command(first_step(rule)), monkeypatch=monkeypatch) == ABSENT
    assert "was not made yet" in capsys.readouterr().err
    assert not files() or all("real" not in path.parts for path in files())


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "--scale", "real"),
        ("audit", "mini/table1", "--scale", "real"),
        ("claims", "--csv"),
        ("claims", "--json"),
        ("metrics",),
        ("compare", "real", "real"),
    ],
)
def test_a_command_that_did_nothing_has_an_exit_status_of_its_own(tree, words, monkeypatch):
    assert typed(*words, monkeypatch=monkeypatch) == 0
    shutil.rmtree("results/real")
    assert typed(*words, monkeypatch=monkeypatch) == ABSENT


def test_a_table_without_numbers_is_no_comparison(tree, monkeypatch, capsys):
    table = Path("results/real/mini/tables/table1.csv")
    head = table.read_text().splitlines()[0]
    table.write_text(head + "\n")
    words = ("compare", "real", "real", "--table", "mini/table1")
    assert typed(*words, monkeypatch=monkeypatch) == ABSENT
    assert "no place of a table has a value in both" in capsys.readouterr().err


def test_claims_of_no_paper_are_refused(tree):
    Path("config/papers/claims/mini.yaml").unlink()
    with pytest.raises(AbsentError, match="no paper of this run has a file of claims"):
        medhash("claims", "--csv")
