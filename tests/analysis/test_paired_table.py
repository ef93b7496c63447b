"""Paired tests between methods, on NDCG, ACG and weighted AP of records of real small codes."""

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from scipy.stats import wilcoxon

from medhash.analysis.numbers.context import Context
from medhash.analysis.numbers.statistics import holm
from medhash.errors import MedhashError
from medhash.papers.paper import Paper
from medhash.records.record import Record
from medhash.records.scoring import graded_scores
from medhash.retrieval.chance import chance
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.settings import EvaluationSettings

CUTOFFS = (5, 20)
PAPER = """
paper: osdh
title: OSDH
datasets: {nih: NIH Chest X-ray}
methods: {osdh: {title: OSDH}, dsh: {title: DSH}, itq: {title: ITQ}}
variants: {none: "", lcr: -R}
tables:
  tests:
    kind: paired
    title: OSDH against the others
    datasets: [nih]
    methods: [osdh, dsh, itq]
    variants: [none, lcr]
    bits: [16, 32]
    pairs: [[osdh/none, dsh/none], [osdh/none, itq/none], [osdh/none, osdh/lcr]]
    measures: [ndcg_at@20, map_weighted]
    unit: fraction
"""
# How many of the bits say something of the labels.
SKILL = {"osdh": 12, "dsh": 4, "itq": 12}


def labels_of(draw, count):
    labels = (draw.random((count, 4)) < 0.3).astype(np.uint8)
    labels[np.arange(count), draw.integers(0, 4, count)] = 1
    return labels


def record_of(cell):
    """Codes whose first bits are the labels', one split for all."""
    split = np.random.default_rng(3)
    own = np.random.default_rng([cell.bits, len(cell.variant), *cell.method.encode(), cell.seed])
    told = SKILL[cell.method] if cell.variant == "none" else 8
    codes = {}
    for side, count in (("query", 40), ("database", 150)):
        codes[f"{side}_labels"] = labels = labels_of(split, count)
        bits = own.integers(0, 2, (count, cell.bits), np.uint8)
        bits[:, :told] = np.tile(labels, 3)[:, :told]
        codes[f"{side}_codes"] = np.packbits(bits, axis=1)
    made = Codes(
        **codes, bits=cell.bits, query_rows=np.arange(40), database_rows=np.arange(40, 190)
    )
    scoring = EvaluationSettings(cutoffs=CUTOFFS)
    evaluation = evaluate(made, cutoffs=CUTOFFS)
    return Record(
        schema=1,
        scale="paper",
        cell=cell,
        synthetic=False,
        metrics=evaluation.metrics,
        stable={"map": evaluation.metrics["map"]},
        chance=chance(made.query_labels, made.database_labels, CUTOFFS),
        per_query_ap=evaluation.per_query_ap.tolist(),
        per_query=graded_scores(evaluation, made, scoring),
        query_rows=range(40),
        training={"selection": "last-epoch"},
    )


def spec_of(**changes):
    tree = yaml.safe_load(PAPER)
    tree["tables"]["tests"] |= changes
    paper = Paper.model_validate(tree)
    return paper, paper.tables["tests"].model_copy(update={"seeds": (0, 1)})


@pytest.fixture
def made(make):
    paper, spec = spec_of()
    records = [record_of(cell) for cell in spec.cells()]
    return make(spec, records, Context(paper, "paper", "tie-aware")), records


def values(records, method, variant, bits, read):
    own = [
        read(record)
        for record in records
        if (record.cell.method, record.cell.variant, record.cell.bits) == (method, variant, bits)
    ]
    assert len(own) == 2
    return np.mean(own, axis=0)


READ = {
    "NDCG@20": lambda record: record.per_query.ndcg_at[20],
    "weighted mAP": lambda record: record.per_query.map_weighted,
}


def test_only_cells_of_the_rows_are_needed():
    _, spec = spec_of()
    rows = {(cell.method, cell.variant) for cell in spec.cells()}
    assert rows == {("osdh", "none"), ("dsh", "none"), ("itq", "none"), ("osdh", "lcr")}


def test_a_test_is_wilcoxon_s_over_the_queries_of_both_rows(made):
    table, records = made
    assert list(table.printed()) == ["OSDH vs. DSH", "OSDH vs. ITQ", "OSDH vs. OSDH-R"]
    for title, read in READ.items():
        p_values, found = [], []
        for other, variant in (("dsh", "none"), ("itq", "none"), ("osdh", "lcr")):
            for bits in (16, 32):
                first = values(records, "osdh", "none", bits, read)
                second = values(records, other, variant, bits, read)
                name = {"dsh": "DSH", "itq": "ITQ", "osdh": "OSDH-R"}[other]
                cell = table.cell(f"OSDH vs. {name}", f"{title}/{bits} bits")
                apart = np.round(first - second, 12)
                p_values.append(wilcoxon(apart[apart != 0]).pvalue)
                found.append(cell)
                assert float(cell["p_value"]) == pytest.approx(p_values[-1], rel=1e-5)
                assert float(cell["value"]) == pytest.approx(first.mean(), abs=1e-6)
                difference = round(first.mean(), 4) - round(second.mean(), 4)
                assert float(cell["difference"]) == pytest.approx(difference, abs=1e-9)
                assert (cell["queries"], cell["n_seeds"]) == ("40", "2")
        corrected = holm(p_values)
        assert [float(cell["p_holm"]) for cell in found] == pytest.approx(corrected, rel=1e-5)
    # Twelve telling bits against four, and against other twelve.
    assert table.cell("OSDH vs. DSH", "NDCG@20/32 bits")["outcome"] == "win"
    assert "**+" in table.markdown


def test_what_has_not_run_says_so(make):
    paper, spec = spec_of()
    records = [record_of(cell) for cell in spec.cells() if cell.method != "itq"]
    table = make(spec, records, Context(paper, "paper", "tie-aware"))
    assert table.cell("OSDH vs. ITQ", "NDCG@20/16 bits")["status"] == "not run"
    assert table.cell("OSDH vs. DSH", "NDCG@20/16 bits")["status"] == "ran"
    assert "2 of 8 not run (no record yet): ITQ" in table.markdown


def test_rows_of_methods_that_a_run_leaves_out_are_left_out():
    _, spec = spec_of()
    fewer = spec.model_copy(update={"methods": ("osdh", "dsh"), "variants": ("none",)})
    assert {cell.method for cell in fewer.cells()} == {"osdh", "dsh"}


def test_records_without_values_of_queries_are_refused_by_name(make):
    paper, spec = spec_of()
    records = [record_of(cell).model_copy(update={"per_query": None}) for cell in spec.cells()]
    with pytest.raises(MedhashError, match=r"has no NDCG@20 of each query, which a paired test"):
        make(spec, records, Context(paper, "paper", "tie-aware"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": ["queries"]}, "of queries no query has a value; those are: map, map_weig"),
        ({"pairs": [["osdh/none", "none"]]}, "'none' names no method; write METHOD/none"),
        ({"measures": ["ndcg_at"]}, "must have the form 'ndcg_at@10'"),
    ],
)
def test_what_cannot_be_tested_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        spec_of(**changes)
