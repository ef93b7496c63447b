"""mAP of every method and variant by the strength of a phantom's confounder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.confounding import ConfounderSpec, panel_title, panels_of
from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, Context
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
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
        return [{k: _text(k, v) for k, v in point.items()} for point in _rows(points)], printed


def _rows(points: pd.DataFrame) -> list[dict[Any, Any]]:
    return points.to_dict("records")


def _text(name: str, value: Any) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, float):
        form = {"strength": "g", "difference_p_value": ".6e", "difference_p_holm": ".6e"}
        return format(value, form.get(name, ".6f"))
    return str(value)


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _row(points: pd.DataFrame, method: str, variant: str, context: Context) -> PrintedRow:
    own = points[(points["method"] == method) & (points["variant"] == variant)]
    cells = tuple(_cell(point) for point in _rows(own))
    return PrintedRow(context.paper.method_title(method, variant), cells)


def _cell(point: dict[Any, Any]) -> PrintedCell:
    if point["status"] == NOT_RUN:
        return PrintedCell(NOT_RUN)
    text = f"{point['map_percent']:.2f}"
    if not _is_missing(point["interval_least_percent"]):
        text += f" ± {point['map_percent'] - point['interval_least_percent']:.2f}"
    return PrintedCell(text)


def _notes(points: pd.DataFrame) -> list[str]:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        return [NOTHING_RAN]
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
    corrected = ran["difference_p_holm"].dropna().astype(float)
    if not corrected.empty:
        by_chance = int((ran["difference_p_value"].dropna() <= SIGNIFICANCE_LEVEL).sum())
        notes.append(
            f"Of {len(corrected)} differences to the baseline {by_chance} have an interval without "
            f"0, and {int((corrected <= SIGNIFICANCE_LEVEL).sum())} of them p ≤ "
            f"{SIGNIFICANCE_LEVEL} after Holm's correction over the table, which the CSV has."
        )
    missing = len(points) - len(ran)
    return [*notes, f"{missing} of {len(points)} places have not run."] if missing else notes
