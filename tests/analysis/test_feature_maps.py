"""Feature maps, retrieved images with masks, and losses: what is drawn is what the files say."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.explained import MASK_COLOURS, outline
from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.papers.kinds import FIGURES
from medhash.papers.paper import Paper
from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from told import description

SIDE, IMAGES, QUERIES = 16, 24, 8
CELL = Cell("ynet", "phantom_x", "ynet", "none", 8, 0)
CONTEXT = Context(
    Paper(paper="ynet", title="P", datasets={}, methods={"ynet": {"title": "Y-Net"}}, variants={}),
    "demo",
    "tie-aware",
)


@pytest.fixture
def layout(tmp_path):
    """Two classes in turn; a mask of a disc and, in it, a cup; ratios that fall from row to row."""
    layout, random = Layout(tmp_path), np.random.default_rng(0)
    folder = layout.data("phantom_x", 32)
    folder.mkdir(parents=True)
    labels = np.eye(2, dtype=np.uint8)[np.arange(IMAGES) % 2]
    masks = np.zeros((IMAGES, SIDE, SIDE), np.uint8)
    masks[:, 4:12, 4:12], masks[:, 6:9, 6:9] = 1, 2
    np.save(folder / "images.npy", random.integers(0, 255, (IMAGES, SIDE, SIDE, 3), np.uint8))
    np.save(folder / "labels.npy", labels)
    np.save(folder / "masks.npy", masks)
    ratios = 1 - np.arange(IMAGES) / 100
    index = {"image_id": range(IMAGES), "cdr": ratios, "x": 512, "y": 1536}
    pd.DataFrame(index).to_csv(folder / "index.csv", index=False)
    told = description(classes=["a", "b"], mask_classes=["background", "disc", "cup"])
    (folder / "dataset.json").write_text(json.dumps(told))
    query, database = np.arange(QUERIES), np.arange(QUERIES, IMAGES)
    bits = random.integers(0, 256, (IMAGES, 1), dtype=np.uint8)
    sides = bits[query], bits[database], 8, labels[query], labels[database], query, database
    Codes(*sides).save(layout.codes(CELL))
    maps = {name: random.random((4, n, n), np.float32) for name, n in (("core", 2), ("t1", 4))}
    write_arrays(layout.explanation(CELL), {"rows": np.array([0, 2, 1, 3])} | maps)
    return layout


def make(layout, tmp_path, kind, **own):
    grid = {"datasets": ["phantom_x"], "methods": ["ynet"], "variants": ["none"], "bits": [8]}
    tree = {"paper": "ynet", "name": "f", "title": "T", "kind": kind} | grid | own
    files = SimpleNamespace(layout=layout, data_of=lambda cell: layout.data(cell.dataset, 32))
    facts = [SimpleNamespace(cell=CELL, scale="demo", what="record")]
    stem = tmp_path / "figures" / kind
    pictures = make_figure(FIGURES.read(tree), facts, CONTEXT, stem, files)
    return [path.read_bytes() for path in pictures], pd.read_csv(stem.with_suffix(".csv"))


MAPS = {"examples": 2, "maps": {"core": "core", "t1": "t1"}, "masks": True}
FORMS = ["raw", "resized", "over-image", "over-mask"]


def test_the_csv_holds_the_values_of_every_map(layout, tmp_path):
    pictures, points = make(layout, tmp_path, "feature_maps", forms=FORMS, **MAPS)
    assert pictures == make(layout, tmp_path, "feature_maps", forms=FORMS, **MAPS)[0]
    arrays = np.load(layout.explanation(CELL))
    assert points["row"].unique().tolist() == [0, 1]  # of each class the first
    for (row, name), lines in points.groupby(["row", "map"]):
        drawn = [[float(value) for value in text.split()] for text in lines["values"]]
        kept = arrays[name][arrays["rows"].tolist().index(row)]
        np.testing.assert_allclose(drawn, kept, rtol=1e-5)


def test_examples_of_one_class_are_spread_over_an_attribute(layout, tmp_path):
    own = MAPS | {"of_class": "a", "spread": {"column": "cdr", "title": "CDR"}, "forms": ["raw"]}
    _, points = make(layout, tmp_path, "feature_maps", **own)
    assert points["row"].unique().tolist() == [2, 0]  # 0.98 before 1.00


@pytest.mark.parametrize(
    ("own", "broken", "message"),
    [
        ({}, "masks.npy", "masks.npy: there is no such file, and this figure draws masks"),
        ({"maps": {"t3": "t3"}}, "", "array t3 is missing; the file has core, rows, t1"),
        ({"of_class": "c"}, "", "of_class 'c' is no class of"),
        (
            {"of_class": "a", "spread": {"column": "cdrs", "title": "CDR"}},
            "",
            "no column 'cdrs'; did you mean 'cdr'",
        ),
    ],
)
def test_a_picture_of_what_is_not_there_is_refused(own, broken, message, layout, tmp_path):
    if broken:
        (layout.data("phantom_x", 32) / broken).unlink()
    with pytest.raises(MedhashError, match=message):
        make(layout, tmp_path, "feature_maps", **MAPS | {"forms": ["resized"]} | own)
    assert not (tmp_path / "figures").exists()


def test_borders_lie_around_the_classes_in_their_colours():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30], mask[18:24, 18:24] = 1, 2
    with house_style():
        figure = Figure(figsize=(4, 4), dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(np.full((40, 40, 3), 90, np.uint8))
        outline(axes, mask)
        axes.axis("off")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    for colour, (first, last) in zip(MASK_COLOURS, [(10, 30), (18, 24)], strict=True):
        drawn = np.abs(pixels - to_rgb(colour)).max(axis=2) < 0.25
        rows, columns = (np.flatnonzero(drawn.any(axis=axis)) / 10 for axis in (1, 0))
        for found in (rows, columns):
            assert found.min() == pytest.approx(first, abs=0.6)
            assert found.max() == pytest.approx(last, abs=0.6)
        assert not drawn[first * 10 + 20 : last * 10 - 20, first * 10 + 20].any()


FOUND = {"query_class": "a", "results": 4, "attribute": {"column": "cdr", "title": "CDR"}}
RING = {"title": "spot", "side": 2048}


def test_results_are_those_of_a_sort_beside_what_chance_gives(layout, tmp_path):
    pictures, points = make(layout, tmp_path, "retrieved_masks", point=RING, **FOUND)
    assert pictures == make(layout, tmp_path, "retrieved_masks", point=RING, **FOUND)[0]
    codes, ratios = Codes.load(layout.codes(CELL)), 1 - np.arange(IMAGES) / 100
    assert set(points["query_row"]) == {0}
    one = int(codes.query_codes[0, 0])
    distances = [(one ^ int(code)).bit_count() for code in codes.database_codes[:, 0]]
    assert points["distance"].tolist() == sorted(distances)[:4]
    for each in points.to_dict("records"):
        assert each["distance"] == distances[each["result_row"] - QUERIES]
        assert each["relevant"] == (each["result_row"] % 2 == 0)
        assert each["value"] == pytest.approx(ratios[each["result_row"]])
        assert each["expected_relevant"] == 0.5
        gaps = [abs(ratio - ratios[0]) for ratio in ratios[QUERIES:]]
        assert each["expected_gap"] == pytest.approx(sum(gaps) / len(gaps))


@pytest.mark.parametrize(
    ("own", "broken", "message"),
    [
        ({}, "masks.npy", "masks.npy: there is no such file"),
        ({"query_class": "c"}, "", "there is no query of query_class 'c'"),
        ({"point": RING | {"x": "z"}}, "", "no column 'z'"),
        ({"results": 99}, "", "99 results are asked for; the database has 16"),
    ],
)
def test_results_that_cannot_be_shown_are_refused(own, broken, message, layout, tmp_path):
    if broken:
        (layout.data("phantom_x", 32) / broken).unlink()
    with pytest.raises(MedhashError, match=message):
        make(layout, tmp_path, "retrieved_masks", **FOUND | own)
    assert not (tmp_path / "figures").exists()


LOSSES = {"losses": {"classification": "circle", "segmentation": "pixels"}, "epochs": 3}


def write_losses(layout, **own):
    folder = layout.cell(CELL)
    table = {"epoch": range(1, 6), "segmentation": np.arange(5) + 0.25, "classification": 8.0}
    pd.DataFrame(table).to_csv(folder / "train.csv", index=False)
    settings = {"loss": "coupled", "omega": 0.25, "learned_omega": False} | own
    (folder / "training.json").write_text(json.dumps({"method_settings": settings}))


def test_losses_are_shown_without_their_weights(layout, tmp_path):
    write_losses(layout)
    _, points = make(layout, tmp_path, "loss_curves", **LOSSES)
    assert points["epoch"].tolist() == [1, 2, 3] * 4
    curves = {name: own["loss"].tolist() for name, own in points.groupby("curve")}
    pixels = [(epoch + 0.25) / 0.25 for epoch in range(3)]
    assert curves["pixels"] == pytest.approx(pixels)
    assert curves["circle"] == pytest.approx([8 / 0.75] * 3)
    assert curves["sum"] == pytest.approx([8 / 0.75 + each for each in pixels])
    assert curves["coupled"] == pytest.approx([8.25, 9.25, 10.25])
    write_losses(layout, loss="sum")
    _, points = make(layout, tmp_path, "loss_curves", **LOSSES)
    assert set(points["curve"]) == {"circle", "pixels", "sum"}
    assert points.query("curve == 'sum'")["loss"].tolist() == pytest.approx([8.25, 9.25, 10.25])


def test_losses_without_known_weights_or_files_are_refused(layout, tmp_path):
    write_losses(layout, learned_omega=True)
    with pytest.raises(MedhashError, match=r"training.json: omega was learned"):
        make(layout, tmp_path, "loss_curves", **LOSSES)
    write_losses(layout)
    with pytest.raises(MedhashError, match=r"train.csv.*no column 'triplet'"):
        make(layout, tmp_path, "loss_curves", losses={"triplet": "t", "segmentation": "s"})
    (layout.cell(CELL) / "train.csv").unlink()
    with pytest.raises(MedhashError, match=r"train.csv"):
        make(layout, tmp_path, "loss_curves", **LOSSES)
    assert not (tmp_path / "figures").exists()
