"""mAP of every method and variant by the strength of a phantom's confounder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from medhash.analysis.numbers.confounding import (
    CSV_COLUMNS,
    confounding_points,
    details,
    panel_title,
    panels_of,
)
from medhash.analysis.numbers.context import NOT_RUN, Context
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.paper import TableSpec
from medhash.records.record import Record


def confounding_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method with its variants, a column a strength.

    Returns:
        The frame of
        :func:`~medhash.analysis.numbers.confounding.confounding_points`, numbers to six
        decimals, and the printed table.
    """
    points = confounding_points(spec, records, context)
    groups = [
        (panel_title(panel, context), tuple(f"strength {name.strength:g}" for name in names))
        for panel, names in panels_of(spec).items()
    ]
    printed = PrintedTable(
        title=f"{context.heading(spec)} {details(spec, records, context)}",
        groups=tuple(groups),
        blocks=tuple(
            tuple(_row(points, method, variant, context) for variant in spec.variants)
            for method in spec.methods
        ),
        notes=tuple(_notes(points)),
    )
    rows = [{name: _text(name, value) for name, value in point.items()} for point in _rows(points)]
    return pd.DataFrame(rows, columns=list(CSV_COLUMNS)), printed


def _rows(points: pd.DataFrame) -> list[dict[Any, Any]]:
    return points.to_dict("records")


def _text(name: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if name == "strength" else f"{value:.6f}"
    return str(value)


def _row(points: pd.DataFrame, method: str, variant: str, context: Context) -> PrintedRow:
    own = points[(points["method"] == method) & (points["variant"] == variant)]
    cells = tuple(_cell(point) for point in _rows(own))
    return PrintedRow(context.paper.method_title(method, variant), cells)


def _cell(point: dict[Any, Any]) -> PrintedCell:
    if point["status"] == NOT_RUN:
        return PrintedCell(NOT_RUN)
    text = f"{point['map_percent']:.2f}"
    if pd.notna(point["interval_least_percent"]):
        text += f" ± {point['map_percent'] - point['interval_least_percent']:.2f}"
    return PrintedCell(text)


def _notes(points: pd.DataFrame) -> list[str]:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        return ["Nothing of this table has run."]
    notes = [
        "Strength: in the database the confounder has its class's value with this probability, "
        "otherwise any; in the queries, with the same probability, the value of another class. "
        "At strength 0 it says nothing about the class.",
        "This experiment is medhash's own; the paper has no counterpart.",
    ]
    if ran["interval_least_percent"].notna().any():
        notes.insert(
            1,
            "Means over seeds ± half of the 95 % interval (Student's t). Seeds differ in the hash "
            "layer's start and in the batches; images and pretrained backbone are the same.",
        )
    missing = len(points) - len(ran)
    return [*notes, f"{missing} of {len(points)} places have not run."] if missing else notes
