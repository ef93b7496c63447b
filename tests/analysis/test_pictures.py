"""Pictures of explained cells: what they show is what the arrays say."""

import numpy as np
import pytest
from explained_cells import CELLS, files_of, write_cells

from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.papers.kinds import FIGURES
from medhash.papers.paper import Paper
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    write_cells(layout, ["a", "b"])
    return layout


def spec_of(kind):
    grid = {"datasets": ["phantom_x"], "methods": ["adsh"], "variants": ["none", "ach"]}
    tree = {"paper": "ach", "name": "f", "title": "T", "kind": kind, "bits": [8], "examples": 1}
    return FIGURES.read(tree | grid)


CONTEXT = Context(
    Paper(paper="ach", title="P", datasets={}, methods={"adsh": {"title": "ADSH"}}, variants={}),
    "demo",
    "tie-aware",
)


@pytest.mark.parametrize("kind", ["retrieved", "salient_maps", "tsne", "lesions"])
def test_a_picture_is_the_same_bytes_twice(kind, layout, tmp_path):
    import pandas as pd

    stem = tmp_path / "figures" / kind
    first = [
        p.read_bytes() for p in make_figure(spec_of(kind), [], CONTEXT, stem, files_of(layout))
    ]
    again = [
        p.read_bytes() for p in make_figure(spec_of(kind), [], CONTEXT, stem, files_of(layout))
    ]
    assert first == again
    points = pd.read_csv(stem.with_suffix(".csv"))
    assert set(points["cell"]) == set(map(str, CELLS))
    if kind == "retrieved":
        _check_results(points, layout)
    if kind == "lesions":
        assert points["weight"].tolist() == [0.25, 0.75] * 2


def _check_results(points, layout):
    """Against a sort of explicit distances."""
    labels = np.load(layout.data("phantom_x", 32) / "labels.npy")
    for (cell, query), results in points.groupby(["cell", "query_row"]):
        codes = Codes.load(layout.codes(Cell.parse(cell)))
        one = int(codes.query_codes[query, 0])
        ranked = sorted(
            ((one ^ int(code)).bit_count(), int(row))
            for code, row in zip(codes.database_codes[:, 0], codes.database_rows, strict=True)
        )[:10]
        assert list(zip(results["distance"], results["result_row"], strict=True)) == ranked
        right = [int(labels[row].argmax() == labels[query].argmax()) for _, row in ranked]
        assert results["relevant"].tolist() == right


def test_a_cell_without_explanation_is_drawn_as_not_run(layout, tmp_path):
    layout.explanation(CELLS[1]).unlink()
    for kind in ("retrieved", "lesions"):
        stem = tmp_path / "figures" / kind
        make_figure(spec_of(kind), [], CONTEXT, stem, files_of(layout))
        assert str(CELLS[1]) not in stem.with_suffix(".csv").read_text()
