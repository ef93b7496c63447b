"""Fig. 10's form: mAP against the settings of an ablation."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.figures.sensitivity import COLUMNS
from medhash.analysis.numbers.context import select
from medhash.papers.ablations import Ablation
from medhash.schema.settings import Settings

KEY_POINTS = {"1": "ach~key-points-1", "4": "ach", "8": "ach~key-points-8"}
WINDOW = {"4": "ach~window-4", "6": "ach~window-6", "12": "ach"}


@pytest.fixture
def spec(figure_spec):
    """Two panels on COVID-CT with ADSH, changed by keyword."""

    def make(**changes):
        values = {
            "name": "fig10",
            "kind": "sensitivity",
            "title": "Sensitivity of mAP",
            "datasets": ["covid_ct"],
            "methods": ["adsh"],
            "panels": [
                {"title": "number of key points K", "points": KEY_POINTS},
                {"title": "sliding window", "points": WINDOW, "legend": "sizes in patches"},
            ],
        }
        return figure_spec(**(values | changes))

    return make


@pytest.fixture
def case(record):
    """Records of ADSH on COVID-CT by variant."""

    def make(values, seed=0, dataset="covid_ct"):
        return [record(f"ach/{dataset}/adsh/{v}/8/{seed}", ap) for v, ap in values.items()]

    return make


@pytest.fixture
def drawn(context):
    """Draw, lay out, and hand over the figure with its panels."""

    def run(spec, records):
        chosen = select(spec, records, context)
        with house_style():
            points = spec.points(chosen, context)
            figure = spec.draw(points, context, (context.heading(spec), "details"))
            figure.savefig(os.devnull, format="png")
        return figure, figure.axes

    return run


EVERY = {
    "none": 0.5,
    "ach": 0.6,
    "ach~key-points-1": 0.55,
    "ach~key-points-8": 0.58,
    "ach~window-4": 0.62,
    "ach~window-6": 0.61,
}


def test_points_are_the_panels_with_the_baseline(spec, case, context):
    points = spec().points(case(EVERY), context)
    assert list(points.columns) == list(COLUMNS)
    first = points[points["panel"] == "number of key points K"]
    # The baseline and the run's own setting are reference lines of every panel.
    assert dict(zip(first["label"], first["map"], strict=True)) == {
        "none": 0.5,
        "ach": 0.6,
        "1": 0.55,
        "4": 0.6,
        "8": 0.58,
    }
    second = points[points["panel"] == "sliding window"]
    assert second["variant"].tolist() == ["none", "ach", *WINDOW.values()]
    assert second["map"].tolist() == [0.5, 0.6, 0.62, 0.61, 0.6]
    assert set(points["status"]) == {"ran"}
    assert points["deviation"].isna().all()


def test_seeds_are_averaged(spec, case, context):
    records = [
        each
        for seed, ap in enumerate((0.5, 0.6))
        for each in case({"none": 0.4, "ach~window-4": ap}, seed)
    ]
    points = spec(seeds=[0, 1]).points(records, context)
    own = points[points["variant"] == "ach~window-4"].iloc[0]
    assert (own["map"], own["n_seeds"]) == (pytest.approx(0.55), 2)
    assert own["deviation"] == pytest.approx(0.1 / 2**0.5)


def test_missing_records_are_named_and_left_out_of_the_curve(spec, case, context, drawn):
    records = case({"none": 0.5, "ach~key-points-8": 0.58})
    points = spec().points(records, context)
    missing = points[points["label"] == "1"].iloc[0]
    assert (missing["status"], missing["note"]) == ("not run", "no record yet")
    assert np.isnan(missing["map"])
    assert pd.isna(missing["n_seeds"])
    _, (first, second) = drawn(spec(), records)
    assert _curve(first) == ([2], pytest.approx([58.0]))
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["1", "4", "8"]
    assert _curve(second)[0] == []
    # Of the second panel only the baseline ran; its line is there.
    assert _baseline(second) == [50.0]


def test_a_panel_of_which_nothing_ran_says_so(spec, case, drawn):
    both = spec(datasets=["covid_radiograph", "covid_ct"], available=["covid_ct"])
    _, panels = drawn(both, case(EVERY))
    said = ["not run\n(the dataset is not part of this run)"]
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [said, said, [], []]
    assert panels[0].get_ylabel() == "COVID-19 Radiograph\nmAP (%)"
    assert panels[2].get_ylabel() == "COVID-CT-Dataset\nmAP (%)"


def test_curve_baseline_and_own_setting_are_drawn_in_percent(spec, case, drawn):
    figure, (first, second) = drawn(spec(), case(EVERY))
    assert _curve(first) == ([0, 1, 2], pytest.approx([55.0, 60.0, 58.0]))
    assert _curve(second) == ([0, 1, 2], pytest.approx([62.0, 61.0, 60.0]))
    for axes, place in ((first, 1), (second, 2)):
        assert _baseline(axes) == [50.0]
        (own,) = [line for line in axes.get_lines() if line.get_label() == "setting of the run"]
        assert (own.get_xdata().tolist(), own.get_ydata().tolist()) == ([place], [60.0])
    assert first.get_ylim() == second.get_ylim()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == ["ADSH", "ADSH+ACH", "setting of the run"]
    assert "sizes in patches" in figure._suptitle.get_text()


def test_error_bars_are_one_deviation(spec, case, drawn):
    records = [
        each for seed, ap in enumerate((0.5, 0.6)) for each in case({"ach~window-4": ap}, seed)
    ]
    _, (_, second) = drawn(spec(seeds=[0, 1]), records)
    (bars,) = second.containers[0].lines[2]
    (segment,) = bars.get_segments()
    assert segment[:, 1].tolist() == pytest.approx([55 - 10 / 2**0.5, 55 + 10 / 2**0.5])


def test_ablations_of_equal_settings_share_a_cell(spec, case, paper, context, drawn):
    # On a grid of 4 x 4 patches, windows of 4 and 6 of the paper's 16 are 1 and round(1.5) = 2;
    # one of 7 is round(1.75) = 2 as well.
    windows = {4: "ach~window-4", 6: "ach~window-6", 7: "ach~window-7"}
    panel = {"title": "sliding window", "points": {**windows, 12: "ach"}}
    grid = spec(panels=[panel])
    sizes = {f"window-{size}": {"lcr": {"window": [size, size]}} for size in windows}
    network = {"image_size": 16, "patch_size": 4, "width": 8, "depth": 1, "heads": 1}
    lcr = {"window": [3, 3], "segment": [3, 3], "mask_scales": [[1, 1]]}
    own = paper.model_copy(
        update={
            "ablations": {name: Ablation.model_validate(change) for name, change in sizes.items()},
            "figures": {"fig10": grid},
        }
    )
    stage = {"epochs": 1, "batch_size": 1, "learning_rate": 1.0}
    stages = dict.fromkeys(("mae", "classification", "hashing"), stage)
    settings = Settings.model_validate({"network": network, "lcr": lcr, **stages})
    merged = own.merge_ablations(settings).figures["fig10"]
    assert merged.panels[0].points == {
        "4": "ach~window-4",
        "6": "ach~window-6",
        "7": "ach~window-6",
        "12": "ach",
    }
    variants = [cell.variant for cell in merged.cells()]
    assert variants == ["none", "ach", "ach~window-4", "ach~window-6"]
    records = case({"none": 0.5, "ach": 0.6, "ach~window-4": 0.4, "ach~window-6": 0.45})
    points = merged.points(records, replace(context, paper=own))
    assert points[points["label"].isin(["6", "7"])]["map"].tolist() == [0.45, 0.45]
    figure, (axes,) = drawn(merged, records)
    assert _curve(axes) == ([0, 1, 2, 3], pytest.approx([40.0, 45.0, 45.0, 60.0]))
    assert "The same there: 6 = 7 (sliding window)." in " ".join(
        figure._suptitle.get_text().split()
    )


def test_the_figure_is_written_with_its_points(spec, case, context, tmp_path):
    paths = make_figure(spec(), case(EVERY), context, tmp_path / "ach_fig10", None)
    assert [path.name for path in paths] == ["ach_fig10.pdf", "ach_fig10.png", "ach_fig10.csv"]
    points = pd.read_csv(paths[2])
    assert len(points) == 2 * 5
    assert set(points["synthetic"]) == {False}


def _curve(axes):
    """Places and heights of the points of the curve that has error bars."""
    if not axes.containers:
        return [], []
    line = axes.containers[0].lines[0]
    return list(line.get_xdata()), list(line.get_ydata())


def _baseline(axes):
    lines = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    return [line.get_ydata()[0] for line in lines]


@pytest.mark.parametrize(
    ("points", "said"), [(WINDOW, True), ({"0": "none~no-term", "1": "none"}, False)]
)
def test_only_of_sizes_in_patches_it_says_that_they_are_scaled(spec, case, drawn, points, said):
    panels = [{"title": "one", "points": points}]
    figure, _ = drawn(spec(panels=panels), case(dict.fromkeys(points.values(), 0.5)))
    texts = " ".join(text.get_text() for text in [*figure.texts, figure._suptitle] if text)
    assert ("scaled to this run's grid" in " ".join(texts.split())) == said
