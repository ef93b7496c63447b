"""Records from codes and facts on disk, and every way in which these may not belong together."""

import json
from dataclasses import replace

import numpy as np
import pytest

from medhash.configuration import relevant_settings
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.records.record import load_record
from medhash.records.scoring import write_record
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from told import description, receipt

CELL = Cell("ach", "covid_ct", "csq", "dbw", 8, 0)
OUTPUTS = {
    "checkpoint": "checkpoint.safetensors",
    "codes": "codes.npz",
    "facts": "training.json",
}
STAGE = {"epochs": 1, "learning_rate": 0.001}
SETTINGS = Settings.model_validate({"mae": STAGE, "classification": STAGE, "hashing": STAGE})


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A trained cell: codes, checkpoint, facts and the split that it came from."""
    monkeypatch.chdir(tmp_path)
    layout = Layout(tmp_path / "results")
    write_codes(layout)
    (layout.cell(CELL) / "checkpoint.safetensors").write_bytes(b"weights")
    layout.split("ach", CELL.dataset, 0).parent.mkdir(parents=True)
    layout.split("ach", CELL.dataset, 0).write_text("row,image_id,role,train\n")
    facts = description(title="COVID-CT-Dataset")
    write_json(layout.data(CELL.dataset, 64) / "dataset.json", facts)
    write_facts(layout)
    return layout


def write_codes(layout, bits=8, seed=0, classes=2):
    """Random codes of 5 queries and 20 database items; of 4 classes they have 3 each."""
    draw = np.random.default_rng(seed)
    labels = np.eye(2, dtype=np.uint8) if classes == 2 else 1 - np.eye(4, dtype=np.uint8)
    codes = Codes(
        query_codes=np.packbits(draw.integers(0, 2, (5, bits), dtype=np.uint8), axis=1),
        database_codes=np.packbits(draw.integers(0, 2, (20, bits), dtype=np.uint8), axis=1),
        bits=bits,
        query_labels=labels[draw.integers(0, classes, 5)],
        database_labels=labels[draw.integers(0, classes, 20)],
        query_rows=np.arange(5),
        database_rows=np.arange(5, 25),
    )
    layout.cell(CELL).mkdir(parents=True, exist_ok=True)
    codes.save(layout.codes(CELL))


def write_facts(layout, **changes):
    """What the training leaves behind: its own account, and the receipt of the step."""
    write_json(layout.cell(CELL) / "training.json", {"selection": "last-epoch", "epochs": 1})
    files = {name: layout.cell(CELL) / file for name, file in OUTPUTS.items()}
    split = layout.split("ach", CELL.dataset, 0)
    facts = {
        "settings": relevant_settings.training(SETTINGS, CELL),
        "inputs": {"split": {"path": str(split), "sha256": sha256_of_file(split)}},
        "outputs": {
            name: {"path": str(path), "sha256": sha256_of_file(path)}
            for name, path in files.items()
        },
        "seconds": 3.5,
    }
    said = receipt("train", str(CELL), **facts) | changes
    write_json(layout.receipt("train", str(CELL)), said)


def write(layout, settings=SETTINGS):
    description = layout.data(CELL.dataset, 64) / "dataset.json"
    path, codes, facts = (
        layout.record(CELL),
        layout.codes(CELL),
        layout.cell(CELL) / "training.json",
    )
    files = {"codes": codes, "facts": facts, "description": description}
    account = layout.receipt("train", str(CELL))
    write_record(path, CELL, settings, files, account, scale="small", method_title="CSQ")
    return path


def with_settings(**changes):
    return Settings.model_validate(SETTINGS.model_dump() | changes)


def refused(layout, message, settings=SETTINGS):
    with pytest.raises(MedhashError, match=message):
        write(layout, settings)
    assert not layout.record(CELL).exists()


def test_the_record_holds_the_metrics_of_the_codes(layout):
    record = json.loads(write(layout).read_text())
    codes = Codes.load(layout.codes(CELL))
    tie_aware = evaluate(codes)
    assert record["metrics"] == tie_aware.metrics
    assert record["per_query_ap"] == tie_aware.per_query_ap.tolist()
    assert record["stable"] == {"map": evaluate(codes, "stable").metrics["map"]}
    assert record["query_rows"] == [0, 1, 2, 3, 4]
    assert record["training"] == {"selection": "last-epoch", "seconds": 3.5}
    assert record["chance"]["random"]["map"] < record["chance"]["random"]["recall_at"]["20"] == 1
    assert record["per_query"] is None


def test_where_images_share_several_labels_their_metrics_stand_beside_the_ap(layout):
    write_codes(layout, classes=4)
    write_facts(layout)
    record = load_record(write(layout))
    scores = evaluate(Codes.load(layout.codes(CELL))).scores
    assert record.per_query.map_weighted == tuple(scores.weighted_average_precision)
    assert record.per_query.ndcg_at[5] == tuple(scores.ndcg_at[5])
    assert record.per_query.acg_at[10] == tuple(scores.acg_at[10])
    assert record.metrics.acg_at[10] == pytest.approx(sum(record.per_query.acg_at[10]) / 5)


def test_metrics_of_queries_are_kept_where_a_setting_asks_for_them(layout):
    graded = SETTINGS.evaluation.model_copy(update={"graded": True})
    record = load_record(write(layout, SETTINGS.model_copy(update={"evaluation": graded})))
    scores = evaluate(Codes.load(layout.codes(CELL))).scores
    assert record.per_query.ndcg_at[5] == tuple(scores.ndcg_at[5])
    # At its default it is no part of what a record depends on.
    kept = relevant_settings.recording(SETTINGS.model_copy(update={"evaluation": graded}))
    assert kept == relevant_settings.recording(SETTINGS) | {"graded": True}
    assert "graded" not in relevant_settings.recording(SETTINGS)


def test_the_analysis_can_read_it(layout):
    record = load_record(write(layout))
    assert record.cell == CELL
    assert record.scale == "small"
    assert record.synthetic is False


def test_the_same_inputs_give_the_same_bytes(layout):
    first = write(layout).read_bytes()
    assert write(layout).read_bytes() == first


def test_scoring_settings_are_those_of_the_run(layout):
    settings = with_settings(evaluation={"protocol": "stable", "cutoffs": (2, 4)})
    metrics = json.loads(write(layout, settings).read_text())["metrics"]
    assert metrics["protocol"] == "stable"
    assert sorted(metrics["precision_at"]) == ["2", "4"]


@pytest.mark.parametrize("missing", ["codes.npz", "training.json"])
def test_missing_files_are_named(layout, missing):
    (layout.cell(CELL) / missing).unlink()
    refused(layout, missing.replace(".", r"\."))


def test_without_data_and_weights_the_codes_are_enough(layout):
    layout.split("ach", CELL.dataset, 0).unlink()
    (layout.cell(CELL) / "checkpoint.safetensors").unlink()
    assert write(layout).is_file()


@pytest.mark.parametrize(
    "other", [{"dataset": "brain_tumor_mri"}, {"method": "adsh"}, {"bits": 16}, {"seed": 1}]
)
def test_a_receipt_of_another_cell_is_refused(layout, other):
    write_facts(layout, key=str(replace(CELL, **other)))
    refused(layout, r"0\.json: describes the cell .*, not ach/covid_ct/csq/dbw/8/0")


def test_other_codes_are_refused(layout):
    write_codes(layout, seed=1)
    refused(layout, r"codes\.npz: is not the file that .*receipts/train/.* describes as 'codes'")


def test_codes_of_another_length_are_refused(layout):
    write_codes(layout, bits=16)
    write_facts(layout)
    refused(layout, r"codes\.npz: holds codes of length 16, not 8")


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "split"], ids=["an output", "an input"])
def test_another_file_is_refused(layout, name):
    path = layout.split("ach", CELL.dataset, 0) if name == "split" else layout.cell(CELL) / name
    path.write_bytes(path.read_bytes() + b" ")
    refused(layout, "is not the file that")


@pytest.mark.parametrize(
    "changes",
    [
        {"hashing": STAGE | {"epochs": 2}},
        {"dbw": {"population": "batch"}},
        {"methods": {"csq": {"quantisation": 1.0}}},
        {"threads": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_training_with_other_settings_is_refused(layout, changes):
    refused(layout, "trained with other settings", with_settings(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"lcr": {"key_points": 2}},  # the cell's variant has no LCR
        {"methods": {"adsh": {"quantisation": 1.0}}},  # nor is it ADSH
        {"mae": STAGE | {"epochs": 9}},  # the backbone is an input with a hash of its own
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_the_cell_does_not_depend_on_do_not_matter(layout, changes):
    assert write(layout, with_settings(**changes)).is_file()


def test_spoilt_facts_are_named(layout):
    (layout.cell(CELL) / "training.json").write_text("{")
    refused(layout, r"training\.json: not a whole account of a training")
