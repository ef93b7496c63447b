"""Hit rates of C2F-LP: means over seeds, beside chance, epoch by epoch; and places of masks."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.figures.make import make_figure
from medhash.errors import MedhashError
from medhash.papers.kinds import TABLES
from medhash.records.pointing import Pointing
from medhash.records.sources import READERS
from medhash.schema.cell import Cell

DATASETS = ["phantom_covid_ct~window-0", "phantom_covid_ct~window-0.75"]
HITS = {0: (0.2, 0.5), 1: (0.3, 0.7), 2: (0.1, 0.45)}


def facts(cell, hits, scale="small"):
    epochs = [
        {"epoch": n, "state": f"{n}", "hit": hit, "window": 0.25 + hit / 10, "chance": 0.125}
        for n, hit in enumerate(hits, start=1)
    ]
    values = {"schema": 1, "scale": scale, "cell": Cell.parse(cell).__dict__, "images": 90}
    return json.dumps(values | {"epochs": epochs})


@pytest.fixture
def changes():
    return {
        "kind": "pointing",
        "name": "pointing",
        "title": "Hits",
        "datasets": DATASETS,
        "confounders": dict.fromkeys(DATASETS, "window"),
        "strengths": (0, 0.75),
        "methods": ["hashnet", "csq"],
        "variants": ["none", "ach"],
        "seeds": [0, 1, 2],
    }


@pytest.fixture
def played():
    """HashNet's baseline on the clean phantom; nothing else."""
    cells = {f"ach/{DATASETS[0]}/hashnet/none/8/{seed}": hits for seed, hits in HITS.items()}
    return [Pointing.model_validate_json(facts(cell, hits)) for cell, hits in cells.items()]


def test_points_are_means_over_seeds(table_spec, changes, played, context):
    spec = table_spec(**changes)
    assert (spec.source, len(spec.cells())) == ("pointing", 2 * 2 * 2 * 3)
    points = spec.points(played, context)
    ran = points[points["status"] == "ran"]
    assert len(points) == 2 + 7
    assert ran["epoch"].tolist() == [1, 2]
    for place in (0, 1):
        hits = 100 * np.array([each[place] for each in HITS.values()])
        interval = ttest_1samp(hits, 0).confidence_interval(0.95)
        row = ran.iloc[place]
        assert row["hit_percent"] == pytest.approx(hits.mean())
        assert row["interval_least_percent"] == pytest.approx(interval.low)
        assert row["interval_greatest_percent"] == pytest.approx(interval.high)
        assert row["window_percent"] == pytest.approx(25 + hits.mean() / 10)
        assert (row["chance_percent"], row["images"], row["seeds"]) == (12.5, 90, "0 1 2")


def test_the_table_has_the_first_and_the_last_epoch(table_spec, changes, played, context, make):
    made = make(table_spec(**changes), played)
    first, last, window, chance = made.printed()["HashNet"][:4]
    assert first.startswith("20.0 ± ")
    assert last.startswith("55.0 ± ")
    assert (window, chance) == ("30.5", "12.5")
    assert made.printed()["CSQ+ACH"] == ["not run"] * 8
    assert "7 of 8 places have not run." in made.notes


def test_the_figure_draws_hits_and_chance(figure_spec, changes, played, context, tmp_path):
    spec = figure_spec(**changes | {"bits": [8]})
    paths = make_figure(spec, played, context, tmp_path / "figure", None)
    assert all(path.stat().st_size for path in paths)
    with house_style():
        clean, confounded = spec.drawn(played, context, None)[1]().subfigs
    hashnet, csq = clean.axes
    assert csq.texts[0].get_text() == "not run"
    assert [axis.texts[0].get_text() for axis in confounded.axes] == ["not run"] * 2
    lines = [line.get_ydata() for line in hashnet.lines]
    assert lines[0] == pytest.approx([20.0, 55.0])
    assert list(lines[-1]) == [12.5, 12.5]


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "pointing.json"
    cell = "ach/phantom_covid_ct/hashnet/none/8/0"
    path.write_text(facts(cell, (0.5,)).replace('"hit": 0.5', '"hit": 1.5'))
    with pytest.raises(MedhashError, match=r"pointing.json.*hit"):
        READERS["pointing"](path)


def test_places_of_masks_are_readings_of_a_confounded_phantom(table_spec, record, context):
    spec = table_spec(
        kind="places",
        name="places",
        datasets=DATASETS,
        confounders=dict.fromkeys(DATASETS, "window"),
        strengths=(0, 0.75),
        variants=["none", "lcr"],
        own="C2F-LP",
        readings={"true lesion": "mask-lesion"},
        changes={"true lesion": {"lcr": {"where": "lesion"}}},
        seeds=[0, 1],
    )
    assert {cell.variant for cell in spec.cells()} == {"none", "lcr", "lcr~mask-lesion"}
    values = {"none": 0.5, "lcr": 0.4, "lcr~mask-lesion": 0.7}
    records = [
        record(f"ach/{DATASETS[0]}/hashnet/{variant}/8/{seed}", value + seed / 50)
        for variant, value in values.items()
        for seed in (0, 1)
    ]
    points = spec.points(records, context)
    ran = points[points["status"] == "ran"].set_index("reading")
    assert ran["gain_points"].to_dict() == pytest.approx({"C2F-LP": -10, "true lesion": 20})
    assert ran["printed_points"].isna().all()
    rows = [cell.text for row in spec.made(records, context)[1].blocks[0] for cell in row.cells]
    assert (
        rows == ["−10.00 ± 0.00", "0", "not run", "not run", "+20.00 ± 0.00", "0"] + ["not run"] * 2
    )


def test_places_need_their_phantoms():
    values = {
        "kind": "places",
        "title": "x",
        "datasets": ["covid_ct"],
        "confounders": {},
        "strengths": [0],
        "methods": ["csq"],
        "variants": ["none", "lcr"],
        "bits": [8],
        "readings": {"true lesion": "mask-lesion"},
    }
    with pytest.raises(ValueError, match="none is named for covid_ct"):
        TABLES.read(values)
