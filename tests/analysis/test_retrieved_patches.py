"""Fig. 9 with lesion patches as queries: their results, their boxes, and what they are called."""

import json

import numpy as np
import pandas as pd
import pytest
from explained_cells import CELLS, files_of, write_cells

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.papers.kinds import FIGURES
from medhash.papers.paper import Paper
from medhash.records.lesions import load_lesion_patches
from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes

CONTEXT = Context(
    Paper(paper="ach", title="P", datasets={}, methods={"adsh": {"title": "ADSH"}}, variants={}),
    "demo",
    "tie-aware",
)
SPEC = FIGURES.read(
    {
        **{"paper": "ach", "name": "f", "title": "T", "kind": "retrieved", "queries": "lesions"},
        **{"datasets": ["phantom_x"], "methods": ["adsh"], "variants": ["none", "ach"]},
        **{"bits": [8], "examples": 3},
    }
)
# Four patches: three of class 1, one of class 0; an image has two of them.
ROWS = np.array([3, 5, 5, 8])
PATCHES = np.array([[0, 1, 2, 1], [1, 1, 2, 3], [3, 0, 1, 1], [0, 0, 4, 4]])


def latency():
    return {"queries": 9, "median_seconds": 0.1, "p95_seconds": 0.2, "fps": 10.0}


def searched(cell, source):
    share = {"patches": 0.5, "images": 0.5}
    return {
        **{"schema": 1, "scale": "demo", "protocol": "tie-aware", "depth": 10, "patches": 4},
        "cell": vars(cell),
        **{"asked_per_class": 10, "source": source, "areas_sha256": "a", "covered": 0.25},
        **{"precision_at_10": share, "by_class": {}, "relevant_share": 0.5},
        "runtime": {"patches": latency(), "images": latency(), "change": 0.0},
        "device": {"type": "cpu", "name": "A processor"},
        **{"threads": 1, "cores": 2, "load_average": 1.0, "precision": "float32"},
        "environment": {"torch": "2", "platform": "Linux"},
        "measured": "2026-01-02T03:04:05+00:00",
    }


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    write_cells(layout, ["even", "odd"])
    codes = np.random.default_rng(1).integers(0, 256, (len(CELLS), 4, 1), dtype=np.uint8)
    for cell, own in zip(CELLS, codes, strict=True):
        mark(layout, cell, codes=own)
    return layout


def mark(layout, cell, patches=PATCHES, source="masks", codes=None):
    if codes is None:
        codes = load_lesion_patches(layout, cell).codes
    arrays = {"rows": ROWS, "areas": patches / 4, "patches": patches, "codes": codes}
    write_arrays(layout.lesion_patches(cell), arrays)
    layout.lesions(cell).write_text(json.dumps(searched(cell, source)))


def unmark(layout, cell):
    nothing = {"rows": ROWS[:0], "areas": PATCHES[:0] / 4, "patches": PATCHES[:0]}
    write_arrays(layout.lesion_patches(cell), nothing | {"codes": np.zeros((0, 1), np.uint8)})
    facts = {"schema": 1, "scale": "demo", "cell": vars(cell), "patches": 0, "reason": "no marks"}
    layout.lesions(cell).write_text(json.dumps(facts))


def drawn(layout):
    """The figure itself."""
    with house_style():
        return SPEC.drawn([], CONTEXT, files_of(layout))[1]()


def test_results_are_the_sort_of_the_patches_own_codes(layout, tmp_path):
    stem = tmp_path / "fig9"
    first = [path.read_bytes() for path in make_figure(SPEC, [], CONTEXT, stem, files_of(layout))]
    assert first == [
        path.read_bytes() for path in make_figure(SPEC, [], CONTEXT, stem, files_of(layout))
    ]
    points = pd.read_csv(stem.with_suffix(".csv"))
    for cell in CELLS:
        own = points[points["cell"] == str(cell)]
        codes, patches = Codes.load(layout.codes(cell)), load_lesion_patches(layout, cell)
        # from the classes in turn: the one even patch, then odd ones
        for number, place in enumerate([3, 0, 1], start=1):
            results = own[own["query"] == number]
            assert set(results["query_row"]) == {ROWS[place]}
            sides = results[["top", "left", "height", "width"]].drop_duplicates()
            assert sides.to_numpy().tolist() == [PATCHES[place].tolist()]
            query = int(patches.codes[place, 0])
            ranked = sorted(
                ((query ^ int(code)).bit_count(), int(row))
                for code, row in zip(codes.database_codes[:, 0], codes.database_rows, strict=True)
            )[:10]
            assert list(zip(results["distance"], results["result_row"], strict=True)) == ranked
            right = [int(row % 2 == ROWS[place] % 2) for _, row in ranked]
            assert results["relevant"].tolist() == right
    assert set(points["source"]) == {"the box around the largest region of a mask"}


def test_the_patch_is_boxed_and_the_rest_of_its_image_dimmed(layout):
    figure = drawn(layout)
    images = np.load(layout.data("phantom_x", 32) / "images.npy")
    panels = [axes for axes in figure.subfigs[0].axes if axes.patches]
    assert len(panels) == 6
    for axes, place in zip(panels, [3, 0, 1] * 2, strict=True):
        top, left, height, width = PATCHES[place] * 4
        shown, image = axes.images[0].get_array(), images[ROWS[place]]
        inside = np.zeros((16, 16), dtype=bool)
        inside[top : top + height, left : left + width] = True
        assert (shown[inside] == image[inside]).all()
        assert (shown[~inside] <= 0.4 * image[~inside]).all()
        box = axes.patches[0]
        assert (box.get_x(), box.get_y()) == (left - 0.5, top - 0.5)
        assert (box.get_width(), box.get_height()) == (width, height)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("masks", "lesion patches: the box around the largest region of a mask"),
        ("boxes", "lesion patches: boxes in config/lesions"),
        ("found", "lesion patches: found by C2F-LP, not marked by a reader"),
    ],
)
def test_the_figure_says_where_patches_come_from(layout, source, words):
    for cell in CELLS:
        mark(layout, cell, source=source)
    assert drawn(layout).subfigs[0].get_suptitle().splitlines()[1] == words


def test_without_marks_whole_images_are_shown_and_said_to_be(layout, tmp_path):
    for cell in CELLS:
        unmark(layout, cell)
    figure = drawn(layout)
    assert figure.subfigs[0].get_suptitle().splitlines()[1] == "whole images: no marks"
    make_figure(SPEC, [], CONTEXT, tmp_path / "fig9", files_of(layout))
    points = pd.read_csv(tmp_path / "fig9.csv")
    assert set(points["source"]) == {"image"}
    assert points["top"].isna().all()
    assert points["query_row"].drop_duplicates().tolist() == [0, 1, 2]


def test_variants_with_different_patches_are_refused(layout, tmp_path):
    mark(layout, CELLS[1], patches=PATCHES[::-1])
    with pytest.raises(MedhashError, match=r"none/8/0: they are not those of .*ach/8/0; delete"):
        make_figure(SPEC, [], CONTEXT, tmp_path / "fig9", files_of(layout))
    assert not list(tmp_path.glob("fig9*"))
