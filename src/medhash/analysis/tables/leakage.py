"""mAP on the papers' splits and without their leakage, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.context import (
    NOT_RUN,
    NOTHING_RAN,
    OWN_EXPERIMENT,
    Context,
    bits_label,
)
from medhash.analysis.numbers.leakage import COMPARED, LeakageRow, LeakageSpec
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

_ARROWS = {"higher": " ↑", "lower": " ↓"}
_READING = (
    "Clean queries: the cells of the paper's split, not trained again, on those of its queries "
    "that have neither a near duplicate nor a patient in common with the database. Clean split: "
    "trained and scored where no query has. Leakage: the paper's split minus the clean split.",
    "In brackets: the place of the method among those of the same variant. ↑ and ↓: the variant "
    "is above or below its baseline, with the whole 95 % interval of the difference over the "
    "seeds; without an arrow it is undecided.",
)
_SEEDS = (
    "Means over seeds ± half of the 95 % interval (Student's t). Seeds differ in the hash layer's "
    "start and in the batches; split and pretrained backbone are the same."
)


class Spec(LeakageSpec, TableSpec):
    """How much of each mAP was leakage, and what changes without it.

    A block is a method with its variants; of each dataset there are the paper's split, its clean
    queries, the clean split, and the difference.
    """

    kind: Literal["leakage"]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """The CSV has the points of the figure, numbers to six decimals."""
        points = self.points(facts, context)
        columns = [(dataset, bits) for dataset in self.pairs for bits in self.bits]
        printed = PrintedTable(
            title=f"{context.heading(self)} {self.details(facts, context)}",
            groups=tuple(
                (
                    f"{context.heading_of(dataset, self.origin_of(dataset))}, {bits_label(bits)}",
                    (*COMPARED, "leakage"),
                )
                for dataset, bits in columns
            ),
            blocks=tuple(
                tuple(
                    self._printed(points, LeakageRow(method, variant), columns, context)
                    for variant in self.variants
                )
                for method in self.methods
            ),
            notes=tuple(self._notes(points, columns, context)),
        )
        return points_as_text(points), printed

    def _printed(
        self,
        points: pd.DataFrame,
        row: LeakageRow,
        columns: Sequence[tuple[str, int]],
        context: Context,
    ) -> PrintedRow:
        cells: list[PrintedCell] = []
        for dataset, bits in columns:
            own = _of(points, dataset, bits, method=row.method, variant=row.variant)
            if self.has(dataset, row):
                told = {point["scored"]: point for point in _rows(own)}
                cells += [_cell(told[scored]) for scored in COMPARED]
                cells.append(_difference(told["clean split"]))
            else:
                cells += [PrintedCell("–")] * (len(COMPARED) + 1)
        return PrintedRow(context.paper.method_title(*row), tuple(cells))

    def _notes(
        self, points: pd.DataFrame, columns: Sequence[tuple[str, int]], context: Context
    ) -> Iterator[str]:
        ran = points[points["status"] == "ran"]
        if ran.empty:
            yield NOTHING_RAN
            return
        yield from _READING
        if ran["interval_least_percent"].notna().any():
            yield _SEEDS
        for dataset, bits in columns:
            title = f"{context.paper.dataset_title(dataset)}, {bits_label(bits)}"
            parts = list(_findings(_of(ran, dataset, bits)))
            if parts:
                yield f"{title}: {'; '.join(parts)}."
        yield OWN_EXPERIMENT
        yield from places_notes(len(ran), len(points), " of the CSV")


def _findings(points: pd.DataFrame) -> Iterator[str]:
    """What a dataset's numbers at one code length come to."""
    sizes = points.drop_duplicates("scored")
    told = (
        f"{point['scored']} {point['queries']} queries, of which a random order has an mAP of "
        f"{point['random_order_percent']:.2f}"
        for point in _rows(sizes)
    )
    yield "; ".join(told)
    key = ["method", "variant"]
    paper, clean = (points[points["scored"] == scored].set_index(key) for scored in COMPARED[::2])
    both = paper.merge(clean, on=key, suffixes=("", "_clean"))
    if both.empty:
        return
    moved = int((both["rank"] != both["rank_clean"]).sum())
    yield f"{moved} of {len(both)} places among the methods are others on the clean split"
    gains = both[both["verdict"].notna() & both["verdict_clean"].notna()]
    changed = int((gains["verdict"] != gains["verdict_clean"]).sum())
    if len(gains):
        yield f"{changed} of {len(gains)} variants compare otherwise with their baseline"
    seen = points[points["scored"] == "leaking queries, clean"].set_index(key)
    if len(seen):
        yield from _seen_or_easy(points.set_index([*key, "scored"])["map_percent"], seen.index)


def _seen_or_easy(maps: pd.Series, rows: Iterable[Any]) -> Iterator[str]:
    """The leaking queries with and without their partners, where a clean split has them, too."""
    whole, without = (
        fmean(maps[(*row, scored)] for row in rows)
        for scored in ("leaking queries", "leaking queries, clean")
    )
    yield (
        f"on average over the rows its leaking queries have {whole:.2f}, and {without:.2f} where "
        "their partners are neither trained on nor found"
    )


def _of(points: pd.DataFrame, dataset: str, bits: int, **wanted: str) -> pd.DataFrame:
    chosen = (points["dataset"] == dataset) & (points["bits"] == bits)
    for column, value in wanted.items():
        chosen &= points[column] == value
    return points[chosen]


def _rows(points: pd.DataFrame) -> list[dict[Any, Any]]:
    return points.to_dict("records")


def _cell(point: dict[Any, Any]) -> PrintedCell:
    if point["status"] == NOT_RUN:
        return PrintedCell(NOT_RUN)
    half = half_text(point, "map_percent", "interval_least_percent")
    suffix = f"({point['rank']}){_ARROWS.get(point['verdict'], '')}"
    return PrintedCell(f"{point['map_percent']:.2f}{half}", suffix=suffix)


def _difference(point: dict[Any, Any]) -> PrintedCell:
    if math.isnan(point["leakage_points"]):
        return PrintedCell(NOT_RUN)
    half = half_text(point, "leakage_points", "leakage_least_points")
    return PrintedCell(f"{point['leakage_points']:.2f}{half}".replace("-", "−"))
