from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.context import Context, select
from medhash.errors import MedhashError
from medhash.schema.variants import VARIANTS


@pytest.fixture
def draw_figure(context):
    """Draw, lay out, and hand over the figure with its panels."""

    def run(spec, records, within=context):
        chosen = select(spec, records, within)
        with house_style():
            points = spec.points(chosen, within)
            figure = spec.draw(points, within, (within.heading(spec), "details " * 60))
            figure.savefig(os.devnull, format="png")
        return figure, figure.axes

    return run


@pytest.fixture
def all_records(record):
    def make(datasets=("covid_radiograph", "covid_ct"), methods=("hashnet", "csq"), **options):
        variants = options.get("variants", ("none", "ach"))
        seeds = options.get("seeds", (0,))
        cells = product(datasets, methods, variants, options.get("bits", (8,)), seeds)
        return [
            record("/".join(map(str, ("ach", *cell))), 0.3 + 0.01 * number)
            for number, cell in enumerate(cells)
        ]

    return make


def curves(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 0]


def test_a_curve_is_drawn_from_the_record(figure_spec, all_records, draw_figure):
    records = all_records()
    _, panels = draw_figure(figure_spec(), records)
    assert [axes.get_title() for axes in panels] == [
        "COVID-19 Radiograph, 8 bits",
        "COVID-CT-Dataset, 8 bits",
    ]
    for axes, own in zip(panels, (records[:4], records[4:]), strict=True):
        assert axes.get_xscale() == "log"
        drawn = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in curves(axes)]
        assert drawn == [
            ([1.0, 10.0, 100.0], list(record.metrics.precision_at.values())) for record in own
        ]


def test_precision_recall_leaves_out_empty_radii(figure_spec, all_records, draw_figure):
    records = all_records()
    _, panels = draw_figure(figure_spec(kind="precision_recall"), records)
    curve = records[0].metrics.pr_curve
    line = curves(panels[0])[0]
    assert curve.precision[0] is None
    assert line.get_xdata().tolist() == list(curve.recall[1:])
    assert line.get_ydata().tolist() == list(curve.precision[1:])
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == ("recall", "precision")


def test_colour_is_the_method_and_line_style_the_variant(figure_spec, all_records, draw_figure):
    variants = tuple(VARIANTS)
    spec = figure_spec(datasets=["covid_ct"], variants=variants)
    records = all_records(datasets=["covid_ct"], variants=variants)
    _, (axes,) = draw_figure(spec, records)
    lines = curves(axes)
    assert len({str(line.get_color()) for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2
    looks = [(line.get_color(), line._unscaled_dash_pattern) for line in lines]
    assert len(set(map(str, looks))) == 12
    by_variant = dict(zip(variants, lines, strict=False))
    assert by_variant["none"].get_linestyle() == "--"
    assert by_variant["ach"].get_linestyle() == "-"


def test_legend_names_every_method_and_variant_outside_the_panels(
    figure_spec, all_records, draw_figure
):
    figure, panels = draw_figure(figure_spec(bits=[8, 16]), all_records(bits=(8, 16)))
    assert len(panels) == 4
    (legend,) = figure.legends
    names = [text.get_text().strip() for text in legend.get_texts()]
    assert names == ["Method", "HashNet", "CSQ", "", "Variant", "baseline", "+ACH"]
    frame = legend.get_window_extent()
    for axes in panels:
        assert not frame.overlaps(axes.get_tightbbox())
    title = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 <= title.x0
    assert title.x1 <= figure.bbox.x1
    assert not any(title.overlaps(axes.get_tightbbox()) for axes in panels)


def test_panels_and_curves_that_did_not_run_say_so(figure_spec, all_records, draw_figure, paper):
    records = all_records(datasets=["covid_ct"])[:3]
    spec = figure_spec(available=["covid_ct"])
    within = Context(paper, "small", "tie-aware", {"covid_radiograph": "archive not found"})
    _, (empty, partial) = draw_figure(spec, records, within)
    assert [text.get_text() for text in empty.texts] == ["not run\n(archive not found)"]
    assert curves(empty) == []
    assert partial.get_title() == "COVID-CT-Dataset, 8 bits\nnot run: CSQ+ACH"
    assert len(curves(partial)) == 3


def test_seeds_are_averaged_with_a_band(figure_spec, record, draw_figure):
    records = [record(f"ach/covid_ct/csq/none/8/{s}", ap) for s, ap in enumerate((0.4, 0.6))]
    spec = figure_spec(datasets=["covid_ct"], methods=["csq"], variants=["none"], seeds=[0, 1])
    _, (axes,) = draw_figure(spec, records)
    assert curves(axes)[0].get_ydata() == pytest.approx([0.5, 0.45, 0.25])
    band = axes.collections[0].get_paths()[0].get_extents()
    # Standard deviation of 0.4 and 0.6, and of 0.2 and 0.3.
    assert band.y1 == pytest.approx(0.5 + 0.02**0.5)
    assert band.y0 == pytest.approx(0.25 - 0.005**0.5)


def test_phantoms_and_run_are_in_the_title(figure_spec, record, context):
    spec = figure_spec(datasets=["phantom_covid_ct"])
    chosen = select(spec, [record("ach/phantom_covid_ct/csq/none/8/0", 0.4)], context)
    assert context.heading(spec) == "Synthetic phantoms, not real images. Precision at K."
    assert context.details(spec, chosen).startswith(
        "Phantom of COVID-CT-Dataset; scale small; seed 0; last epoch;"
    )


@pytest.mark.parametrize("kind", ["retrieved", "salient_maps", "tsne", "lesions"])
def test_the_caption_of_a_picture_names_no_protocol_of_ties(figure_spec, record, context, kind):
    records = [record("ach/covid_ct/csq/none/8/0", 0.4)]
    assert context.details(figure_spec(kind=kind), records) == (
        "COVID-19 Radiograph (not run), COVID-CT-Dataset; scale small; seed 0; last epoch."
    )
    scored = context.details(figure_spec(kind="precision_recall"), records)
    assert scored.endswith("tie-aware protocol (expectation over the order of equal distances).")


def test_the_drawn_points_stand_beside_the_pictures(figure_spec, all_records, context, tmp_path):
    records = all_records(datasets=["covid_ct"])
    spec = figure_spec(available=["covid_ct"])
    paths = make_figure(spec, records, context, tmp_path / "figures" / "ach_fig7", None)
    assert [path.name for path in paths] == ["ach_fig7.pdf", "ach_fig7.png", "ach_fig7.csv"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        path.name for path in paths
    )
    points = pd.read_csv(paths[2])
    ran = points[points["row"].eq("CSQ+ACH") & points["column"].eq("COVID-CT-Dataset/8 bits")]
    assert ran["k"].tolist() == [1, 10, 100]
    expected = list(records[3].metrics.precision_at.values())
    assert ran["precision"].tolist() == pytest.approx(expected, abs=1e-8)
    missing = points[points["dataset"].eq("covid_radiograph")]
    assert set(missing["status"]) == {"not run"}
    assert len(missing) == 4
    pixels = np.asarray(Image.open(paths[1]).convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_a_foreign_record_leaves_no_file(figure_spec, record, context, tmp_path):
    with pytest.raises(MedhashError, match="scales never mix"):
        make_figure(
            figure_spec(),
            [record("ach/covid_ct/csq/none/8/0", 0.4, scale="demo")],
            context,
            tmp_path / "ach_fig7",
            None,
        )
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import json, sys
from pathlib import Path
from medhash.analysis.numbers.context import Context
from medhash.analysis.figures.make import make_figure
from medhash.records.record import Record
from medhash.papers.kinds import FIGURES
from medhash.papers.paper import Paper
given = json.load(open("given.json"))
records = [Record.model_validate(values) for values in given["records"]]
context = Context(Paper(**given["paper"]), "small", "tie-aware")
make_figure(FIGURES.read(given["spec"]), records, context, Path(sys.argv[1]), None)
"""


def test_two_processes_write_the_same_bytes(figure_spec, paper, record_values, tmp_path):
    cells = product(("covid_radiograph", "covid_ct"), ("hashnet", "csq"), ("none", "ach"))
    records = [record_values(f"ach/{d}/{m}/{v}/8/0", 0.4) for d, m, v in cells]
    given = {
        "records": records,
        "paper": paper.model_dump(mode="json"),
        "spec": figure_spec().model_dump(mode="json"),
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "matplotlibrc").write_text("axes.titlepad: 30\nxtick.labelsize: 20\n")
    surroundings = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "MATPLOTLIBRC": str(tmp_path / "user")},
    ]
    digests = []
    for number, environment in enumerate(surroundings):
        subprocess.run(
            [sys.executable, "-c", PROGRAM, f"{number}/ach_fig7"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            check=True,
        )
        files = sorted((tmp_path / str(number)).iterdir())
        digests.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert digests[0] == digests[1]
    assert len(digests[0]) == 3
    assert b"CreationDate" not in (tmp_path / "0" / "ach_fig7.pdf").read_bytes()
