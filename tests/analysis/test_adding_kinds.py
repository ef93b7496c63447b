"""What a kind of table and a measure cost: one file, one entry, and no other edit."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from medhash.analysis import tables
from medhash.analysis.numbers.context import Context
from medhash.papers.kinds import TABLES
from medhash.papers.paper import Paper
from medhash.schema import measures
from medhash.schema.measures import MEASURES, Measure

PROJECT = Path(__file__).resolve().parents[2]
PAPER = """
paper: ach
title: A paper
datasets: {covid_ct: COVID-CT-Dataset}
methods: {csq: {title: CSQ}}
variants: {none: ""}
tables:
  own:
    kind: toy
    title: Found queries
    datasets: [covid_ct]
    methods: [csq]
    variants: [none]
    bits: [8]
    at_least: 0.4
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The example's file among the kinds of tables."""
    shutil.copy(PROJECT / "examples/toy_table.py", tmp_path / "toy.py")
    monkeypatch.setattr(tables, "__path__", [*tables.__path__, str(tmp_path)])
    yield
    sys.modules.pop("medhash.analysis.tables.toy", None)


def test_a_kind_of_table_is_one_file(toy, record, make):
    assert "toy" in TABLES.names
    paper = Paper.model_validate(yaml.safe_load(PAPER))
    spec = paper.tables["own"]
    made = make(
        spec,
        [record("ach/covid_ct/csq/none/8/0", [0.25, 0.5, 0.75, 0.3])],
        Context(paper, "small", "tie-aware"),
    )
    assert made.printed() == {"CSQ": ["0.50"]}
    assert made.cell("CSQ", "COVID-CT-Dataset/8 bits")["printed"] == "0.50"
    assert made.notes == ["Found: an average precision of at least 0.4."]
    assert spec.module == "medhash.analysis.tables.toy"
    assert paper.model_dump(mode="json")["tables"]["own"]["at_least"] == 0.4


def test_an_unknown_kind_names_those_that_are_there():
    with pytest.raises(ValueError, match=r"unknown kind 'toy'.*known: .*map.*wilcoxon"):
        TABLES.read({"kind": "toy"})


def test_a_measure_is_one_entry(monkeypatch, record, make, paper):
    entry = Measure("stable mAP", "stable.map", decimals=1)
    monkeypatch.setitem(measures.MEASURES, "stable_map", entry)
    tree = {"kind": "scores", "title": "T", "datasets": ["covid_ct"], "methods": ["csq"]}
    spec = TABLES.read(tree | {"variants": ["none"], "bits": [8], "measures": ["stable_map"]})
    spec = spec.model_copy(update={"paper": "ach", "name": "own"})
    records = [record("ach/covid_ct/csq/none/8/0", 0.5, stable=0.625)]
    made = make(spec, records, Context(paper, "small", "tie-aware"))
    assert made.printed() == {"CSQ": ["62.5"]}
    assert "stable_map" in spec.measured


def test_every_measure_is_read_from_a_record_that_has_it(record):
    full = record("ach/covid_ct/csq/none/8/0", 0.5)
    found = {
        name: measure.of(full, 1 if measure.at_cutoff else None)
        for name, measure in MEASURES.items()
        if measure.source == "record"
    }
    assert found["map"] == found["map_at"] == found["precision_at"] == 0.5
    assert (found["queries"], found["database"]) == (4, 20)
    assert found["precision_recall_area"] == pytest.approx(full.metrics.pr_curve.area)
    assert found["acg_at"] is None
