"""Reported values: facts about the real file, and files that are refused."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from medhash.configuration import dependencies
from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.papers.reported import (
    ReportedColumn,
    find_reported,
    load_reported,
    reported_text,
    reported_values,
)

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "config/papers/reported"

SMALL = """
paper: small
tables:
  I:
    title: two methods
    metric: mAP
    regenerated_by: table1
    columns: {A: [8, 16], B: [8]}
    rows:
      X:          70.00  71.50  100.00
      X+ACH(2/3): 70.25(↑0.25)  71.40(↓0.10)  100.00
"""


@pytest.fixture(scope="module")
def ach():
    return load_reported(FOLDER)["ach"]


@pytest.fixture
def folder(tmp_path):
    """Writes small.yaml with one text replaced, and returns its folder."""

    def write(old="", new=""):
        assert old in SMALL
        (tmp_path / "small.yaml").write_text(SMALL.replace(old, new) if old else SMALL)
        return tmp_path

    return write


def test_every_number_of_the_six_tables_is_there(ach):
    counts = Counter((each.table, each.metric) for each in reported_values(ach))
    assert counts == {
        ("III", "mAP"): 192,
        ("IV", "p-value"): 48,
        ("IV", "W/T/L"): 8,
        ("V", "mAP"): 48,
        ("VI", "mAP"): 72,
        ("VII", "mAP"): 96,
        ("VII", "W/T/L"): 4,
        ("VIII", "FPS"): 6,
    }
    rows = ach.tables["III"].by_method.values()
    assert sum(len(row.arrows) for row in rows) == 48
    assert [row.method for row in rows if not row.proportion] == [
        *("DSH", "HashNet", "ADSH", "CSQ", "DBDH", "TransHash")
    ]


@pytest.mark.parametrize(
    ("table", "dataset", "method", "bits", "value"),
    [
        ("III", "COVID-19 Radiograph", "DSH+ACH", 8, "75.08"),
        ("III", "COVID-CT-Dataset", "TransHash+ACH", 32, "82.19"),
        ("III", "COVID-CT-Dataset", "DSH", 32, "79.20"),
        ("IV", "COVID-19 Radiograph", "DBDH+ACH vs. DBDH", 8, "3.485e-248"),
        ("IV", "COVID-CT-Dataset", "DSH+ACH vs. DSH", 8, "1.633e-06"),
        ("IV", "COVID-19 Radiograph", "Summary(W/T/L)", 16, "5/0/1"),
        ("V", "Dataset of thermo-graphic IR images", "HashNet+ACH", 16, "100.00"),
        ("VI", "COVID-19 Radiograph → Brain Tumor", "CSQ+ACH w/ TL", 24, "58.51"),
        ("VI", "COVID-CT-Dataset → Brain Tumor", "DBDH w/o TL", 32, "34.27"),
        ("VII", "COVID-CT-Dataset", "HashNet+DBW+LFR", 32, "82.08"),
        ("VII", "COVID-CT-Dataset", "Summary(W/T/L)", 8, "(9/1/2)"),
        ("VIII", "Brain Tumor", "ACH", 32, "76.91"),
    ],
)
def test_values_keep_their_printed_digits(ach, table, dataset, method, bits, value):
    found = [
        each.value
        for each in reported_values(ach)
        if (each.table, each.dataset, each.method, each.at) == (table, dataset, method, str(bits))
    ]
    assert found == [value]


def test_percentages_and_p_values_are_in_range(ach):
    for each in reported_values(ach):
        if each.metric == "mAP":
            assert re.fullmatch(r"\d{2,3}\.\d{2}", each.value), each
            assert Decimal(30) < Decimal(each.value) <= 100, each
        if each.metric == "p-value":
            assert 0 < Decimal(each.value) < 1, each


def test_arrows_and_proportions_are_kept_apart_from_values(folder):
    row = load_reported(folder())["small"].tables["I"].by_method["X+ACH"]
    assert row.proportion == "2/3"
    assert row.values[ReportedColumn("A", "16")] == "71.40"
    assert row.arrows == {ReportedColumn("A", "8"): "↑0.25", ReportedColumn("A", "16"): "↓0.10"}


def test_regenerated_tables_find_their_reported_number_by_their_own_names(ach, monkeypatch):
    monkeypatch.chdir(PROJECT)
    configuration = load(overrides={"scale": "paper"})
    paper, spec = configuration.papers["ach"], configuration.tables["ach/table3"]
    for cell in spec.cells(seeds=(0,)):
        row = paper.method_title(cell.method, cell.variant)
        column = ReportedColumn(paper.dataset_title(cell.dataset), str(cell.bits))
        assert reported_text(ach, spec.name, row, column) is not None, cell
    column = ReportedColumn("COVID-CT-Dataset", "24")
    assert reported_text(ach, "table3", "HashNet+ACH", column) == "82.44"
    assert reported_text(ach, "table3", "HashNet+XYZ", column) is None
    other = ReportedColumn("COVID-CT-Dataset", "48")
    assert reported_text(ach, "table3", "HashNet", other) is None
    assert reported_text(ach, "table99", "HashNet", column) is None
    phantom = ReportedColumn(paper.dataset_title("phantom_covid_ct"), "24")
    assert reported_text(ach, "table3", "HashNet", phantom) is None


def test_a_table_depends_on_its_own_reported_numbers_only(ach, monkeypatch):
    monkeypatch.chdir(PROJECT)
    spec = load(overrides={"scale": "paper"}).tables["ach/table3"]

    def changed(number):
        table = ach.tables[number]
        rows = {**table.rows, "DSH": "1.00 " * len(table.column_list)}
        tables = {**ach.tables, number: table.model_copy(update={"rows": rows})}
        return dependencies.reported(spec, ach.model_copy(update={"tables": tables}))

    before = dependencies.reported(spec, ach)
    assert changed("III") != before
    assert changed("V") == before
    assert dependencies.reported(spec, None) == {}


def test_tables_that_regenerate_the_paper_exist_under_their_names(ach, monkeypatch):
    monkeypatch.chdir(PROJECT)
    names = {table.regenerated_by for table in ach.tables.values()}
    assert names == {"table3", "table4", "table5", "table6", "table7", "table8"}
    grid = load(overrides={"scale": "paper"}).papers["ach"]
    assert {name for name in grid.tables if name in names} >= {"table3", "table4"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("70.00  71.50  100.00", "70.00  71.50", "row 'X' has 2 cells, the table 3 columns"),
        ("71.50", "7l.50", "row 'X': '7l.50' is not a number as papers print them"),
        ("71.50", "71,50", "'71,50' is not a number"),
        ("↑0.25", "0.25", "'70.25(0.25)' is not a number"),
        ("X+ACH(2/3)", "X(2/3)", "two rows have the same method"),
        ("title:", "name: a\n    title:", "unknown key 'tables.I.name'"),
        ("paper: small", "paper: large", "'large' must be the file's name, 'small'"),
        ("tables:", "derived: [{rule: arows, place: p, says: s, table: I}]\ntables:", "arows"),
    ],
)
def test_a_wrong_file_is_one_message_that_names_it(folder, old, new, said):
    with pytest.raises(MedhashError) as error:
        load_reported(folder(old, new))
    assert said in str(error.value)
    assert str(error.value).startswith(str(folder() / "small.yaml"))
    assert len(str(error.value).splitlines()) == 1


def test_no_file_is_said_or_none(tmp_path):
    with pytest.raises(MedhashError, match="no reported values here"):
        load_reported(tmp_path)
    assert find_reported("ach", tmp_path) is None
    assert find_reported("ach", FOLDER).paper == "ach"
