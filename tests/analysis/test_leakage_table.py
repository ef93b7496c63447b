"""mAP with and without leakage: which queries leak, ranks, gains, verdicts, random orders."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.analysis.tables.make import make_table
from medhash.configuration.loading import load
from medhash.data.splits.manifest import read_split
from medhash.files import sha256_of_file, write_json

CONFIG = Path(__file__).resolve().parents[2] / "config/config.yaml"
CHANGES = {
    "kind": "leakage",
    "name": "leakage",
    "title": "With and without leakage",
    "datasets": ["covid_ct", "covid_ct+clean", "brain_tumor_mri", "brain_tumor_mri+clean"],
    "transfers": {
        "brain_tumor_mri": {"origin": "covid_ct", "methods": ["csq"], "variants": ["none", "ach"]}
    },
    "methods": ["hashnet", "csq"],
    "variants": ["none", "ach"],
    "seeds": [0, 1, 2],
}
# Queries 0 to 3; 0 shares its patient with image 4, 1 is near image 5, 2 has nothing in common.
PATIENTS = ["p0", "p1", "p2", "", "p0", "p5", "p6", ""]
HASHES = [0x0, 0xFF00, 0xFF0000, 0xFF000000, 0xF << 32, 0xFF01, 0xF << 40, 0xF << 48]
CLASSES = ["a", "b", "a", "b", "a", "a", "b", "b"]
ROLES = ["query"] * 4 + ["database"] * 4
FREE = {"covid_ct": {2, 3}, "brain_tumor_mri": {0, 2, 3}}
RULES = {
    "covid_ct": {"rule": "random", "query": 4, "group_by": ["patient_id"], "near_distance": 2},
    "brain_tumor_mri": {"rule": "official", "near_distance": 2, "leave_out": "database"},
}
# Of COVID-CT's clean split other images are queries; of Brain Tumor's the same.
CLEAN_ROLES = {
    "covid_ct": ["database"] * 4 + ["query"] * 4,
    "brain_tumor_mri": [*ROLES[:5], "none", *ROLES[6:]],
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The scale ``small`` with both datasets, eight images each, and both splits of each."""
    configuration = load(CONFIG, {"scale": "small"})
    monkeypatch.chdir(tmp_path)
    for dataset, rule in RULES.items():
        folder = configuration.data_for("ach", dataset)
        folder.mkdir(parents=True)
        ids = [f"i{row}" for row in range(len(ROLES))]
        columns = {"image_id": ids, "classes": CLASSES, "patient_id": PATIENTS}
        hashes = [f"{value:016x}" for value in HASHES]
        index = pd.DataFrame(columns | {"perceptual_hash": hashes, "pixel_sha256": ids})
        index.to_csv(folder / "index.csv", index=False)
        for name, roles in ((dataset, ROLES), (f"{dataset}+clean", CLEAN_ROLES[dataset])):
            path = configuration.split_for("ach", name)
            path.parent.mkdir(parents=True)
            manifest = {"row": range(len(ids)), "image_id": ids, "role": roles, "train": 0}
            pd.DataFrame(manifest).to_csv(path, index=False)
            told = {"dataset": dataset, "seed": 0, "sizes": {}, "rule": rule}
            write_json(path.with_suffix(".json"), told | {"manifest_sha256": sha256_of_file(path)})
    return configuration


@pytest.fixture
def records(record):
    """All cells but CSQ's on COVID-CT's clean split; AP falls from query to query."""

    def aps(dataset, method, variant, seed):
        least = {"hashnet": 0.5, "csq": 0.4}[method] + {"none": 0, "ach": 0.1}[variant]
        least -= (
            0.3 * dataset.endswith("+clean") * (1 if method == "csq" or variant == "ach" else 0.1)
        )
        return [least + 0.02 * seed * (1 + (variant == "ach")) - 0.03 * q for q in range(4)]

    def made(dataset, origin, methods):
        first = 4 if dataset == "covid_ct+clean" else 0
        return [
            record(
                f"ach/{dataset}{origin}/{method}/{variant}/8/{seed}",
                aps(dataset, method, variant, seed),
                rows=range(first, first + 4),
            )
            for method in methods
            for variant in ("none", "ach")
            for seed in range(3)
        ]

    return [
        *made("covid_ct", "", ["hashnet", "csq"]),
        *made("covid_ct+clean", "", ["hashnet"]),
        *made("brain_tumor_mri", "@covid_ct", ["csq"]),
        *made("brain_tumor_mri+clean", "@covid_ct", ["csq"]),
    ]


@pytest.fixture
def points(table_spec, records, context, files):
    key = ["dataset", "scored", "method", "variant"]
    made = table_spec(**CHANGES).points(records, replace(context, files=files))
    return made.set_index(key).sort_index()


def of(records, dataset, method, variant, queries=None):
    """mAP in percent of each seed on some queries, by loops."""
    found = []
    for each in records:
        if (each.cell.dataset, each.cell.method, each.cell.variant) == (dataset, method, variant):
            pairs = zip(each.query_rows, each.per_query_ap, strict=True)
            found.append(100 * np.mean([ap for q, ap in pairs if queries is None or q in queries]))
    return np.array(found)


@pytest.mark.parametrize("dataset", RULES)
def test_queries_that_have_a_partner_are_scored_apart(dataset, points, records):
    parts = {"paper's split": None, "clean queries": FREE[dataset]}
    parts["leaking queries"] = {0, 1, 2, 3} - FREE[dataset]
    for scored, queries in parts.items():
        point = points.loc[(dataset, scored, "csq", "ach")]
        own = of(records, dataset, "csq", "ach", queries)
        interval = ttest_1samp(own, 0).confidence_interval(0.95)
        assert point["queries"] == len(queries or range(4))
        assert point["map_percent"] == pytest.approx(own.mean())
        assert point["interval_least_percent"] == pytest.approx(interval.low)


def test_leakage_is_the_difference_to_the_clean_split_seed_by_seed(points, records):
    point = points.loc[("brain_tumor_mri", "clean split", "csq", "ach")]
    differences = of(records, "brain_tumor_mri", "csq", "ach") - of(
        records, "brain_tumor_mri+clean", "csq", "ach"
    )
    assert point["leakage_points"] == pytest.approx(differences.mean())
    assert point["origin"] == "covid_ct"


def test_leaking_queries_are_scored_without_partners_only_where_they_are_queries(points, records):
    point = points.loc[("brain_tumor_mri", "leaking queries, clean", "csq", "none")]
    own = of(records, "brain_tumor_mri+clean", "csq", "none", {1})
    assert point["map_percent"] == pytest.approx(own.mean())
    assert ("covid_ct", "leaking queries, clean") not in points.index.droplevel([2, 3])


def test_a_method_has_its_place_among_those_of_one_variant(points):
    ranks = points.loc[("covid_ct", "paper's split")]["rank"]
    assert ranks.to_dict() == {
        ("hashnet", "none"): 1,
        ("hashnet", "ach"): 1,
        ("csq", "none"): 2,
        ("csq", "ach"): 2,
    }
    assert points.loc[("covid_ct", "clean split", "hashnet", "ach")]["rank"] == 1


def test_a_gain_is_decided_by_its_interval(points, records):
    for scored, dataset in (("paper's split", "covid_ct"), ("clean split", "covid_ct+clean")):
        point = points.loc[("covid_ct", scored, "hashnet", "ach")]
        gains = of(records, dataset, "hashnet", "ach") - of(records, dataset, "hashnet", "none")
        interval = ttest_1samp(gains, 0).confidence_interval(0.95)
        assert point["gain_least_points"] == pytest.approx(interval.low)
        assert point["gain_greatest_points"] == pytest.approx(interval.high)
        sign = "higher" if interval.low > 0 else "lower" if interval.high < 0 else "undecided"
        assert point["verdict"] == sign
    verdicts = [
        points.loc[("covid_ct", s, "hashnet", "ach")]["verdict"]
        for s in ("paper's split", "clean split")
    ]
    assert verdicts == ["higher", "lower"]


def test_a_random_order_is_that_of_the_queries(points, files):
    def expected(manifest, queries):
        database = [r for r, role in enumerate(manifest["role"]) if role == "database"]
        found = []
        for query in queries:
            for order in permutations(database):
                hits = [CLASSES[query] == CLASSES[row] for row in order]
                places = [place for place, hit in enumerate(hits) if hit]
                found.append(np.mean([(n + 1) / (place + 1) for n, place in enumerate(places)]))
        return 100 * np.mean(found)

    for dataset in RULES:
        for scored, queries, name in (
            ("clean queries", FREE[dataset], dataset),
            ("leaking queries", {0, 1, 2, 3} - FREE[dataset], dataset),
        ):
            manifest = read_split(files.split_for("ach", name))
            point = points.loc[(dataset, scored, "csq", "none")]
            assert point["random_order_percent"] == pytest.approx(expected(manifest, queries))
    manifest = read_split(files.split_for("ach", "brain_tumor_mri+clean"))
    point = points.loc[("brain_tumor_mri", "clean split", "csq", "none")]
    assert point["random_order_percent"] == pytest.approx(expected(manifest, range(4)))


def test_the_table_says_what_changes(table_spec, records, context, files, tmp_path):
    spec = table_spec(**CHANGES)
    csv, text, tex = (
        path.read_text()
        for path in make_table(spec, records, replace(context, files=files), tmp_path / "table")
    )
    (row,) = [line for line in text.splitlines() if line.startswith("| HashNet+ACH ")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells[4:] == ["–"] * 4
    assert cells[0].endswith("(1) ↑")
    assert cells[2].endswith("(1) ↓")
    assert "1 of 1 variants compare otherwise with their baseline" in text
    assert "on average over the rows its leaking queries have" in text
    assert csv.count("\n") == 1 + 4 * 4 + 2 * 5
    assert "COVID-CT-Dataset $\\rightarrow$ Brain Tumor, 8 bits" in tex


def test_cells_are_those_of_both_splits(table_spec, records):
    spec = table_spec(**CHANGES)
    cells = [*map(str, spec.cells())]
    assert len(cells) == 2 * (4 + 2) * 3
    assert "ach/brain_tumor_mri+clean@covid_ct/csq/ach/8/2" in cells
    assert {*map(str, (each.cell for each in records))} < {*cells}


def test_the_figure_has_a_panel_a_dataset(figure_spec, records, context, files, tmp_path):
    spec, context = figure_spec(**CHANGES), replace(context, files=files)
    paths = make_figure(spec, records, context, tmp_path / "figure", files)
    assert all(path.stat().st_size for path in paths)
    with house_style():
        axes = spec.drawn(records, context, files)[1]().axes
    assert [each.get_title() for each in axes] == [
        "COVID-CT-Dataset, 8 bits",
        "COVID-CT-Dataset → Brain Tumor, 8 bits",
    ]
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == ["HashNet", "HashNet+ACH", "CSQ", "CSQ+ACH"]
    paper, free, clean = (bars.lines[0].get_xdata() for bars in axes[0].containers)
    assert len(paper) == len(free) == 4
    assert len(clean) == 2


def test_nothing_of_the_figure_is_cut(figure_spec, records, context, files):
    title = "A Dataset of Radiographs with a Long Name"
    paper = context.paper.model_copy(
        update={"datasets": {"covid_ct": title, "brain_tumor_mri": title}}
    )
    context = replace(context, files=files, paper=paper)
    with house_style():
        figure = figure_spec(**CHANGES).drawn(records, context, files)[1]()
        figure.draw_without_rendering()
    for axes in figure.axes:
        drawn = axes.title.get_window_extent()
        assert figure.bbox.x0 <= drawn.x0
        assert drawn.x1 <= figure.bbox.x1
        least, greatest = sorted(axes.get_ylim())
        assert least < min(axes.get_yticks()) - 0.4
        assert greatest > max(axes.get_yticks()) + 0.4


@pytest.mark.parametrize("datasets", [["covid_ct"], ["covid_ct+clean", "covid_ct"]])
def test_a_dataset_needs_its_clean_split_behind_it(table_spec, datasets):
    with pytest.raises(ValueError, match="each dataset with its split without leakage behind it"):
        table_spec(**CHANGES | {"datasets": datasets})
