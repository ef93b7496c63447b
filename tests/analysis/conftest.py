"""Records with known numbers, and the grid that they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from medhash.analysis.context import Context
from medhash.analysis.records import Record
from medhash.configuration.papers import FigureSpec, Paper, TableSpec


def _record_values(
    cell: str,
    ap: float | Sequence[float],
    *,
    rows: Sequence[int] | None = None,
    ties: tuple[float, float] | None = None,
    stable: float | None = None,
    scale: str = "small",
    protocol: str = "tie-aware",
    selection: str = "last-epoch",
) -> dict[str, Any]:
    place, method, variant, bits, seed = cell.split("/")
    dataset, _, origin = place.partition("@")
    values = [ap] * 4 if isinstance(ap, float) else list(ap)
    mean = float(np.mean(values))
    q = int(bits)
    return {
        "schema": 1,
        "scale": scale,
        "cell": {
            "dataset": dataset,
            "method": method,
            "variant": variant,
            "bits": q,
            "seed": int(seed),
            "origin": origin,
        },
        "synthetic": dataset.startswith("phantom_"),
        "dataset_title": dataset,
        "method_title": method,
        "metrics": {
            "protocol": protocol,
            "map": mean,
            "map_at": {"1": mean, "10": mean},
            "precision_at": {"1": mean, "10": mean * 0.9, "100": mean * 0.5},
            "pr_curve": {
                "radius": list(range(q + 1)),
                "precision": [None, *np.linspace(mean, mean / 2, q).tolist()],
                "recall": np.linspace(0, 1, q + 1).tolist(),
            },
            "tie_range": list(ties or (mean, mean)),
            "queries": len(values),
            "queries_without_relevant": 0,
            "database": 20,
            "bits": q,
        },
        "stable": {"map": mean if stable is None else stable},
        "per_query_ap": values,
        "query_rows": list(range(len(values)) if rows is None else rows),
        "training": {"selection": selection, "epochs": 3},
        "provenance": {"inputs": {}},
    }


@pytest.fixture
def record_values() -> Callable[..., dict[str, Any]]:
    """Content of a record.json: ``record_values("covid_ct/csq/none/8/0", 0.7, ...)``."""
    return _record_values


@pytest.fixture
def record() -> Callable[..., Record]:
    """The same, read as a file would be."""

    def make(*arguments: Any, **options: Any) -> Record:
        return Record.model_validate_json(json.dumps(_record_values(*arguments, **options)))

    return make


@pytest.fixture
def paper() -> Paper:
    return Paper(
        paper="ach",
        title="A paper",
        datasets={"covid_radiograph": "COVID-19 Radiograph", "covid_ct": "COVID-CT-Dataset"},
        methods={
            "hashnet": {"title": "HashNet"},
            "adsh": {"title": "ADSH"},
            "csq": {"title": "CSQ"},
        },
        variants={"none": "", "dbw": "+DBW", "lcr": "+LCR", "ach": "+ACH"},
    )


@pytest.fixture
def context(paper: Paper) -> Context:
    return Context(paper, "small", "tie-aware")


@pytest.fixture
def table_spec() -> Callable[..., TableSpec]:
    """Table III's form on COVID-CT, HashNet at 8 bits, changed by keyword."""

    def make(**changes: Any) -> TableSpec:
        values: dict[str, Any] = {
            "paper": "ach",
            "name": "table3",
            "kind": "map",
            "title": "mAP (%)",
            "datasets": ["covid_ct"],
            "methods": ["hashnet"],
            "variants": ["none", "dbw", "lcr", "ach"],
            "bits": [8],
        }
        return TableSpec(**(values | changes))

    return make


@pytest.fixture
def figure_spec() -> Callable[..., FigureSpec]:
    """Figure 7's form, changed by keyword."""

    def make(**changes: Any) -> FigureSpec:
        values: dict[str, Any] = {
            "paper": "ach",
            "name": "fig7",
            "kind": "precision_at_k",
            "title": "Precision at K",
            "datasets": ["covid_radiograph", "covid_ct"],
            "methods": ["hashnet", "csq"],
            "variants": ["none", "ach"],
            "bits": [8],
        }
        return FigureSpec(**(values | changes))

    return make
