"""How often C2F-LP points at a known lesion, after the first and the last epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, OWN_EXPERIMENT, Context
from medhash.analysis.numbers.pointing import PointingSpec
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

_HEADINGS = ("first epoch", "last epoch", "its salient area", "any patch")


class Spec(PointingSpec, TableSpec):
    """Hit rates of C2F-LP beside those of chance."""

    kind: Literal["pointing"]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """The CSV has every epoch, the points of the figure."""
        points = self.points(facts, context)
        printed = PrintedTable(
            title=f"{context.heading(self)} {context.details(self, facts)}",
            groups=tuple((context.paper.dataset_title(name), _HEADINGS) for name in self.datasets),
            blocks=tuple(
                tuple(_row(points, method, variant, context) for variant in self.variants)
                for method in self.methods
            ),
            notes=tuple(_notes(points)),
        )
        return points_as_text(points), printed


def _row(points: pd.DataFrame, method: str, variant: str, context: Context) -> PrintedRow:
    own = points[(points["method"] == method) & (points["variant"] == variant)]
    cells = [cell for _, each in own.groupby("dataset", sort=False) for cell in _cells(each)]
    return PrintedRow(context.paper.method_title(method, variant), tuple(cells))


def _cells(epochs: pd.DataFrame) -> list[PrintedCell]:
    first, last = epochs.iloc[0], epochs.iloc[-1]
    if first["status"] == NOT_RUN:
        return [PrintedCell(NOT_RUN)] * len(_HEADINGS)
    chance = (f"{last[name]:.1f}" for name in ("window_percent", "chance_percent"))
    return [PrintedCell(text) for text in (_hit(first), _hit(last), *chance)]


def _hit(point: pd.Series) -> str:
    half = half_text(point, "hit_percent", "interval_least_percent", 1)
    return f"{point['hit_percent']:.1f}{half}"


def _notes(points: pd.DataFrame) -> list[str]:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        return [NOTHING_RAN]
    notes = [
        "Percent of the training images with a lesion of which the chosen key point lies in a "
        "patch with lesion: mean over seeds, ± half of the 95 % interval (Student's t) where there "
        "are several. Beside it what chance would hit after the last epoch: any patch of the "
        "salient area that was found, and any patch of the image.",
        OWN_EXPERIMENT,
    ]
    every = points.drop_duplicates(["dataset", "method", "variant"])
    return [*notes, *places_notes(int((every["status"] != NOT_RUN).sum()), len(every))]
