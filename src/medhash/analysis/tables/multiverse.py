"""Gains under readings of a paper: which reproduce the printed sign and size, and which cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, Context, Place
from medhash.analysis.numbers.multiverse import VERDICTS, MultiverseSpec
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL
from medhash.analysis.numbers.summaries import not_run_notes
from medhash.analysis.tables.rendering import (
    PrintedCell,
    PrintedRow,
    PrintedTable,
    half_text,
    points_as_text,
    signed_points,
)
from medhash.papers.specs import Made, TableSpec
from medhash.schema.variants import BASELINE

if TYPE_CHECKING:
    import pandas as pd

_UNTOUCHED = "·"


class Spec(MultiverseSpec, TableSpec):
    """Gains under readings, each over the baseline under the same reading.

    A block is a method, a row a reading that touches it. Below it, a count of verdicts a reading.
    """

    kind: Literal["multiverse"]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """The CSV has the points of the figure, numbers to six decimals."""
        points = self.points(facts, context)
        has_printed = bool(points["printed_points"].notna().any())
        named = ("gain", "p (Holm)", *(("printed", "verdict") if has_printed else ()))
        variants = [variant for variant in self.variants if variant != BASELINE]
        printed = PrintedTable(
            title=f"{context.heading(self)} {self.details(facts, context)}",
            groups=tuple(
                (self._heading(dataset, variant, context), named)
                for dataset in self.datasets
                for variant in variants
            ),
            blocks=tuple(
                tuple(self._rows(points[points["method"] == method], method, named, context))
                for method in self.methods
            ),
            notes=tuple(self._notes(points, has_printed, context)),
            comparison=self._counts(points, context) if has_printed else None,
            corner="Method, reading",
        )
        return points_as_text(points), printed

    def _rows(
        self, points: pd.DataFrame, method: str, named: Sequence[str], context: Context
    ) -> Iterator[PrintedRow]:
        """One a reading that touches a variant of the method."""
        for reading in dict.fromkeys(points["reading"]):
            own = points[points["reading"] == reading].set_index(["dataset", "variant"])
            cells = [
                cell
                for dataset in self.datasets
                for variant in self.variants
                if variant != BASELINE
                for cell in _cells(
                    own.loc[(dataset, variant)] if (dataset, variant) in own.index else None, named
                )
            ]
            yield PrintedRow(f"{context.paper.method_title(method)}, {reading}", tuple(cells))

    def _heading(self, dataset: str, variant: str, context: Context) -> str:
        named = f"{context.paper.dataset_title(dataset)}, " if len(self.datasets) > 1 else ""
        return named + _title(variant, context)

    def _notes(self, points: pd.DataFrame, printed: bool, context: Context) -> Iterator[str]:
        ran = points[points["status"] == "ran"]
        if ran.empty:
            yield NOTHING_RAN
        else:
            yield (
                "Points of mAP over the baseline under the same reading: mean over seeds, ± half "
                "of the 95 % interval (Student's t over seeds). Seeds differ in the hash layer's "
                "start and in the batches; images and pretrained backbone are the same. Bold: p ≤ "
                f"{SIGNIFICANCE_LEVEL} (paired t-test) after Holm's correction over the "
                f"{ran['p_holm'].notna().sum()} tests here. {_UNTOUCHED} stands where a reading "
                "changes nothing."
            )
        if printed:
            yield (
                f"Verdicts follow from the interval. {VERDICTS[0]}: it lies on the printed side of "
                f"0 and reaches the printed gain; {VERDICTS[1]}: it ends before it; "
                f"{VERDICTS[2]}: it lies on the other side; otherwise the seeds do not decide."
            )
        same = [title for title, name in self.readings.items() if not name]
        if same:
            yield f"On this run's grid of patches the same as '{self.own}': {', '.join(same)}."
        places = [place for each in self.compared for place in (each.place, each.baseline)]
        names = zip(*(ran[name] for name in ("dataset", "method", "bits")), strict=True)
        pairs = zip(names, ran["ablation"], ran["variant"], ran["baseline_variant"], strict=True)
        there = {
            Place(dataset, method, variant, bits)
            for (dataset, method, bits), ablation, base, baseline in pairs
            for variant in (f"{base}~{ablation}" if ablation else base, baseline)
        }
        yield from not_run_notes(self, there, places, context)

    def _counts(self, points: pd.DataFrame, context: Context) -> PrintedTable:
        """Reading by reading, how many methods have which verdict."""
        variants = [variant for variant in self.variants if variant != BASELINE]
        rows = []
        for reading in self.all_readings:
            own = points[points["reading"] == reading]
            cells = (_counted(own[own["variant"] == variant]) for variant in variants)
            rows.append(PrintedRow(reading, tuple(map(PrintedCell, cells))))
        return PrintedTable(
            title="Methods by verdict: sign and size / sign only / cannot / undecided.",
            groups=(("Of the printed gains", tuple(_title(v, context) for v in variants)),),
            blocks=(tuple(rows),),
            notes=("A reading counts for the methods that it touches and that have run.",),
            corner="Reading",
        )


def _title(variant: str, context: Context) -> str:
    return context.paper.variants.get(variant, variant)


def _cells(point: pd.Series | None, named: Sequence[str]) -> list[PrintedCell]:
    """What stands below ``named`` for one gain."""
    if point is None:
        return [PrintedCell(_UNTOUCHED)] * len(named)
    ran = point["status"] == "ran"
    texts = {"printed": signed_points(point["printed_points"])} if "printed" in named else {}
    if ran:
        texts |= {"gain": signed_points(point["gain_points"]), "verdict": point["verdict"]}
        half = half_text(point, "gain_points", "interval_least_points")
        texts["gain"] += half
        texts["p (Holm)"] = f"{point['p_holm']:.2g}" if half else "–"
    significant = ran and point["p_holm"] <= SIGNIFICANCE_LEVEL
    return [
        PrintedCell(texts.get(name, NOT_RUN), "best" if significant and name == "gain" else "")
        for name in named
    ]


def _counted(points: pd.DataFrame) -> str:
    """``2 / 1 / 0 / 3``."""
    verdicts = points.loc[points["status"] == "ran", "verdict"]
    if points.empty:
        return _UNTOUCHED
    counts = [int((verdicts == name).sum()) for name in VERDICTS]
    return " / ".join(map(str, (*counts, len(verdicts) - sum(counts))))
