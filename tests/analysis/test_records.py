from __future__ import annotations

import json

import pytest

from medhash.analysis.numbers.summaries import summarise
from medhash.errors import MedhashError
from medhash.records.record import (
    Record,
    load_record,
    per_query,
)
from medhash.schema.cell import Cell
from medhash.schema.measures import MeasureAt

CELL = "ach/covid_ct/hashnet/ach/8/0"


def write(folder, values, name="record.json"):
    path = folder / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_reads_what_tables_need(tmp_path, record_values):
    values = record_values(CELL, [0.5, 0.75], rows=[7, 3], ties=(0.5, 0.8), stable=0.6)
    record = load_record(write(tmp_path, values))
    assert record.cell == Cell("ach", "covid_ct", "hashnet", "ach", 8, 0)
    assert record.per_query_ap == (0.5, 0.75)
    assert record.query_rows == (7, 3)
    assert record.metrics.precision_at == {1: 0.625, 10: 0.5625, 100: 0.3125}
    assert record.metrics.pr_curve.precision[0] is None
    assert record.metrics.tie_range == (0.5, 0.8)
    assert record.stable.map == 0.6


def change(values, key, value):
    *parents, last = key.split(".")
    for parent in parents:
        values = values[parent]
    if value is ...:
        del values[last]
    else:
        values[last] = value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("schema", 2, "schema"),
        ("schema", ..., "schema"),
        ("scale", ..., "scale"),
        ("cell.bits", "eight", "cell.bits"),
        ("cell", ..., "cell"),
        ("synthetic", "no", "synthetic"),
        ("metrics.map", 1.5, "metrics.map"),
        ("metrics.map", float("nan"), "metrics.map"),
        ("metrics.map", 0.5000001, "metrics.map is 0.5000001, but the mean of per_query_ap is 0.5"),
        ("metrics.protocol", "lucky", "metrics.protocol"),
        ("metrics.tie_range", [0.5], "metrics.tie_range"),
        ("metrics.pr_curve.recall", [0.1], "metrics.pr_curve: radius, precision and recall differ"),
        ("metrics.bits", 16, "metrics.bits is 16, but cell.bits is 8"),
        ("metrics.queries", 3, "metrics.queries is 3"),
        ("stable", ..., "stable"),
        ("per_query_ap", [0.5, 0.5, "x", 0.5], "per_query_ap.2"),
        ("query_rows", [0, 1, 2, 2], "query_rows names a query twice"),
        ("training.selection", "luckiest", "training.selection"),
    ],
)
def test_a_damaged_record_is_named_with_its_key(tmp_path, record_values, key, value, said):
    values = record_values(CELL, 0.5)
    change(values, key, value)
    path = write(tmp_path, values)
    with pytest.raises(MedhashError) as caught:
        load_record(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"map": 0.7}', '{"schema": 1, "sca', "<html>"])
def test_foreign_files_are_refused(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(MedhashError, match="not a whole record"):
        load_record(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(MedhashError, match=r"gone\.json: no such file"):
        load_record(tmp_path / "gone.json")


def test_an_origin_is_part_of_the_cell(record, tmp_path, record_values):
    cell = "ach/brain_tumor_mri@covid_ct/hashnet/ach/8/0"
    other = "ach/brain_tumor_mri@scratch/hashnet/ach/8/0"
    paths = [
        write(tmp_path, record_values(c, 0.5), f"{n}.json") for n, c in enumerate((cell, other))
    ]
    assert [str(load_record(path).cell) for path in paths] == [cell, other]
    places = summarise([record(cell, 0.5), record(other, 0.25), record(CELL, 1.0)])
    assert {place.origin: each.mean for place, each in places.items()} == {
        "covid_ct": 0.5,
        "scratch": 0.25,
        "": 1.0,
    }


def test_a_record_from_before_origins_has_none(record_values):
    values = record_values(CELL, 0.5)
    del values["cell"]["origin"]
    assert Record.model_validate_json(json.dumps(values)).cell.origin == ""


def test_further_metrics_are_of_as_many_queries(tmp_path, record_values):
    values = record_values(CELL, [0.5, 0.75])
    values["per_query"] = {"map_weighted": [1, 1], "ndcg_at": {"10": [0.1]}, "acg_at": {}}
    with pytest.raises(MedhashError, match=r"per_query\.ndcg_at\.10 has 1 values, but there are 2"):
        load_record(write(tmp_path, values))


def test_a_record_without_metrics_of_queries_says_what_to_set(record):
    with pytest.raises(
        MedhashError,
        match=r"cell p/a/x/none/8/0: has no NDCG@10 of each query, .*evaluation\.graded",
    ):
        per_query([record("p/a/x/none/8/0", [0.25, 0.5])], MeasureAt("ndcg_at", 10))


def test_a_query_is_averaged_over_the_seeds_that_have_it(record):
    values = per_query(
        [
            record("p/a/x/none/8/0", [0.25, 0.5], rows=[9, 4]),
            record("p/a/x/none/8/1", [1.0, 0.75], rows=[4, 6]),
        ]
    )
    assert values.to_dict() == {4: 0.75, 6: 0.75, 9: 0.25}
    assert list(values.index) == [4, 6, 9]
