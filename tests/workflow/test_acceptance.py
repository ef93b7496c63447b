"""A change of code that changes no bytes is settled by running again; one that does is refused."""

import json

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-acceptance")]

RENAMED = ("src/medhash/training/hashing.py", "fixed", "constant")
REFACTORED = (
    "src/medhash/methods/csq.py",
    "draws = settings.draws\n",
    "draws, unused = settings.draws, 0\n        del unused\n",
)
CHANGED = ("src/medhash/methods/csq.py", "quantisation: Annotated[float, Field(ge=0)] = 1e-4", None)


@pytest.fixture(scope="module")
def made(copy_project):
    """A finished tree: a table and a figure of two small cells, two epochs each."""
    tree = copy_project()
    tree.thin("covid_ct")
    tree.edit_yaml(
        "config/scales/demo.yaml",
        {"settings": {stage: {"epochs": 2} for stage in ("classification", "hashing")}},
    )
    result = tree.snakemake("--profile", "demo", "--cores", "2", "all")
    assert result.returncode == 0, result.stdout
    return tree


def receipts(tree):
    files = sorted(tree.path("results/demo/receipts").rglob("*.json"))
    return {path.relative_to(tree.root).as_posix(): path.read_bytes() for path in files}


def receipt_of(tree, name):
    return json.loads(tree.path(f"results/demo/receipts/{name}.json").read_bytes())


CELL = "ach/phantom_covid_ct/csq/none/8/0"


def test_a_refactoring_is_settled_and_nothing_is_planned(tree):
    files = {path: path.read_bytes() for path in tree.path("results/demo/ach").rglob("*.*")}
    tree.edit(*REFACTORED)
    assert tree.planned("--profile", "demo", "all")["train"] == 1
    result = tree.medhash("accept", "--scale", "demo")
    assert result.returncode == 0, result.stdout
    assert f"train {CELL} (whole): the same bytes" in result.stdout
    assert not tree.planned("--profile", "demo", "all")
    assert {path: path.read_bytes() for path in files} == files
    (accepted,) = receipt_of(tree, f"train/{CELL}")["accepted"]
    assert accepted["proof"] == [{"step": f"train {CELL}", "extent": "whole"}]
    assert accepted["from"] != accepted["to"] == receipt_of(tree, f"train/{CELL}")["version"]
    audit = tree.medhash("audit", "--scale", "demo")
    assert audit.returncode == 0, audit.stdout


def test_the_audit_of_a_cell_says_that_a_version_was_accepted(tree):
    tree.edit(*REFACTORED)
    assert tree.medhash("accept", "--scale", "demo", "--epochs", "1").returncode == 0
    audit = tree.medhash("audit", CELL, "--scale", "demo")
    assert audit.returncode == 0, audit.stdout
    text = " ".join(audit.stdout.split())
    assert f"accepted: train {CELL} (first 1 of 2 epochs) gave the same bytes" in text


def test_first_epochs_are_compared_with_the_states_that_training_kept(tree):
    facts = tree.path(f"results/demo/ach/cells/{CELL.partition('/')[2]}/training.json")
    assert len(json.loads(facts.read_bytes())["states"]) == 2
    tree.edit(*REFACTORED)
    result = tree.medhash("accept", "--scale", "demo", "--epochs", "1")
    assert f"train {CELL} (first 1 of 2 epochs): the same bytes" in result.stdout
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("options", [(), ("--epochs", "1")])
def test_a_change_of_a_number_is_refused_by_name(tree, options):
    before = receipts(tree)
    path, old, _ = CHANGED
    tree.edit(path, old, old.replace("1e-4", "1e-1"))
    result = tree.medhash("accept", "--scale", "demo", *options)
    assert result.returncode == 1
    assert f"train {CELL}" in result.stdout
    assert ("losses of the first epochs" if options else "comes out as another file") in (
        result.stdout.replace("the state after epoch 1", "losses of the first epochs")
    )
    changed = {name for name, text in receipts(tree).items() if text != before[name]}
    assert not any("csq" in name for name in changed)
    assert tree.planned("--profile", "demo", "all")["train"] == 1


def test_a_dry_run_says_what_would_be_run_and_writes_nothing(tree):
    before = receipts(tree)
    tree.edit(*REFACTORED)
    result = tree.medhash("accept", "--scale", "demo", "--dry-run", "--epochs", "1")
    assert result.returncode == 0, result.stdout
    assert f"train {CELL} (first 1 of 2 epochs)" in result.stdout
    assert receipts(tree) == before


def test_a_file_that_is_elsewhere_is_made_for_the_trial_and_kept(tree):
    weights = tree.path("results/demo/ach/pretrain/phantom_covid_ct/classification.safetensors")
    content = weights.read_bytes()
    weights.unlink()
    tree.edit(*REFACTORED)
    result = tree.medhash("accept", "--scale", "demo")
    assert result.returncode == 0, result.stdout
    assert "pretrain ach/phantom_covid_ct/classification (whole): the same bytes" in result.stdout
    assert weights.read_bytes() == content


def test_a_file_that_was_changed_by_hand_is_not_accepted(tree):
    codes = tree.path(f"results/demo/ach/cells/{CELL.partition('/')[2]}/train.csv")
    codes.write_text(codes.read_text().replace("0", "1", 1))
    tree.edit(*REFACTORED)
    result = tree.medhash("accept", "--scale", "demo")
    assert result.returncode == 1
    assert "its SHA-256 is" in result.stdout
