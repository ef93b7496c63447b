"""The figure of measures against code length and depth, on records of random codes."""

import numpy as np
import pandas as pd
import pytest

from medhash.analysis.figures.drawing import house_style
from medhash.records.record import Record
from medhash.retrieval.chance import chance
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate

CUTOFFS = (1, 10, 50)
BITS = (8, 16)
PANELS = ("ndcg_at@10", "map_weighted", "acg_at")


@pytest.fixture
def spec(figure_spec):
    def make(**changes):
        return figure_spec(
            **{
                "name": "fig2",
                "kind": "score_curves",
                "datasets": ["covid_ct"],
                "variants": ["none"],
                "bits": BITS,
                "measures": PANELS,
                "depth_bits": 16,
            }
            | changes
        )

    return make


def record_of(cell):
    """Of random codes of up to three labels."""
    draw = np.random.default_rng([cell.bits, cell.seed, len(cell.method)])
    split = np.random.default_rng(0)
    labels = (split.random((68, 3)) < 0.5).astype(np.uint8)
    labels[np.arange(68), split.integers(0, 3, 68)] = 1
    codes = np.packbits(draw.integers(0, 2, (68, cell.bits), np.uint8), axis=1)
    own = Codes(
        codes[:8], codes[8:], cell.bits, labels[:8], labels[8:], np.arange(8), np.arange(8, 68)
    )
    evaluation = evaluate(own, cutoffs=CUTOFFS)
    return Record(
        schema=1,
        scale="small",
        cell=cell,
        synthetic=False,
        metrics=evaluation.metrics,
        stable={"map": evaluation.metrics["map"]},
        chance=chance(labels[:8], labels[8:], CUTOFFS),
        per_query_ap=evaluation.per_query_ap.tolist(),
        query_rows=range(8),
        training={"selection": "last-epoch"},
    )


def drawn(spec, records, context):
    points = spec.points(records, context)
    with house_style():
        return points, spec.draw(points, context, ("title",)).axes


def test_points_are_those_of_the_records(spec, context):
    own = spec(seeds=[0, 1])
    records = [record_of(cell) for cell in own.cells()]
    points, panels = drawn(own, records, context)
    by_cell = {record.cell: record.metrics for record in records}

    def mean(bits, of):
        return np.mean([of(by_cell[own.cell("covid_ct", "csq", "none", bits, s)]) for s in (0, 1)])

    csq = points[points["row"] == "CSQ"]
    against_bits = csq[csq["measure"] == "ndcg_at@10"]
    assert against_bits["value"].tolist() == pytest.approx(
        [mean(bits, lambda m: m.ndcg_at[10]) for bits in BITS]
    )
    against_depth = csq[csq["measure"] == "acg_at"]
    assert against_depth["k"].tolist() == [*CUTOFFS]
    assert set(against_depth["bits"]) == {16}
    assert against_depth["value"].tolist() == pytest.approx(
        [mean(16, lambda m, k=k: m.acg_at[k]) for k in CUTOFFS]
    )
    expected = [records[0].chance["random"].acg_at[k] for k in CUTOFFS]
    assert against_depth["random"].tolist() == pytest.approx(expected)
    assert against_depth["n_seeds"].tolist() == [2, 2, 2]
    assert len(points) == 2 * (2 * len(BITS) + len(CUTOFFS))
    titles = [axes.get_title() for axes in panels if axes.get_title()]
    assert titles == ["NDCG@10", "weighted mAP", "ACG@K, 16 bits"]
    lines = panels[0].get_lines()
    assert [line.get_label() for line in lines] == ["HashNet", "CSQ", "random order"]
    assert lines[1].get_ydata().tolist() == pytest.approx(against_bits["value"].tolist())
    assert panels[2].get_xscale() == "log"


def test_what_did_not_run_is_said(spec, context):
    own = spec(datasets=["covid_ct", "brain_tumor_mri"], available=["covid_ct"])
    records = [record_of(cell) for cell in own.cells()]
    points, panels = drawn(own, records, context)
    missing = points[points["dataset"] == "brain_tumor_mri"]
    assert set(missing["status"]) == {"not run"}
    assert missing["value"].isna().all()
    texts = [text.get_text() for axes in panels for text in axes.texts]
    assert len(texts) == len(PANELS)
    assert all("the dataset is not part of this" in " ".join(text.split()) for text in texts)


def test_a_run_without_the_depths_length_takes_its_longest(spec):
    assert spec().restricted(None, {"bits": (8,)}) == {"depth_bits": 8}
    assert spec().restricted(None, {"bits": (16,)}) == {}
    assert spec().restricted(None, {}) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth_bits": None}, "'depth_bits' belongs to measures against the depth"),
        ({"measures": ["map"]}, "'depth_bits' belongs to measures against the depth"),
        ({"depth_bits": 24}, "'depth_bits': 24 is none of 'bits'"),
        ({"measures": ["mapp"], "depth_bits": None}, "unknown measure 'mapp'"),
        ({"measures": ["fps", "acg_at"]}, "fps is no score of a cell"),
    ],
)
def test_what_cannot_be_drawn_is_refused(spec, changes, said):
    with pytest.raises(ValueError, match=said):
        spec(**changes)


def test_files(spec, context, tmp_path):
    """Of a whole figure, the same bytes each time."""
    from medhash.analysis.figures.make import make_figure

    own = spec()
    records = [record_of(cell) for cell in own.cells()]
    paths = [make_figure(own, records, context, tmp_path / name, None) for name in ("a", "b")]
    assert [path.suffix for path in paths[0]] == [".pdf", ".png", ".csv"]
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
    frame = pd.read_csv(paths[0][2])
    assert frame["status"].eq("ran").all()
