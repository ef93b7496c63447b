"""Gains under readings: which cells they need, what they are, and what is said of printed ones."""

from csv import DictReader

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.numbers.gains import Gain, gain
from medhash.analysis.numbers.multiverse import verdict
from medhash.analysis.tables.make import make_table
from medhash.papers.ablations import Ablation

BASELINE = (0.70, 0.72, 0.71, 0.69)
GAINS = {"ach": (0.03, 0.02, 0.025, 0.018), "ach~large": (-0.1, -0.12, -0.09, -0.11)}
READINGS = {
    "large masks": "large",
    "over the batch": "batch",
    "other csq": "own",
    "longer": "longer",
}
CHANGES = {
    "large masks": {"lcr": {"mask_scales": [[8, 8]]}},
    "over the batch": {"dbw": {"population": "batch"}},
    "other csq": {"methods": {"csq": {"weight": 2.0}}},
    "longer": {"hashing": {"epochs": 60}},
}


@pytest.fixture
def changes():
    return {
        "kind": "multiverse",
        "name": "multiverse",
        "title": "Gains",
        "printed_in": "table3",
        "datasets": ["covid_ct"],
        "variants": ["none", "dbw", "lcr", "ach"],
        "methods": ["hashnet", "csq"],
        "readings": READINGS,
        "changes": CHANGES,
        "seeds": [0, 1, 2, 3],
    }


@pytest.fixture
def records(record):
    """HashNet's baseline and ACH as it is and with large masks; CSQ nowhere."""
    values = {"none": BASELINE} | {v: np.add(BASELINE, own) for v, own in GAINS.items()}
    return [
        record(f"ach/covid_ct/hashnet/{variant}/8/{seed}", float(value))
        for variant, own in values.items()
        for seed, value in enumerate(own)
    ]


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"lcr": {"key_points": 2}}, {"lcr", "ach", "lfr", "dbw+lfr"}),
        ({"dbw": {"population": "batch"}}, {"dbw", "ach", "dbw+lfr"}),
        ({"methods": {"csq": {"weight": 2.0}}}, set()),
        ({"methods": {"hashnet": {"scale": 2.0}}}, {"none", "dbw", "lcr", "ach", "lfr", "dbw+lfr"}),
        ({"hashing": {"epochs": 60}}, {"none", "dbw", "lcr", "ach", "lfr", "dbw+lfr"}),
        (
            {"dbw": {"population": "batch"}, "lcr": {"key_points": 2}},
            {"dbw", "lcr", "ach", "lfr", "dbw+lfr"},
        ),
    ],
)
def test_an_ablation_touches_what_its_settings_decide(change, touched):
    every = ("none", "dbw", "lcr", "ach", "lfr", "dbw+lfr")
    ablation = Ablation.model_validate(change)
    assert {variant for variant in every if ablation.touches("hashnet", variant)} == touched


def test_a_reading_trains_only_what_it_touches(table_spec, changes):
    cells = table_spec(**changes).cells()
    assert len(set(cells)) == len(cells)
    trained = {(cell.method, cell.variant) for cell in cells}
    expected = {(m, v) for m in ("hashnet", "csq") for v in ("none", "dbw", "lcr", "ach")}
    expected |= {(m, f"{v}~large") for m in ("hashnet", "csq") for v in ("lcr", "ach")}
    expected |= {(m, f"{v}~batch") for m in ("hashnet", "csq") for v in ("dbw", "ach")}
    expected |= {("csq", f"{v}~own") for v in ("none", "dbw", "lcr", "ach")}
    expected |= {(m, f"{v}~longer") for m, v in expected if "~" not in v}
    assert trained == expected
    assert len(cells) == 4 * len(expected)


def test_a_gain_is_over_the_baseline_under_the_same_reading(table_spec, changes, record, context):
    values = {"none": 0.5, "ach": 0.6, "none~longer": 0.8, "ach~longer": 0.7, "ach~large": 0.75}
    records = [record(f"ach/covid_ct/hashnet/{v}/8/0", own) for v, own in values.items()]
    points = table_spec(**changes).points(records, context)
    own = points[points["status"] == "ran"].set_index(["reading", "variant"])["gain_points"]
    assert own.to_dict() == pytest.approx(
        {("default", "ach"): 10.0, ("longer", "ach"): -10.0, ("large masks", "ach"): 25.0}
    )


def test_intervals_and_corrected_tests(table_spec, changes, records, with_reported):
    points = table_spec(**changes).points(records, with_reported)
    ran = points[points["status"] == "ran"].set_index("ablation")
    assert list(ran.index) == ["", "large"]
    # the report finds a number by the title of its row
    assert ran["row"].tolist()[0] == "HashNet+ACH, default"
    raw = {}
    for ablation, variant in (("", "ach"), ("large", "ach~large")):
        test = ttest_1samp(100 * np.asarray(GAINS[variant]), 0)
        interval = test.confidence_interval(0.95)
        row = ran.loc[ablation]
        assert row["interval_least_points"] == pytest.approx(interval.low)
        assert row["interval_greatest_points"] == pytest.approx(interval.high)
        assert row["p_value"] == pytest.approx(test.pvalue)
        raw[ablation] = test.pvalue
    small, large = sorted(raw.values())
    expected = {v: min(1, max(2 * small, v)) if v == large else 2 * v for v in raw.values()}
    for ablation, p_value in raw.items():
        assert ran.loc[ablation, "p_holm"] == pytest.approx(expected[p_value])
    # Table III: HashNet 78.87, HashNet+ACH 80.68
    assert ran["printed_points"].tolist() == pytest.approx([1.81, 1.81])
    assert ran["verdict"].tolist() == ["sign and size", "cannot"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_verdict_follows_from_the_interval(sign):
    def said(mean, half, printed, seeds=(0, 1, 2, 3)):
        return verdict(Gain(sign * mean, half, 0.01, seeds), sign * printed)

    assert said(3.0, 1.0, 3.5) == "sign and size"
    assert said(3.0, 1.0, 1.0) == "sign and size"
    assert said(3.0, 1.0, 4.5) == "sign only"
    assert said(3.0, 1.0, -0.5) == "cannot"
    assert said(0.9, 1.0, 1.5) == "undecided by 4 seeds"
    assert said(3.0, None, 3.0, (0,)) == "undecided by 1 seed"


def test_seeds_are_paired_by_number():
    own, other = {0: 0.5, 2: 0.9, 3: 0.7}, {3: 0.5, 0: 0.4}
    found = gain(own, other)
    assert found.seeds == (0, 3)
    assert found.mean == pytest.approx(15.0)
    assert gain({1: 0.5}, {2: 0.5}) is None
    same = gain({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5})
    assert (same.p_value, same.sign, same.verdict) == (1.0, 0, "undecided")
    assert gain({0: 0.1, 1: 0.11}, {0: 0.2, 1: 0.2}).verdict == "lower"


@pytest.mark.parametrize("kind", ["table", "figure"])
def test_a_tiny_p_value_is_not_printed_as_0(
    kind, table_spec, figure_spec, changes, record, with_reported, tmp_path
):
    gains = 0.1 + 1e-5 * np.arange(4)
    records = [
        record(f"ach/covid_ct/hashnet/{variant}/8/{seed}", 0.5 + float(own))
        for variant, values in {"none": np.zeros(4), "ach": gains}.items()
        for seed, own in enumerate(values)
    ]
    if kind == "table":
        paths = make_table(table_spec(**changes), records, with_reported, tmp_path / "out")
    else:
        paths = make_figure(figure_spec(**changes), records, with_reported, tmp_path / "out", None)
    (path,) = [path for path in paths if path.suffix == ".csv"]
    (row,) = [row for row in DictReader(path.open(encoding="utf-8")) if row["status"] == "ran"]
    p_value = ttest_1samp(100 * gains, 0).pvalue
    assert 0 < p_value < 1e-9
    for column in ("p_value", "p_holm"):
        assert float(row[column]) == pytest.approx(p_value, rel=1e-6, abs=0)


def test_the_table_names_what_is_missing_and_counts_verdicts(
    table_spec, changes, records, with_reported, make
):
    made = make(table_spec(**changes), records, with_reported)
    rows = made.printed()
    mean = 100 * np.mean(GAINS["ach"])
    (gain_text, p_value, printed, said) = rows["HashNet, default"][8:12]
    assert gain_text.replace("*", "").startswith(f"+{mean:.2f} ± ")
    assert (printed, said) == ("+1.81", "sign and size")
    assert float(p_value) < 0.05
    assert rows["HashNet, large masks"][:4] == ["·"] * 4
    assert rows["HashNet, over the batch"][8] == "not run"
    assert "HashNet, other csq" not in rows
    assert "CSQ, other csq" in rows
    missing = next(note for note in made.notes if "not run" in note)
    assert missing.startswith("COVID-CT-Dataset: 25 of 28 not run (no record yet): HashNet+DBW, ")
    counts = made.markdown.split("Methods by verdict")[1]
    (line,) = [line for line in counts.splitlines() if line.startswith("| large masks ")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == [
        "·",
        "0 / 0 / 0 / 0",
        "0 / 0 / 1 / 0",
    ]


def test_the_figure_has_a_panel_a_method_and_a_line_a_reading(
    figure_spec, changes, records, with_reported, tmp_path
):
    spec = figure_spec(**changes)
    paths = make_figure(spec, records, with_reported, tmp_path / "figure", None)
    assert all(path.stat().st_size for path in paths)
    with house_style():
        (row,) = spec.drawn(records, with_reported, None)[1]().subfigs
    hashnet, csq = row.axes
    assert [text.get_text() for text in hashnet.get_yticklabels()] == ["default", *READINGS]
    assert csq.texts[0].get_text() == "not run"
    ach = hashnet.containers[2].lines[0]
    assert ach.get_xdata()[:2] == pytest.approx([100 * np.mean(own) for own in GAINS.values()])
    assert np.diff(ach.get_ydata()[:2]) == pytest.approx(1)
