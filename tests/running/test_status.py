"""How far a run is: counted on trees of files that are made by hand."""

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tiny_project import CELLS, DATASET, environment, medhash

from medhash.configuration.loading import load
from medhash.flow.locks import held, lock_path
from medhash.flow.receipts import Receipts, recorded, seal_of
from medhash.flow.steps import Steps
from medhash.running.durations import duration_text
from medhash.running.failures import error_in
from medhash.running.slurm_jobs import SlurmJob, count_states, slurm_jobs
from medhash.running.status import CellCounts, read_status
from medhash.running.status_text import status_text
from medhash.schema.cell import Cell
from medhash.training.checkpoints import save_tensors

CSQ, CSQ_DBW, HASHNET, HASHNET_DBW = CELLS


class Tree:
    """Results of a run, made without running anything."""

    def __init__(self):
        self.configuration = load(overrides={"scale": "tiny"})
        self.layout = self.configuration.layout
        self.steps = Steps(self.configuration)

    def make(self, step):
        with recorded(self.steps, step):
            for name, path in step.outputs.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                facts = json.dumps({"device": {"name": "A"}})
                path.write_text(facts if path.suffix == ".json" else f"{step} {name}")

    def prepare(self):
        steps = self.steps
        for step in (steps.of("prepare", DATASET, 16), steps.of("split", "ach", DATASET)):
            self.make(step)
        for stage in ("mae", "classification"):
            self.make(steps.of("pretrain", "ach", DATASET, stage))

    def train(self, cell):
        return self.steps.of("train", Cell.parse(cell))

    def finish(self, cell):
        self.make(self.train(cell))
        self.make(self.steps.of("record", Cell.parse(cell)))

    def log(self, cell, text, rule="train"):
        log = Path("logs/tiny") / rule / f"{cell}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)

    def begin(self, cell, epochs):
        """Leave the state after some epochs."""
        history = [{"epoch": epoch + 1} for epoch in range(epochs)]
        facts = {"identity": "", "history": history}
        save_tensors(self.train(cell).state, {"a": torch.zeros(1)}, facts)

    def took(self, step, seconds):
        """Let a receipt say how long its step took."""
        told = json.loads(step.receipt.read_text()) | {"seconds": seconds}
        step.receipt.write_text(json.dumps(told | {"seal": seal_of(told)}))

    def status(self, jobs=None):
        fresh = load(overrides={"scale": "tiny"})
        return read_status(fresh, Steps(fresh), jobs)


@pytest.fixture
def tree(project):
    return Tree()


@pytest.fixture
def mixed(tree):
    """One cell of each state."""
    tree.prepare()
    tree.finish(CSQ)
    tree.log(CSQ, "train: 4 of 4 epochs\n")
    tree.begin(HASHNET, 2)
    tree.log(CSQ_DBW, "begun\nmedhash: the loss term 'csq' is nan in epoch 2\n")
    with held(tree.layout, tree.train(HASHNET)):
        yield tree


def test_an_empty_tree_is_outstanding(tree):
    status = tree.status()
    assert status.cells == CellCounts(outstanding=4)
    assert status.cells.total == 4
    assert {artefact.file for artefact in status.artefacts.values()} == {"not made"}
    assert status.seconds_used == 0
    assert status.left.seconds is None
    assert "time left: no finished cell to estimate from" in status_text(status)


def test_each_cell_is_counted_where_it_stands(mixed):
    status = mixed.status()
    assert status.cells == CellCounts(done=1, running=1, failed=1, outstanding=1)
    assert status.papers == {"ach": status.cells}
    assert status.artefacts["ach/table3"].cells == status.cells
    assert status.artefacts["ach/fig7"].cells == CellCounts(done=1, running=1)


def test_what_runs_is_named_with_its_epoch(mixed):
    (running,) = mixed.status().running
    assert asdict(running) == {
        "step": f"train {HASHNET}",
        "process": os.getpid(),
        "host": running.host,
        "epochs": 4,
        "done": 2,
    }
    text = status_text(mixed.status())
    assert f"train {HASHNET}  process {os.getpid()} on {running.host}, epoch 3 of 4" in text


def test_what_failed_is_named_with_its_log_and_error(mixed):
    (failed,) = mixed.status().failed
    assert failed.step == f"train {CSQ_DBW}"
    assert failed.log == f"logs/tiny/train/{CSQ_DBW}.log"
    assert failed.error == "the loss term 'csq' is nan in epoch 2"


def test_time_used_and_left(tree):
    tree.prepare()
    tree.finish(CSQ)
    tree.finish(CSQ_DBW)
    tree.begin(HASHNET, 3)
    for receipt in tree.layout.root.glob("receipts/**/*.json"):
        rule, key = receipt.parts[3], "/".join(receipt.parts[4:]).removesuffix(".json")
        tree.took(tree.steps.find(rule, key), 1.0)
    tree.took(tree.train(CSQ), 12.0)
    tree.took(tree.train(CSQ_DBW), 20.0)
    status = tree.status()
    # prepare, split, two stages, two records
    assert status.seconds_used == 12 + 20 + 6
    left = status.left
    # One epoch of four of a cell that takes as long as that of its variant, a whole one of the
    # other, two records; of tables and figures nothing is known.
    assert left.seconds == pytest.approx(12 / 4 + 20 + 2)
    assert (left.device, left.finished_cells) == ("A", 2)
    assert left.without == len(tree.configuration.artefacts)
    assert (
        f"about {duration_text(left.seconds)} on one A (trained cells to judge by: 2; "
        f"{left.without} steps of which nothing is known)"
    ) in status_text(status)


def test_a_state_that_cannot_be_read_counts_no_epochs(mixed):
    mixed.train(HASHNET).state.write_bytes(b"half")
    (running,) = mixed.status().running
    assert running.done == 0


def test_a_changed_setting_is_outstanding_again(mixed, project):
    scale = project / "config/scales/tiny.yaml"
    assert mixed.status().cells.done == 1
    text = scale.read_text()
    scale.write_text(text.replace("    epochs: 4", "    epochs: 5"))
    assert scale.read_text() != text
    assert mixed.status().cells.done == 0


def test_a_changed_file_is_not_done(mixed):
    codes = mixed.layout.codes(Cell.parse(CSQ))
    codes.write_text("other codes")
    assert mixed.status().cells.done == 0


def test_files_that_are_elsewhere_are_done(mixed):
    (mixed.layout.cell(CSQ) / "checkpoint.safetensors").unlink()
    (mixed.layout.data(DATASET, 16) / "images.npy").unlink()
    assert mixed.status().cells.done == 1


def test_large_files_are_only_compared_where_their_hash_is_remembered(tree, project):
    """A quick look reads no checkpoints; what decides reads them."""
    tree.prepare()
    tree.finish(CSQ)
    checkpoint = tree.layout.cell(CSQ) / "checkpoint.safetensors"
    with recorded(tree.steps, tree.train(CSQ)):
        checkpoint.write_bytes(b"a" * 1_100_000)
    tree.make(tree.steps.of("record", Cell.parse(CSQ)))
    checkpoint.write_bytes(b"b" * 1_100_000)
    assert tree.status().cells.done == 1
    assert not Receipts(tree.steps).fits(tree.train(CSQ)).ok
    # Now its hash is remembered.
    assert tree.status().cells.done == 0


def test_a_table_is_made_or_outdated(tree):
    tree.prepare()
    for cell in CELLS:
        tree.finish(cell)
    tree.make(tree.steps.of("table", "ach/table3"))
    assert tree.status().artefacts["ach/table3"].file == "made"
    tree.layout.record(CSQ).write_text('{"map": 1}')
    assert tree.status().artefacts["ach/table3"].file == "outdated"


def test_a_process_that_is_gone_does_not_run(tree):
    with held(tree.layout, tree.train(HASHNET)):
        assert tree.status().cells.running == 1
    assert lock_path(tree.layout, tree.train(HASHNET)).exists()
    assert tree.status().cells.running == 0


def test_a_failed_step_before_cells_is_named(tree):
    tree.log(
        f"ach/{DATASET}/mae",
        "Traceback (most recent call last):\n  …\nRuntimeError: no\n",
        "pretrain",
    )
    status = tree.status()
    assert [each.step for each in status.failed] == [f"pretrain ach/{DATASET}/mae"]
    assert status.cells == CellCounts(outstanding=4)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", None),
        ("train: 4 of 4 epochs\n", None),
        ("Error rates are printed below\ntrain: 2 of 4 epochs\n", None),
        ("medhash: one\nmedhash: two\n", "two"),
        ("medhash: a report\n  of several lines\n", "a report"),
        (
            "Traceback (most recent call last):\n  x\ntorch.OutOfMemoryError: CUDA out of memory\n",
            "torch.OutOfMemoryError: CUDA out of memory",
        ),
        ("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n", None),
        (
            "slurmstepd: error: Detected 1 oom_kill event\n",
            "slurmstepd: error: Detected 1 oom_kill event",
        ),
        ("bash: line 1: 77 Killed   medhash train\n", "bash: line 1: 77 Killed   medhash train"),
        ("x" * 50_000 + "\nmedhash: at the end\n", "at the end"),
    ],
)
def test_errors_are_found_in_logs(tmp_path, text, error):
    log = tmp_path / "a.log"
    log.write_text(text)
    assert error_in(log) == error


def test_a_missing_log_has_no_error(tmp_path):
    assert error_in(tmp_path / "none.log") is None


def test_json_is_the_same_twice_and_complete(mixed):
    first, second = (medhash("status", "--scale", "tiny", "--json").output for _ in range(2))
    assert first == second
    content = json.loads(first)
    assert content["schema"] == 1
    assert content["cells"] == {"done": 1, "running": 1, "failed": 1, "outstanding": 1}
    assert set(content) == {
        "schema",
        "scale",
        "cells",
        "papers",
        "artefacts",
        "running",
        "failed",
        "seconds_used",
        "left",
        "lost",
        "bring_back",
        "slurm",
    }


def test_text_in_a_pipe_is_plain(mixed):
    output = medhash("status", "--scale", "tiny").output
    assert output.startswith("Scale tiny: 1 of 4 cells done\n")
    assert "\x1b" not in output
    row = next(line for line in output.splitlines() if line.startswith("ach/table3"))
    assert re.split(r"  +", row)[1:6] == ["1", "1", "1", "1", "not made"]


def test_looking_needs_no_torch():
    program = "import sys, medhash.running.status_text; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert "torch" not in result.stdout.split()


def test_watching_looks_again(mixed, monkeypatch):
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("medhash.commands.status.sleep", nap)
    result = medhash("status", "--scale", "tiny", "--watch", "--every", "2s")
    assert result.exit_code == 0
    assert naps == [2.0] * 3
    assert result.output.count("Scale tiny: 1 of 4 cells done") == 3


def test_lost_files_are_brought_back_by_the_command_that_is_named(mixed, project):
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-q"], ["add", "results"], [*author, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    assert mixed.status().lost == 0
    assert "lost" not in status_text(mixed.status())
    files = sorted(path for path in mixed.layout.root.rglob("*.json"))
    changed = files.pop()
    changed.write_text("changed")
    for path in files:
        path.unlink()
    status = mixed.status()
    assert f"  {len(files)} files that git has are not here; to get" in status_text(status)
    subprocess.run(["sh", "-c", status.bring_back], cwd=project, check=True)
    assert mixed.status().lost == 0
    assert changed.read_text() == "changed"


def test_watching_json_is_refused(tree):
    result = medhash("status", "--scale", "tiny", "--watch", "--json")
    assert "exclude each other" in str(result.exception)
    result = medhash("status", "--scale", "tiny", "--watch", "--every", "5")
    assert "--every '5': expected a time with its unit" in str(result.exception)


def test_the_jobs_of_slurm_are_counted(mixed):
    jobs = [
        SlurmJob("7_1", "RUNNING", "1:00", "node1", "train"),
        SlurmJob("7_2", "PENDING", "0:00", "(Resources)", "train"),
        SlurmJob("7_3", "PENDING", "0:00", "(Resources)", "train"),
    ]
    status = mixed.status(jobs=jobs)
    assert status.slurm == {"train": {"PENDING": 2, "RUNNING": 1}}
    assert "Slurm:\n  train: 2 pending, 1 running\n" in status_text(status)
    assert "no jobs of this folder" in status_text(mixed.status(jobs=[]))
    assert count_states([]) == {}


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A squeue that prints prepared lines in the format that it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(*rows, status=0):
        lines = "\\n".join("\x1f".join(row) for row in rows)
        program = folder / "squeue"
        program.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\nexit {status}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)

    return write


def test_jobs_of_this_folder_are_read(tmp_path, squeue):
    comment = "rule_train_wildcards_phantom_covid_ct_csq_none_8_0"
    here = str(tmp_path)
    squeue(
        ("12_3", "RUNNING", "5:04", "node1", "medhash_abc", comment, here),
        ("13", "PENDING", "0:00", "(Priority)", "mine", "(null)", here),
        ("14", "RUNNING", "1:00", "node2", "other", comment, "/somewhere/else"),
    )
    assert slurm_jobs(tmp_path) == [
        SlurmJob("12_3", "RUNNING", "5:04", "node1", "train"),
        SlurmJob("13", "PENDING", "0:00", "(Priority)", "mine"),
    ]


def test_a_slurm_that_does_not_answer_is_none(tmp_path, squeue, monkeypatch):
    squeue(status=1)
    assert slurm_jobs(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_jobs(tmp_path) is None
