"""Tables of the coming papers from lines of YAML alone, on records of real small codes."""

import numpy as np
import pytest
import yaml

from medhash.analysis.numbers.context import Context
from medhash.papers.kinds import TABLES
from medhash.papers.paper import Paper
from medhash.papers.reported import ReportedPaper
from medhash.records.record import Record
from medhash.retrieval.chance import chance
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.cell import Cell

CUTOFFS = (5, 10, 100)
CHANCE = ("Random order", "Most frequent class first", "Most shared labels first")

OSDH = """
paper: osdh
title: OSDH
datasets: {nih: NIH Chest X-ray}
methods: {osdh: {title: OSDH}}
variants: {none: "", lcr: -R, dbw: -C}
tables:
  table2:
    kind: scores
    title: Ranking at 32 bits
    datasets: [nih]
    methods: [osdh]
    variants: [lcr, dbw, none]
    bits: [32]
    measures: [ndcg_at@100, acg_at@100, map_weighted]
    unit: fraction
"""
YNET = """
paper: ynet
title: Y-Net
datasets: {origa: Fundus, jsrt: JSRT}
methods: {crow: {title: CroW}, ynet: {title: Y-Net}}
variants: {none: ""}
tables:
  table1:
    kind: scores
    title: mAP at 10 by code length
    datasets: [origa, jsrt]
    methods: [ynet]
    variants: [none]
    bits: [16, 32]
    rows: [dataset]
    measures: [map_at@10]
    unit: fraction
  table2:
    kind: scores
    title: mAP by cutoff
    datasets: [origa, jsrt]
    methods: [crow, ynet]
    variants: [none]
    lengths: {crow: 64, ynet: 16}
    measures: [map_at]
    cutoffs: [5, 10]
    unit: fraction
"""
REPORTED = {
    "osdh": """
paper: osdh
tables:
  "2":
    title: Ranking
    metric: NDCG, ACG, mAPw
    regenerated_by: table2
    axis: measure
    columns: {NIH Chest X-ray: [ndcg_at@100, acg_at@100, map_weighted]}
    rows: {OSDH-R: 0.2145 0.3937 0.3645, OSDH-C: 0.2091 0.3709 0.3313, OSDH: 0.2396 0.4163 0.3826}
""",
    "ynet": """
paper: ynet
tables:
  II:
    title: mAP
    metric: mAP
    regenerated_by: table2
    axis: cutoff
    columns: {Fundus: [5, 10], JSRT: [5, 10]}
    rows: {CroW: 0.8 0.7 0.6 0.5, Y-Net: 0.9 0.8 0.7 0.6}
""",
}


def paper_of(text):
    return Paper.model_validate(yaml.safe_load(text))


def labels_of(draw, count):
    labels = (draw.random((count, 4)) < 0.3).astype(np.uint8)
    labels[np.arange(count), draw.integers(0, 4, count)] = 1
    return labels


def record_of(cell):
    """Of random codes of several labels; one split a dataset."""
    split = np.random.default_rng(len(cell.dataset))
    query_labels, database_labels = labels_of(split, 8), labels_of(split, 120)
    own = np.random.default_rng([cell.bits, len(cell.variant), *cell.method.encode()])
    codes = Codes(
        query_codes=np.packbits(own.integers(0, 2, (8, cell.bits), np.uint8), axis=1),
        database_codes=np.packbits(own.integers(0, 2, (120, cell.bits), np.uint8), axis=1),
        bits=cell.bits,
        query_labels=query_labels,
        database_labels=database_labels,
        query_rows=np.arange(8),
        database_rows=np.arange(8, 128),
    )
    evaluation = evaluate(codes, cutoffs=CUTOFFS)
    return Record(
        schema=1,
        scale="paper",
        cell=cell,
        synthetic=False,
        metrics=evaluation.metrics,
        stable={"map": evaluation.metrics["map"]},
        chance=chance(query_labels, database_labels, CUTOFFS),
        per_query_ap=evaluation.per_query_ap.tolist(),
        query_rows=range(8),
        training={"selection": "last-epoch"},
        per_query={
            "map_weighted": [0.0] * 8,
            "map_at": {
                k: each.tolist() for k, each in evaluation.scores.average_precision_at.items()
            },
            "ndcg_at": {},
            "acg_at": {},
        },
    )


@pytest.fixture
def made(make):
    def run(text, name):
        paper = paper_of(text)
        reported = REPORTED.get(paper.paper)
        values = reported and ReportedPaper.model_validate(yaml.safe_load(reported))
        spec = paper.tables[name]
        records = [record_of(cell) for cell in spec.cells()]
        return make(spec, records, Context(paper, "paper", "tie-aware", reported=values)), records

    return run


def test_measures_are_columns(made):
    table, records = made(OSDH, "table2")
    by_variant = {record.cell.variant: record for record in records}
    header = table.markdown.splitlines()[2]
    assert [part.strip() for part in header.split("|")[2:-1]] == [
        f"NIH Chest X-ray<br>{name}" for name in ("NDCG@100", "ACG@100", "weighted mAP")
    ]
    printed = table.printed()
    assert list(printed) == ["OSDH-R", "OSDH-C", "OSDH", *CHANCE]
    for row, variant in (("OSDH-R", "lcr"), ("OSDH-C", "dbw"), ("OSDH", "none")):
        metrics = by_variant[variant].metrics
        values = (metrics.ndcg_at[100], metrics.acg_at[100], metrics.map_weighted)
        bare = [
            cell.strip("*").removeprefix("<ins>").removesuffix("</ins>") for cell in printed[row]
        ]
        assert bare == [f"{value:.4f}" for value in values]
    random = records[0].chance["random"]
    assert printed["Random order"] == [
        f"{value:.4f}" for value in (random.ndcg_at[100], random.acg_at[100], random.map_weighted)
    ]
    best = records[0].chance["ideal"]
    assert printed[CHANCE[2]] == ["1.0000", f"{best.acg_at[100]:.4f}", f"{best.map_weighted:.4f}"]
    assert best.acg_at[100] > random.acg_at[100]
    assert "Most shared labels first: the best that an order can have." in "\n".join(table.notes)
    found = table.cell("OSDH", "NIH Chest X-ray/ACG@100")
    assert float(found["ideal"]) == pytest.approx(best.acg_at[100], abs=1e-6)
    assert (found["reported"], found["measure"], found["cutoff"]) == ("0.4163", "acg_at", "100")
    compared = table.compared()["OSDH"][0].split(" / ")
    assert compared[0] == "0.2396"
    assert compared[1] == table.cell("OSDH", "NIH Chest X-ray/NDCG@100")["printed"]


def test_a_length_a_row_and_cutoffs_as_columns(made):
    table, records = made(YNET, "table2")
    assert {(r.cell.method, r.cell.bits) for r in records} == {("crow", 64), ("ynet", 16)}
    assert list(table.printed()) == ["CroW", "Y-Net", *CHANCE]
    for record in records:
        heading = {"origa": "Fundus", "jsrt": "JSRT"}[record.cell.dataset]
        row = {"crow": "CroW", "ynet": "Y-Net"}[record.cell.method]
        for cutoff in (5, 10):
            found = table.cell(row, f"{heading}/mAP@{cutoff}")
            assert found["printed"] == f"{record.metrics.map_at[cutoff]:.4f}"
            assert found["bits"] == str(record.cell.bits)
            assert found["random"] == f"{record.chance['random'].map_at[cutoff]:.6f}"
    assert table.cell("Y-Net", "JSRT/mAP@10")["reported"] == "0.6"


def test_datasets_are_rows(made):
    table, records = made(YNET, "table1")
    assert list(table.printed()) == ["Fundus", "JSRT"]
    for record in records:
        row = {"origa": "Fundus", "jsrt": "JSRT"}[record.cell.dataset]
        found = table.cell(row, f"Y-Net/{record.cell.bits} bits")
        assert found["printed"] == f"{record.metrics.map_at[10]:.4f}"


def test_a_cell_that_has_not_run_says_so(make):
    paper = paper_of(YNET)
    spec = paper.tables["table2"]
    records = [record_of(cell) for cell in spec.cells() if cell.dataset == "origa"]
    table = make(spec, records, Context(paper, "paper", "tie-aware"))
    assert table.printed()["CroW"][2:] == ["not run", "not run"]
    assert table.cell("CroW", "JSRT/mAP@5")["note"] == "no record yet"
    assert any(note.startswith("JSRT: not run (no record yet)") for note in table.notes)
    empty = make(spec, [], Context(paper, "paper", "tie-aware"))
    assert empty.notes[0] == "Nothing of this table has run."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": ["ndcg"]}, "unknown measure 'ndcg'; did you mean 'ndcg_at'"),
        ({"measures": ["ndcg_at"], "cutoffs": []}, "must have the form 'ndcg_at@10'"),
        ({"measures": ["map@5"]}, "'map@5' must have the form 'map'"),
        ({"measures": ["map", "fps"]}, "different files"),
        ({"bits": [8]}, "either 'bits' or 'lengths'"),
        ({"lengths": {"crow": 8}}, "none is given for ynet"),
        ({"rows": ["dataset"]}, "needs 'method' among 'rows'"),
    ],
)
def test_a_wrong_grid_is_refused(changes, message):
    tree = yaml.safe_load(YNET)["tables"]["table2"]
    with pytest.raises(ValueError, match=message):
        TABLES.read(tree | changes)


@pytest.mark.parametrize(
    ("methods", "left", "available"),
    [(("ynet",), ("ynet",), None), (("toy",), ("crow", "ynet"), ())],
)
def test_a_method_without_a_length_does_not_run(methods, left, available):
    spec = paper_of(YNET).tables["table2"]
    changes = spec.restricted(None, {"methods": methods})
    assert changes["methods"] == left
    assert changes.get("available") == available


def test_measures_of_other_files_can_be_shown(make):
    tree = {"kind": "scores", "title": "Speed", "datasets": ["origa"], "methods": ["ynet"]}
    spec = TABLES.read(tree | {"variants": ["none"], "bits": [8], "measures": ["fps"]})
    assert spec.source == "speed"
    assert spec.cells() == [Cell("", "origa", "ynet", "none", 8, 0)]
    table = make(spec, [], Context(paper_of(YNET), "paper", "tie-aware"))
    assert table.printed() == {"Y-Net": ["not run"]}


GROUPED = """
paper: ynet
title: Y-Net
datasets: {origa: Fundus}
methods: {crow: {title: CroW}, cam: {title: CAM}, drh: {title: DRH}, ynet: {title: Y-Net}}
variants: {none: ""}
tables:
  table2:
    kind: scores
    title: mAP by cutoff
    datasets: [origa]
    groups: [[crow, cam], [drh], [ynet]]
    variants: [none]
    bits: [16]
    measures: [map_at]
    cutoffs: [5, 10]
    unit: fraction
"""


def lines_of(table):
    """The rows of the LaTeX table, and its rules."""
    body = table.latex.split("\\midrule", 1)[1].split("\\bottomrule")[0]
    return [line.split(" & ")[0] for line in body.strip().splitlines()]


def test_groups_are_ruled_off_and_the_best_is_that_of_all(made):
    table, records = made(GROUPED, "table2")
    rule = "\\midrule"
    expected = ["CroW", "CAM", rule, "DRH", rule, "Y-Net", rule, *CHANCE]
    assert lines_of(table) == expected
    values = {r.cell.method: round(r.metrics.map_at[5], 4) for r in records}
    best_first = sorted(values, key=values.get, reverse=True)
    titles = {"crow": "CroW", "cam": "CAM", "drh": "DRH", "ynet": "Y-Net"}
    marks = {m: table.cell(titles[m], "Fundus/mAP@5")["mark"] for m in values}
    assert len(set(values.values())) == 4
    assert [marks[m] for m in best_first] == ["best", "second", "", ""]


def test_a_method_of_the_user_s_stands_below_the_groups(make):
    paper = paper_of(GROUPED)
    spec = paper.tables["table2"].model_copy(update={"methods": ("cam", "toy", "ynet")})
    table = make(spec, [], Context(paper, "paper", "tie-aware"))
    assert lines_of(table) == ["CAM", "\\midrule", "Y-Net", "\\midrule", "toy"]


def test_a_method_that_waits_for_a_setting_has_a_row_that_says_so(make):
    paper = paper_of(GROUPED)
    spec = paper.tables["table2"].model_copy(update={"not_run": {"drh": "it waits for a reason"}})
    assert {cell.method for cell in spec.cells()} == {"crow", "cam", "ynet"}
    records = [record_of(cell) for cell in spec.cells()]
    table = make(spec, records, Context(paper, "paper", "tie-aware"))
    assert table.printed()["DRH"] == ["not run", "not run"]
    assert table.cell("DRH", "Fundus/mAP@5")["note"] == "it waits for a reason"
    assert "DRH: not run (it waits for a reason)." in table.notes
    assert "no record yet" not in "\n".join(table.notes)


def test_an_interval_stands_behind_each_value(make):
    paper = paper_of(GROUPED)
    spec = paper.tables["table2"].model_copy(update={"intervals": True})
    records = [record_of(cell) for cell in spec.cells()]
    table = make(spec, records, Context(paper, "paper", "tie-aware"))
    for record in records:
        title = paper.method_title(record.cell.method)
        found = table.cell(title, "Fundus/mAP@5")
        least, greatest = (float(found[f"interval_{end}"]) for end in ("least", "greatest"))
        queries = np.array(record.per_query.map_at[5])
        assert least < record.metrics.map_at[5] < greatest
        drawn = np.random.default_rng(7).choice(queries, (20000, 8)).mean(axis=1)
        assert (least, greatest) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.02)
        assert found["printed"] == f"{record.metrics.map_at[5]:.4f} [{least:.4f}, {greatest:.4f}]"
    assert any(note.startswith("In brackets: 95% interval") for note in table.notes)
    bare = [record.model_copy(update={"per_query": None}) for record in records]
    table = make(spec, bare, Context(paper, "paper", "tie-aware"))
    assert "[" not in table.cell("CAM", "Fundus/mAP@5")["printed"]
    assert not any("bootstrap" in note for note in table.notes)


def test_groups_need_methods_as_rows():
    tree = yaml.safe_load(GROUPED)["tables"]["table2"]
    with pytest.raises(ValueError, match="'rows' begins with it"):
        TABLES.read(tree | {"rows": ["variant", "method"]})
    with pytest.raises(ValueError, match="name 'methods', or 'groups' of them"):
        TABLES.read(tree | {"groups": []})
