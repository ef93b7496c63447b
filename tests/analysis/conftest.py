"""Records with known numbers, and the grid that they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.make import make_table
from medhash.papers.kinds import FIGURES, TABLES
from medhash.papers.paper import Paper
from medhash.papers.reported import load_reported
from medhash.papers.specs import FigureSpec, TableSpec
from medhash.records.record import Record


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
    paper, place, method, variant, bits, seed = cell.split("/")
    dataset, _, origin = place.partition("@")
    values = [ap] * 4 if isinstance(ap, float) else list(ap)
    mean = float(np.mean(values))
    q = int(bits)
    return {
        "schema": 1,
        "scale": scale,
        "cell": {
            "paper": paper,
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
    """Content of a record.json: ``record_values("ach/covid_ct/csq/none/8/0", 0.7, ...)``."""
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
        datasets={
            "covid_radiograph": "COVID-19 Radiograph",
            "covid_ct": "COVID-CT-Dataset",
            "brain_tumor_mri": "Brain Tumor",
        },
        methods={
            "dsh": {"title": "DSH"},
            "hashnet": {"title": "HashNet"},
            "adsh": {"title": "ADSH"},
            "csq": {"title": "CSQ"},
            "dbdh": {"title": "DBDH"},
            "transhash": {"title": "TransHash"},
        },
        variants={
            "none": "",
            "dbw": "+DBW",
            "lcr": "+LCR",
            "ach": "+ACH",
            "lfr": "+LFR",
            "dbw+lfr": "+DBW+LFR",
        },
    )


@pytest.fixture
def context(paper: Paper) -> Context:
    return Context(paper, "small", "tie-aware")


@pytest.fixture
def with_reported(context: Context) -> Context:
    """The same with the numbers that the paper prints."""
    reported = load_reported(Path(__file__).resolve().parents[2] / "config/papers/reported")["ach"]
    return replace(context, reported=reported)


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
        return TABLES.read(values | changes)

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
        return FIGURES.read(values | changes)

    return make


class Made:
    """The three files of a table, read back."""

    def __init__(self, paths):
        by_suffix = {path.suffix: path for path in paths}
        self.frame = pd.read_csv(by_suffix[".csv"], dtype=str, keep_default_na=False)
        self.markdown = by_suffix[".md"].read_text(encoding="utf-8")
        self.latex = by_suffix[".tex"].read_text(encoding="utf-8")
        self.bytes = b"".join(path.read_bytes() for path in paths)

    def cell(self, row, column):
        found = self.frame[(self.frame["row"] == row) & (self.frame["column"] == column)]
        assert len(found) == 1
        return found.iloc[0]

    def printed(self):
        """The Markdown table: row label -> cells."""
        return self._rows(0)

    def compared(self):
        """The table of reported beside regenerated numbers below it, likewise; empty if none."""
        return self._rows(1)

    def _rows(self, table):
        parts = [*self.markdown.split("**Reported by the paper"), ""]
        lines = [line for line in parts[table].splitlines() if line.startswith("|")][2:]
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
        return {row[0]: row[1:] for row in rows}

    @property
    def title(self):
        return self.markdown.splitlines()[0]

    @property
    def notes(self):
        return [line[2:] for line in self.markdown.splitlines() if line.startswith("- ")]


@pytest.fixture
def make(tmp_path, context):
    def run(spec, records, within=context, folder="out"):
        return Made(make_table(spec, records, within, tmp_path / folder / spec.label))

    return run
