"""What Y-Net prints and derives from it."""

from pathlib import Path

import pytest

from medhash.configuration.loading import load
from medhash.papers.reported import ReportedColumn, load_reported, reported_text, reported_values
from medhash.verdicts.reported_check import check_reported

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ynet():
    return load_reported(PROJECT / "config/papers/reported")["ynet"]


def test_every_number_of_the_three_tables_is_there(ynet):
    values = reported_values(ynet)
    assert len(values) == 8 + 104 + 40 == 152
    assert {len(value.value) for value in values} == {len("0.1234")}
    assert all(0.36 < float(value.value) < 0.64 for value in values)


def test_a_length_of_table_one_stands_in_table_two(ynet):
    for dataset in ("Fundus", "JSRT"):
        at_64 = ynet.row("I", dataset).values[ReportedColumn("Y-Net", "64")]
        assert ynet.row("II", "Y-Net").values[ReportedColumn(dataset, "10", "cutoff")] == at_64


def test_what_does_not_follow(ynet):
    checks = check_reported([ynet])
    wrong = [each for each in checks if each.follows is False]
    gains = [(c.printed, c.recomputed) for c in wrong if c.rule == "relative_gain"]
    assert gains == [
        *(("9.27", "9.4387"), ("7.60", "7.6052"), ("11.18", "11.188")),
        *(("9.35", "9.3574"), ("7.26", "7.265")),
    ]
    cut = [c.printed for c in wrong if "cut off, not rounded" in c.note]
    assert cut == ["7.60", "11.18", "9.35", "7.26"]
    solar, branches = [c for c in wrong if c.rule == "comparison"]
    assert solar.recomputed == "higher in 14, equal in 0, lower in 2 of 16"
    assert branches.recomputed == "higher in 13, equal in 0, lower in 3 of 16"
    (lengths,) = [c for c in wrong if c.rule == "equal"]
    assert lengths.exceptions == ("DDMH: 32",)
    lattice = [each for each in wrong if each.rule == "attainable_precision"]
    assert len(lattice) == 9
    assert len(wrong) == 5 + 2 + 1 + 9
    assert len([each for each in checks if each.follows is None]) == 4


def test_tables_that_regenerate_the_paper_exist_under_their_names(ynet, monkeypatch):
    """Every printed row and column is one of the regenerated table, in its order."""
    monkeypatch.chdir(PROJECT)
    papers = load(overrides={"scale": "paper", "run": "x", "papers": ["ynet"]}).papers
    paper = papers["ynet"]
    titles = {paper.dataset_title(d) for d in ("origa_fundus", "jsrt")}
    for number, table in ynet.tables.items():
        spec = paper.tables[table.regenerated_by]
        rows = {spec.row_title(paper, m, v) for m in spec.methods for v in spec.variants}
        if number == "I":
            assert set(table.by_method) == titles
            assert [column.bits for column in table.column_list] == list(spec.bits)
            continue
        assert {column.dataset for column in table.column_list} == titles
        assert rows <= set(table.by_method)
        if number == "II":
            printed = [spec.row_title(paper, method, "none") for method in spec.methods]
            assert printed == list(table.by_method)
            assert [len(group) for group in spec.groups] == [4, 4, 4, 1]
    column = ReportedColumn("JSRT", "20", "cutoff")
    assert reported_text(ynet, "table2", "Y-Net", column) == "0.5284"
