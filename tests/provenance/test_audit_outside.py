"""Forgeries with all receipts fitted: git, DVC's lock, other cells and training again find them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from finished_tree import PROJECT, medhash
from forging import CSQ, HASHNET, broken, edit, forge, receipt_of, replace_text, reseal
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from medhash.audit.acceptance import propose
from medhash.audit.findings import State
from medhash.audit.run import audit
from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.files import sha256_of_file
from medhash.flow.receipts import Receipts, read
from medhash.flow.steps import Steps

# The tree is built once in the worker that runs these tests.
pytestmark = pytest.mark.xdist_group("audit")

CELL = "mini/covid_ct/csq/none/8/0"
TRAIN = f"train {CELL}"
RECEIPT = receipt_of("train", CELL)


def git(*arguments):
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    result = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True)
    return result.stdout.strip()


def findings(check, state, target=CELL):
    report = audit(load(), target)
    return [found for _, found in report.findings(state) if found.check == check]


@pytest.fixture
def committed(tree):
    """The run and the code that made it, as they lie in a commit."""
    shutil.copytree(PROJECT / "src", "src", ignore=shutil.ignore_patterns("__pycache__"))
    git("init", "--quiet")
    git("add", "results/real/receipts", "src")
    git("commit", "--quiet", "--message", "results")
    return tree


class TestGit:
    def test_receipts_of_the_commit_are_verified(self, committed):
        commit = git("rev-parse", "HEAD")[:12]
        texts = [found.text for found in findings("git", State.VERIFIED)]
        assert texts == [f"as in the commit {commit}"] * len(audit(load(), CELL).links)

    def test_a_forged_receipt_is_another_than_the_committed_one(self, committed):
        codes = Path(CSQ, "codes.npz")
        shutil.copy(Path(HASHNET, "codes.npz"), codes)
        forge("train", CELL)
        found = broken(CELL)["train mini/covid_ct/csq/none/8/0", "git"]
        assert "was changed since the commit" in found.text
        assert "in outputs, and not made again" in found.text
        assert f"git restore {RECEIPT}" in found.remedy

    def test_a_step_that_was_made_again_is_no_forgery_and_not_vouched_for(self, committed):
        reseal(RECEIPT, started="2999-01-01T00:00:00+00:00")
        assert (TRAIN, "git") not in broken(CELL)
        (found,) = findings("git", State.MISSING)
        assert "was made again since the commit" in found.text

    def test_a_receipt_from_before_the_committed_one_is_broken(self, committed):
        reseal(RECEIPT, started="2000-01-01T00:00:00+00:00")
        assert "in started" in broken(CELL)[TRAIN, "git"].text

    def test_what_accept_writes_is_no_forgery(self, committed):
        reseal(RECEIPT, accepted=[])
        assert (TRAIN, "git") not in broken(CELL)
        (found,) = findings("git", State.MISSING)
        assert "was accepted again since the commit" in found.text

    def test_the_commit_of_a_receipt_must_have_its_code(self, committed):
        commit = git("rev-parse", "HEAD")
        reseal(RECEIPT, git={"commit": commit, "dirty": False})
        names = f"the commit {commit[:12]} has the code that the receipt names"
        assert names in [found.text for found in findings("git", State.VERIFIED)]
        replace_text("src/medhash/training/loop.py", "0.5 * (1 +", "0.6 * (1 +")
        git("commit", "--all", "--quiet", "--message", "another schedule")
        reseal(RECEIPT, git={"commit": git("rev-parse", "HEAD"), "dirty": False})
        git("commit", "--all", "--quiet", "--message", "a receipt")
        found = broken(CELL)[TRAIN, "git"]
        assert "which has another medhash.training.loop" in found.text

    def test_without_git_nothing_is_said_of_it(self, tree):
        assert {f.check for f in audit(load(), CELL).links[0].findings}.isdisjoint({"git", "dvc"})


class TestDvc:
    def test_a_file_is_compared_with_the_lock(self, tree):
        import hashlib

        codes = Path(CSQ, "codes.npz")
        md5 = hashlib.md5(codes.read_bytes(), usedforsecurity=False).hexdigest()
        lock = {"stages": {"train": {"outs": [{"path": str(codes), "md5": md5}]}}}
        Path("dvc.lock").write_text(json.dumps(lock))
        assert findings("dvc", State.VERIFIED)[0].text == f"MD5 {md5}, as in DVC's lock"
        shutil.copy(Path(HASHNET, "codes.npz"), codes)
        forge("train", CELL)
        assert broken(CELL)[TRAIN, "dvc"].expected == f"MD5 {md5}"


class TestOtherCells:
    def noticed(self, target):
        return [text for text in audit(load(), target).noticed if "same codes" in text]

    def test_equal_codes_are_noticed_at_both_cells(self, tree):
        cell, other = "mini/covid_ct/hashnet/none/8/0", "mini/covid_ct/hashnet/none/8/1"
        assert not any(other in text for text in self.noticed(cell))
        shutil.copy(Path(HASHNET, "codes.npz"), Path(HASHNET).with_name("1") / "codes.npz")
        forge("train", other)
        for target in (cell, other, None):
            assert any(cell in text and other in text for text in self.noticed(target))


class TestRetraining:
    @pytest.mark.parametrize("options", [(), ("--epochs", "1")])
    def test_an_untouched_cell_trains_to_the_same_bytes(self, tree, options):
        before = {p: sha256_of_file(p) for p in Path("results").rglob("*") if p.is_file()}
        text = " ".join(medhash("audit", CELL, "--retrain", *options).split())
        extent = "first 1 of 2 epochs" if options else "whole"
        assert f"ok retraining {extent}, trained again: the same bytes" in text
        assert text.count("trained again: the same bytes") == 3
        assert before == {p: sha256_of_file(p) for p in Path("results").rglob("*") if p.is_file()}

    def test_weights_that_training_does_not_give_are_found(self, tree):
        path = Path(CSQ, "checkpoint.safetensors")
        tensors = load_file(path)
        name = min(name for name, tensor in tensors.items() if tensor.dtype == np.float32)
        tensors[name] = tensors[name] + np.float32(1e-3)
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as stream:
            facts = stream.metadata()
        save_file(tensors, path, facts)
        forge("train", CELL)
        assert (TRAIN, "weights") not in broken(CELL)
        result = CliRunner().invoke(app, ["audit", CELL, "--retrain"])
        assert result.exit_code == 1
        text = " ".join(result.stdout.split())
        assert f"whole, trained again on such a machine: {path} comes out as another file" in text

    def test_a_state_that_training_does_not_pass_is_found_in_its_first_epochs(self, tree):
        edit(Path(CSQ, "training.json"), lambda facts: facts["states"].reverse())
        forge("train", CELL)
        result = CliRunner().invoke(app, ["audit", CELL, "--retrain", "--epochs", "1"])
        assert result.exit_code == 1
        assert "the state after epoch 1 is another" in " ".join(result.stdout.split())

    def test_another_machine_does_not_decide(self, tree):
        edit(Path(CSQ, "training.json"), lambda facts: facts["states"].reverse())
        forge("train", CELL)
        reseal(RECEIPT, device={"type": "cpu", "name": "another", "threads": 1})
        result = CliRunner().invoke(app, ["audit", CELL, "--retrain", "--epochs", "1"])
        assert "not decided here" in " ".join(result.stdout.split())
        assert "BROKEN   retraining" not in result.stdout

    def test_data_that_are_not_here_are_named(self, tree):
        Path("results/real/data/covid_ct/16/images.npy").unlink()
        text = " ".join(medhash("audit", CELL, "--retrain").split())
        assert "missing retraining cannot be trained again: results/real/data" in text

    def test_epochs_belong_to_training_again(self, tree):
        result = CliRunner().invoke(app, ["audit", CELL, "--epochs", "1"])
        assert "--epochs belongs to --retrain" in str(result.exception)


def test_what_is_run_whole_for_another_is_not_run_in_part_as_well(tree):
    """The weights are not here, so that their training is run whole; it proves itself."""
    steps = Steps(load())
    pretraining = steps.find("pretrain", "mini/covid_ct/classification")
    cell = steps.find("train", CELL)
    for step in (pretraining, cell):
        receipt = read(step)
        reseal(step.receipt, version="another", code=receipt["code"] | {"fingerprint": "another"})
    pretraining.outputs["weights"].unlink()
    proposal = propose(steps, Receipts(steps), [pretraining, cell], 1, ())
    assert [str(trial) for trial in proposal.trials] == [
        "pretrain mini/covid_ct/classification (whole)",
        f"train {CELL} (first 1 of 2 epochs)",
    ]
