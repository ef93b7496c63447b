"""Which steps a changed setting touches: exactly those that depend on it."""

from pathlib import Path

import pytest

from medhash.configuration.grid import Cell
from medhash.configuration.loading import load
from medhash.provenance.steps import StepVersions

PROJECT = Path(__file__).resolve().parents[2]
CELLS = [
    Cell("phantom_covid_ct", method, variant, 8, 0)
    for method in ("csq", "adsh")
    for variant in ("none", "dbw", "lcr", "lfr", "dbw+lfr")
]


def versions(**settings):
    """Step -> version, of the demo with some settings changed."""
    overrides = {"scale": "demo", "settings": settings}
    of = StepVersions(load(PROJECT / "config/config.yaml", overrides))
    dataset = "phantom_covid_ct"
    steps = {
        "phantom": of.phantom(dataset),
        "split": of.split(dataset),
        "leakage": of.leakage(),
        "mae": of.pretrain(dataset, "mae"),
        "classification": of.pretrain(dataset, "classification"),
        "record": of.record(CELLS[0]),
        "table": of.table("ach_table3"),
        "figure": of.figure("ach_fig7"),
    }
    return steps | {f"{cell.method}/{cell.variant}": of.train(cell) for cell in CELLS}


ALL_CELLS = {f"{cell.method}/{cell.variant}" for cell in CELLS}
WITH_LESIONS = {name for name in ALL_CELLS if "lcr" in name or "lfr" in name}
WITH_DBW = {name for name in ALL_CELLS if "dbw" in name}


@pytest.mark.parametrize(
    ("settings", "touched"),
    [
        ({"hashing": {"epochs": 9}}, ALL_CELLS),
        ({"mae": {"epochs": 9}}, {"mae"}),
        ({"classification": {"epochs": 9}}, {"classification"}),
        ({"dbw": {"population": "batch"}}, WITH_DBW),
        ({"lcr": {"key_points": 2}}, WITH_LESIONS),
        ({"methods": {"csq": {"quantisation": 1.0}}}, {n for n in ALL_CELLS if "csq" in n}),
        ({"evaluation": {"cutoffs": [3]}}, {"record"}),
        ({"evaluation": {"protocol": "stable"}}, {"record", "table", "figure"}),
        ({"evaluation": {"selection": "best-query-map"}}, ALL_CELLS),
        ({"network": {"depth": 1}}, ALL_CELLS | {"mae", "classification"}),
        ({"network": {"image_size": 40}}, ALL_CELLS | {"mae", "classification", "phantom"}),
        ({"threads": 2}, ALL_CELLS | {"mae", "classification"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_setting_touches_what_depends_on_it(settings, touched):
    before, after = versions(), versions(**settings)
    assert {step for step in before if before[step] != after[step]} == touched
