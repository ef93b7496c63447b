"""mAP against the strength of a confounder: intervals, differences, panels."""

from csv import DictReader
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.confounding import CSV_COLUMNS, panels_of
from medhash.analysis.numbers.statistics import holm, mean_and_half_width, p_of_mean
from medhash.analysis.tables.make import make_table

STRENGTHS = (0, 0.5, 1)
DATASETS = [
    *(f"phantom_covid_radiograph~penetration-{strength}" for strength in STRENGTHS),
    *(f"phantom_covid_ct~window-{strength}" for strength in STRENGTHS),
]
MAPS = {"none": (0.5, 0.6, 0.55), "ach": (0.7, 0.65, 0.8)}


@pytest.fixture
def changes():
    return {
        "kind": "confounding",
        "name": "confounding",
        "title": "mAP against strength",
        "datasets": DATASETS,
        "confounders": dict.fromkeys(DATASETS, "window"),
        "strengths": STRENGTHS,
        "methods": ["hashnet", "csq"],
        "variants": ["none", "ach"],
        "seeds": [0, 1, 2],
    }


@pytest.fixture
def records(record):
    """HashNet on both phantoms but for the CT at strength 1; CSQ nowhere."""
    return [
        record(f"ach/{dataset}/hashnet/{variant}/8/{seed}", value)
        for dataset in DATASETS[:-1]
        for variant, values in MAPS.items()
        for seed, value in enumerate(values)
    ]


def test_the_interval_is_that_of_the_t_test():
    values = np.random.default_rng(3).normal(50, 10, 7)
    mean, half = mean_and_half_width(values)
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((interval.low, interval.high))
    assert mean_and_half_width([3.0]) == (3.0, None)


def test_points_are_means_over_seeds_with_paired_differences(table_spec, changes, records, context):
    points = table_spec(**changes).points(records, context)
    assert len(points) == 2 * 3 * 2 * 2
    key = ["phantom", "strength", "method", "variant"]
    point = points.set_index(key).loc[("phantom_covid_ct", 0.5, "hashnet", "ach")]
    assert point["map_percent"] == pytest.approx(100 * np.mean(MAPS["ach"]))
    differences = 100 * np.subtract(MAPS["ach"], MAPS["none"])
    interval = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert point["difference_points"] == pytest.approx(differences.mean())
    assert point["difference_least_points"] == pytest.approx(interval.low)
    assert point["difference_greatest_points"] == pytest.approx(interval.high)
    assert point["seeds"] == "0 1 2"
    missing = points.set_index(key).loc[("phantom_covid_ct", 1.0, "hashnet", "ach")]
    assert missing["status"] == "not run"


def test_the_p_value_is_that_of_the_t_test():
    values = np.random.default_rng(3).normal(1, 1, 4)
    assert p_of_mean(values) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert [p_of_mean([0.5]), p_of_mean([0.0, 0.0]), p_of_mean([0.5, 0.5])] == [None, 1.0, 0.0]


def test_all_differences_of_a_table_are_corrected_together(
    table_spec, changes, records, context, tmp_path
):
    points = table_spec(**changes).points(records, context)
    own = points[points["difference_points"].notna()]
    alone = [
        ttest_1samp(100 * np.subtract(MAPS["ach"], MAPS["none"]), 0).pvalue
    ] * 5  # places that ran
    assert own["difference_p_value"].tolist() == pytest.approx(alone)
    assert own["difference_p_holm"].tolist() == pytest.approx(holm(alone).tolist())
    notes = make_table(table_spec(**changes), records, context, tmp_path / "table")[1].read_text()
    assert "Of 5 differences to the baseline 0 have an interval without 0" in notes


def test_the_committed_experiment_is_corrected_over_its_144_intervals():
    path = Path(__file__).resolve().parents[2] / "docs/confounding.csv"
    lines = list(DictReader(path.open(encoding="utf-8")))
    assert tuple(lines[0]) == CSV_COLUMNS
    own = [line for line in lines if line["difference_points"]]
    p_values = [float(line["difference_p_value"]) for line in own]
    assert len(p_values) == 144
    for line, p_value in zip(own, p_values, strict=True):
        ends = [float(line[f"difference_{end}_points"]) for end in ("least", "greatest")]
        assert (p_value <= 0.05) == (ends[0] > 0 or ends[1] < 0)
    corrected = [float(line["difference_p_holm"]) for line in own]
    assert corrected == pytest.approx(holm(p_values).tolist(), rel=1e-5)
    assert sum(each <= 0.05 for each in corrected) == 4


def test_panels_keep_the_order_of_datasets_and_sort_strengths(table_spec, changes):
    spec = table_spec(**(changes | {"datasets": DATASETS[::-1]}))
    panels = panels_of(spec)
    assert [panel.confounder for panel in panels] == ["window", "penetration"]
    assert all([n.strength for n in names] == list(STRENGTHS) for names in panels.values())


def test_the_table_prints_strengths_as_columns(table_spec, changes, records, context, tmp_path):
    spec = table_spec(**changes)
    csv, text, tex = (
        path.read_text() for path in make_table(spec, records, context, tmp_path / "table")
    )
    assert text.startswith("**Synthetic phantoms, not real images. mAP against strength.")
    assert "Phantom of COVID-CT-Dataset, confounder: window<br>strength 0.5" in text
    mean, half = mean_and_half_width(100 * np.asarray(MAPS["ach"]))
    (row,) = [line for line in text.splitlines() if line.startswith("| HashNet+ACH ")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells == [f"{mean:.2f} ± {half:.2f}"] * 5 + ["not run"]
    assert "14 of 24 places have not run." in text
    assert csv.count("\n") == 25
    assert tex.count("& not run") == 14


def test_the_figure_has_a_row_a_phantom_and_a_column_a_method(
    figure_spec, changes, records, context, tmp_path
):
    spec = figure_spec(**changes)
    paths = make_figure(spec, records, context, tmp_path / "figure", None)
    assert all(path.stat().st_size for path in paths)
    with house_style():
        rows = spec.drawn(records, context, None)[1]().subfigs
    assert [row.get_suptitle() for row in rows] == [
        "Phantom of COVID-19 Radiograph, confounder: penetration",
        "Phantom of COVID-CT-Dataset, confounder: window",
    ]
    hashnet, csq = rows[1].axes
    assert [hashnet.get_title(), csq.get_title()] == ["HashNet", "CSQ"]
    assert csq.texts[0].get_text().startswith("not run")
    baseline, ach = (bars.lines[0] for bars in hashnet.containers)
    assert ach.get_ydata()[0] == pytest.approx(100 * np.mean(MAPS["ach"]))
    assert len(ach.get_xdata()) == 2
    assert np.abs(baseline.get_xdata() - np.array([0, 0.5])).max() < 0.05
