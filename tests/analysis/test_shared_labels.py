"""OSDH's Fig. 3: queries of several labels, their first results, and what they share."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.figures.shared_labels import chosen_queries, first_results
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.papers.kinds import FIGURES
from medhash.papers.paper import Paper
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from told import description

CLASSES = ("Mass", "Nodule", "Edema", "Effusion")
CELL = Cell("osdh", "phantom_x", "osdh", "none", 8, 0)
CONTEXT = Context(
    Paper(
        paper="osdh",
        title="P",
        datasets={"phantom_x": "Phantom"},
        methods={"osdh": {"title": "OSDH"}},
        variants={"none": "", "lcr": "-R"},
    ),
    "demo",
    "tie-aware",
)
SPEC = FIGURES.read(
    {
        **{"paper": "osdh", "name": "fig3", "title": "T", "kind": "shared_labels"},
        **{"datasets": ["phantom_x"], "methods": ["osdh"], "variants": ["none", "lcr"]},
        **{"bits": [8], "examples": 3},
    }
)
# one, two, three labels, and two again
QUERIES = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 1]], np.uint8)


def codes():
    draw = np.random.default_rng(0)
    labels = (draw.random((30, 4)) < 0.4).astype(np.uint8)
    labels[np.arange(30), draw.integers(0, 4, 30)] = 1
    # The labels are the first bits: what shares more is nearer.
    sides = [np.packbits(np.pad(each, [(0, 0), (0, 4)]), axis=1) for each in (QUERIES, labels)]
    rows = np.arange(10, 14), np.arange(20, 50)
    return Codes(*sides, 8, QUERIES, labels, *rows)


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    folder = layout.data("phantom_x", 16)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.random.default_rng(1).integers(0, 255, (50, 16, 16, 3), "u1"))
    (folder / "dataset.json").write_text(json.dumps(description(classes=CLASSES)))
    codes().save(layout.codes(CELL))
    return layout


def files_of(layout):
    return SimpleNamespace(layout=layout, data_of=lambda cell: layout.data(cell.dataset, 16))


def test_queries_come_from_the_numbers_of_labels_in_turn():
    # Two labels, three, then one; then the next of two.
    assert chosen_queries(QUERIES, 9) == [1, 2, 0, 3]
    assert chosen_queries(QUERIES, 2) == [1, 2]


def test_results_are_the_nearest_with_their_shared_labels():
    own = codes()
    points = first_results({CELL: own}, {CELL: CLASSES}, 3)
    assert points["query_row"].unique().tolist() == [11, 12, 10]
    for _, results in points.groupby("query"):
        assert results["rank"].tolist() == list(range(1, 11))
        assert results["distance"].is_monotonic_increasing
    for row in points.itertuples():
        asked, labels = ({*text.split("|")} for text in (row.query_labels, row.labels))
        has = own.database_labels[row.result_row - 20]
        assert labels == {CLASSES[column] for column in np.flatnonzero(has)}
        assert {*filter(None, row.shared.split("|"))} == asked & labels
        assert row.shared_count == len(asked & labels)
        assert row.distance == len(asked ^ labels)
    # Some order of equal distances, but always the same.
    pd.testing.assert_frame_equal(points, first_results({CELL: own}, {CELL: CLASSES}, 3))


def test_labels_stand_below_each_image_and_shared_ones_are_marked(layout, record):
    facts = [record("osdh/phantom_x/osdh/none/8/0", [0.5] * 4, scale="demo")]
    points, draw = SPEC.drawn(facts, CONTEXT, files_of(layout))
    with house_style():
        figure = draw()
    shown = [text.get_text() for axes in figure.findobj(Axes) for text in axes.texts]
    for name, count in points["labels"].str.split("|").explode().value_counts().items():
        marked = points["shared"].str.split("|").explode().eq(name).sum()
        assert shown.count(f"✓ {name}") == marked
        asked = points.drop_duplicates("query")["query_labels"].str.split("|").explode().eq(name)
        assert shown.count(name) == count - marked + asked.sum()
    counted = sorted(points["shared_count"].astype(str))
    assert sorted(text for text in shown if text.isdigit()) == counted
    assert any(text.startswith("not run") for text in shown)


def test_the_figure_is_made_with_its_points(layout, tmp_path, record):
    facts = [record("osdh/phantom_x/osdh/none/8/0", [0.5] * 4, scale="demo")]
    paths = make_figure(SPEC, facts, CONTEXT, tmp_path / "fig3", files_of(layout))
    assert [path.suffix for path in paths] == [".pdf", ".png", ".csv"]
    assert len(pd.read_csv(paths[-1])) == 30
    first = paths[1].read_bytes()
    make_figure(SPEC, facts, CONTEXT, tmp_path / "fig3", files_of(layout))
    assert paths[1].read_bytes() == first
