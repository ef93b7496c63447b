"""Which steps a run makes, worked out without Snakemake; tests/workflow drives Snakemake itself."""

import os
import time
from pathlib import Path

import pytest

from medhash.configuration.loading import load
from medhash.flow.plan import MARKERS, Plan
from medhash.flow.receipts import Receipts, recorded
from medhash.flow.steps import Steps
from medhash.schema.cell import Cell

PROJECT = Path(__file__).resolve().parents[2]
DATASET = "phantom_covid_ct"
CELL = Cell("ach", DATASET, "csq", "none", 8, 0)
TUNED = Cell("ach", "phantom_brain_tumor_mri", "csq", "none", 8, 0, origin=DATASET)


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The demo's steps; those behind the record of a fine-tuned cell are made."""
    (tmp_path / "config").symlink_to(PROJECT / "config")
    monkeypatch.chdir(tmp_path)
    made = Steps(load(overrides={"scale": "demo"}))
    last = [
        made.record(CELL).receipt,
        made.record(TUNED).receipt,
        made.leakage("ach", DATASET).receipt,
    ]
    for step in made.needed_for(*last):
        with recorded(made, step):
            for name, path in step.outputs.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"{}" if path.suffix == ".json" else name.encode())
    return made


def running(steps, *wanted, forced=lambda step: False):
    plan = Plan(steps, Receipts(steps), wanted, forced)
    return {str(step) for step in plan.running}


def record_of(steps, cell):
    return steps.record(cell).outputs["record"]


def test_what_fits_has_neither_jobs_nor_inputs(steps):
    plan = Plan(steps, Receipts(steps), [record_of(steps, TUNED)])
    assert plan.running == frozenset()
    assert plan.inputs(steps.train(TUNED)) == []
    assert not MARKERS.exists()


def test_a_missing_file_runs_its_step_only_if_somebody_asks_for_it(steps):
    checkpoint = steps.train(CELL).outputs["checkpoint"]
    checkpoint.unlink()
    assert running(steps, record_of(steps, CELL), record_of(steps, TUNED)) == set()
    assert running(steps, checkpoint) == {f"train {CELL}"}


def test_who_reads_times_runs_again_with_what_is_made_of_it(steps):
    checkpoint = steps.train(CELL).outputs["checkpoint"]
    checkpoint.unlink()
    wanted = [checkpoint, record_of(steps, CELL), record_of(steps, TUNED)]
    assert running(steps, *wanted) == {f"train {CELL}", f"record {CELL}"}


def test_a_step_that_runs_asks_for_what_it_reads_and_for_nothing_else(steps):
    steps.record(TUNED).receipt.unlink()
    steps.train(TUNED).outputs["codes"].unlink()
    steps.train(CELL).outputs["checkpoint"].unlink()
    steps.pretrain("ach", DATASET, "classification").outputs["weights"].unlink()
    steps.pretrain("ach", DATASET, "mae").outputs["weights"].unlink()
    # Fine-tuning needs the source's checkpoint, whose training needs the pretrained weights, ...
    assert running(steps, record_of(steps, TUNED)) == {
        f"record {TUNED}",
        f"train {TUNED}",
        f"train {CELL}",
        f"pretrain ach/{DATASET}/classification",
        f"pretrain ach/{DATASET}/mae",
    }


def test_forced_steps_take_what_is_made_of_them_along(steps):
    wanted = [record_of(steps, CELL), steps.leakage("ach", DATASET).outputs["csv"]]
    forced = running(steps, *wanted, forced=lambda step: step.rule == "train")
    assert forced == {f"train {CELL}", f"record {CELL}"}


def test_a_step_with_files_gets_a_marker_that_is_newer(steps):
    leakage = steps.leakage("ach", DATASET)
    leakage.receipt.unlink()
    ahead = time.time() + 1e6
    for path in leakage.outputs.values():
        os.utime(path, (ahead, ahead))
    plan = Plan(steps, Receipts(steps), [leakage.outputs["csv"]])
    *inputs, marker = plan.inputs(leakage)
    assert inputs == list(leakage.inputs.values())
    times = [path.stat().st_mtime for path in (*leakage.outputs.values(), *inputs)]
    assert max(times) <= marker.stat().st_mtime <= time.time()
    assert [fit.reason for fit in plan.refused()] == [
        f"{leakage.outputs['csv']}: has no receipt ({leakage.receipt})"
    ]


def test_a_step_without_files_needs_no_marker(steps):
    figure = steps.figure("ach/fig7")
    plan = Plan(steps, Receipts(steps), [figure.outputs["pdf"]])
    assert plan.inputs(figure) == list(figure.inputs.values())


def test_a_step_that_no_wanted_file_needs_keeps_its_inputs(steps):
    plan = Plan(steps, Receipts(steps), [steps.leakage("ach", DATASET).outputs["csv"]])
    record = steps.record(CELL)
    assert plan.inputs(record) == list(record.inputs.values())
