"""Which steps a run makes, worked out without Snakemake; tests/workflow drives Snakemake itself."""

import os
import time
from pathlib import Path

import numpy as np
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
        made.of("record", CELL).receipt,
        made.of("record", TUNED).receipt,
        made.of("leakage", "ach", DATASET).receipt,
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
    return steps.of("record", cell).outputs["record"]


def test_what_fits_has_neither_jobs_nor_inputs(steps):
    plan = Plan(steps, Receipts(steps), [record_of(steps, TUNED)])
    assert plan.running == frozenset()
    assert plan.inputs(steps.of("train", TUNED)) == []
    assert not MARKERS.exists()


def test_a_missing_file_runs_its_step_only_if_somebody_asks_for_it(steps):
    checkpoint = steps.of("train", CELL).outputs["checkpoint"]
    checkpoint.unlink()
    assert running(steps, record_of(steps, CELL), record_of(steps, TUNED)) == set()
    assert running(steps, checkpoint) == {f"train {CELL}"}


def test_who_reads_times_runs_again_with_what_is_made_of_it(steps):
    checkpoint = steps.of("train", CELL).outputs["checkpoint"]
    checkpoint.unlink()
    wanted = [checkpoint, record_of(steps, CELL), record_of(steps, TUNED)]
    assert running(steps, *wanted) == {f"train {CELL}", f"record {CELL}"}


def test_a_step_that_runs_asks_for_what_it_reads_and_for_nothing_else(steps):
    steps.of("record", TUNED).receipt.unlink()
    steps.of("train", TUNED).outputs["codes"].unlink()
    steps.of("train", CELL).outputs["checkpoint"].unlink()
    steps.of("pretrain", "ach", DATASET, "classification").outputs["weights"].unlink()
    steps.of("pretrain", "ach", DATASET, "mae").outputs["weights"].unlink()
    # Fine-tuning needs the source's checkpoint, whose training needs the pretrained weights, ...
    assert running(steps, record_of(steps, TUNED)) == {
        f"record {TUNED}",
        f"train {TUNED}",
        f"train {CELL}",
        f"pretrain ach/{DATASET}/classification",
        f"pretrain ach/{DATASET}/mae",
    }


def test_forced_steps_take_what_is_made_of_them_along(steps):
    wanted = [record_of(steps, CELL), steps.of("leakage", "ach", DATASET).outputs["csv"]]
    forced = running(steps, *wanted, forced=lambda step: step.rule == "train")
    assert forced == {f"train {CELL}", f"record {CELL}"}


def test_a_step_with_a_receipt_gets_a_marker_that_is_newer(steps):
    leakage = steps.of("leakage", "ach", DATASET)
    leakage.outputs["csv"].write_text("other")
    ahead = time.time() + 1e6
    os.utime(leakage.receipt, (ahead, ahead))
    plan = Plan(steps, Receipts(steps), [leakage.outputs["csv"]])
    [marker] = plan.inputs(leakage)
    assert leakage.receipt.stat().st_mtime <= marker.stat().st_mtime <= time.time()
    [fit] = plan.refused()
    assert fit.reason.startswith(f"{leakage.outputs['csv']}: its SHA-256 is ")


def test_files_without_a_receipt_are_refused_and_need_no_marker(steps):
    leakage = steps.of("leakage", "ach", DATASET)
    leakage.receipt.unlink()
    plan = Plan(steps, Receipts(steps), [leakage.outputs["csv"]])
    assert plan.inputs(leakage) == []
    assert [fit.reason for fit in plan.refused()] == [
        f"{leakage.outputs['csv']}: has no receipt ({leakage.receipt})"
    ]


def test_a_step_without_files_needs_no_marker(steps):
    figure = steps.of("figure", "ach/fig7")
    plan = Plan(steps, Receipts(steps), [figure.outputs["pdf"]])
    before = plan.running.intersection(steps.makers(figure))
    assert set(plan.inputs(figure)) == {step.receipt for step in before}


@pytest.mark.parametrize("seed", range(8))
def test_what_runs_waits_for_all_that_it_reads_told_by_the_last_of_them(steps, seed):
    """Nothing begins before what it reads is made, whichever files of a finished tree are lost."""
    wanted = [record_of(steps, CELL), record_of(steps, TUNED)]
    needed = steps.needed_for(*wanted)
    files = sorted(path for step in needed for path in step.files)
    for path in np.random.default_rng(seed).choice(files, 6, replace=False):
        path.unlink()
    plan = Plan(steps, Receipts(steps), wanted)
    told = {
        step: {steps.making(path) for path in plan.inputs(step)} - {None} for step in plan.running
    }
    for step in plan.running:
        assert told[step] <= plan.running.intersection(steps.makers(step))
        before = set().union(*(all_before(told, maker) for maker in told[step]))
        assert told[step].isdisjoint(before)
        assert plan.running.intersection(steps.makers(step)) <= told[step] | before


def all_before(told, step):
    """All that a step waits for."""
    return told[step].union(*(all_before(told, maker) for maker in told[step]))


def test_what_gathers_asks_for_nothing_to_be_made(steps):
    """A page is made of what is there: in a fresh clone, too, nothing begins to train."""
    page = steps.of("report").outputs["page"]
    plan = Plan(steps, Receipts(steps), [page])
    assert set(map(str, plan.running)) == {"report all"}
    assert plan.inputs(steps.of("report")) == []


def test_what_gathers_waits_for_what_is_made_anyway(steps):
    leakage, report = steps.of("leakage", "ach", DATASET), steps.of("report")
    leakage.receipt.unlink()
    plan = Plan(steps, Receipts(steps), [report.outputs["page"], leakage.outputs["csv"]])
    assert set(map(str, plan.running)) == {"report all", str(leakage)}
    assert plan.inputs(report) == [leakage.receipt]


def test_what_gathers_follows_what_is_made_again(steps):
    """Nothing that it reads has changed yet when the run is planned."""
    report, leakage = steps.of("report"), steps.of("leakage", "ach", DATASET)
    with recorded(steps, report):
        report.outputs["page"].write_text("page")
    leakage.outputs["csv"].unlink()
    wanted = [leakage.outputs["csv"], report.outputs["page"]]
    assert running(steps, *wanted) == {str(leakage), "report all"}
    assert running(steps, report.outputs["page"]) == set()


def test_what_gathers_is_outdated_by_what_came_or_changed(steps):
    report, leakage = steps.of("report"), steps.of("leakage", "ach", DATASET)
    page = report.outputs["page"]
    with recorded(steps, report):
        page.write_text("page")
    assert running(steps, page) == set()
    text = leakage.outputs["md"].read_text()
    leakage.outputs["md"].write_text("other")
    assert running(steps, page) == {"report all"}
    leakage.outputs["md"].write_text(text)
    assert running(steps, page) == set()
    table = steps.of("table", "ach/table3").outputs["csv"]
    table.parent.mkdir(parents=True)
    table.write_text("new")
    assert running(steps, page) == {"report all"}
    table.unlink()
    # What is elsewhere, in a clone without pictures, is still what the page shows.
    leakage.outputs["md"].unlink()
    assert running(steps, page) == set()
