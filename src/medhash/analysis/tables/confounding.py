"""mAP of every method and variant by the strength of a phantom's confounder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.confounding import ConfounderSpec, panel_title, panels_of
from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, OWN_EXPERIMENT, Context
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL
from medhash.analysis.numbers.summaries import places_notes
from medhash.analysis.tables.rendering import (
    PrintedCell,
    PrintedRow,
    PrintedTable,
    half_text,
    points_as_text,
)
from medhash.papers.specs import Made, TableSpec

if TYPE_CHECKING:
    import pandas as pd


class Spec(ConfounderSpec, TableSpec):
    """mAP against the strength of a phantom's confounder.

    A block is a method with its variants, a column a strength.
    """

    kind: Literal["confounding"]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """The CSV has the points of the figure, numbers to six decimals."""
        points = self.points(facts, context)
        printed = PrintedTable(
            title=f"{context.heading(self)} {self.details(facts, context)}",
            groups=tuple(
                (panel_title(panel, context), tuple(f"strength {n.strength:g}" for n in names))
                for panel, names in panels_of(self).items()
            ),
            blocks=tuple(
                tuple(_row(points, method, variant, context) for variant in self.variants)
                for method in self.methods
            ),
            notes=tuple(_notes(points)),
        )
        return points_as_text(points), printed


def _row(points: pd.DataFrame, method: str, variant: str, context: Context) -> PrintedRow:
    own = points[(points["method"] == method) & (points["variant"] == variant)]
    cells = tuple(map(_cell, own.to_dict("records")))
    return PrintedRow(context.paper.method_title(method, variant), cells)


def _cell(point: dict[Any, Any]) -> PrintedCell:
    if point["status"] == NOT_RUN:
        return PrintedCell(NOT_RUN)
    half = half_text(point, "map_percent", "interval_least_percent")
    return PrintedCell(f"{point['map_percent']:.2f}{half}")


def _notes(points: pd.DataFrame) -> list[str]:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        return [NOTHING_RAN]
    notes = [
        "Strength: in the database the confounder has its class's value with this probability, "
        "otherwise any; in the queries, with the same probability, the value of another class. "
        "At strength 0 it says nothing about the class.",
        OWN_EXPERIMENT,
    ]
    if ran["interval_least_percent"].notna().any():
        notes.insert(
            1,
            "Means over seeds ± half of the 95 % interval (Student's t). Seeds differ in the hash "
            "layer's start and in the batches; images and pretrained backbone are the same.",
        )
    corrected = ran["difference_p_holm"].dropna().astype(float)
    if not corrected.empty:
        by_chance = int((ran["difference_p_value"].dropna() <= SIGNIFICANCE_LEVEL).sum())
        notes.append(
            f"Of {len(corrected)} differences to the baseline {by_chance} have an interval without "
            f"0, and {int((corrected <= SIGNIFICANCE_LEVEL).sum())} of them p ≤ "
            f"{SIGNIFICANCE_LEVEL} after Holm's correction over the table, which the CSV has."
        )
    return [*notes, *places_notes(len(ran), len(points))]
