"""The numbers of a run that decide claims, with the digits that its tables print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from medhash.analysis.numbers.statistics import compare, mean_and_deviation
from medhash.analysis.numbers.summaries import Place
from medhash.analysis.tables.speed import Measurement
from medhash.errors import MedhashError
from medhash.records.lesions import LesionSearch
from medhash.records.record import Record, per_query_ap
from medhash.schema.cell import Cell
from medhash.verdicts.cases import Need, SignedRanks


@dataclass(frozen=True)
class RunNumbers:
    """Numbers of one scale; a place has one only if every seed of it has run.

    Attributes:
        paper: the paper whose cells they are of.
        seeds: the seeds of a place.
        records: cell -> record.
        speeds: cell -> how fast it answers.
        lesions: cell -> how it is searched with lesion patches; none where nobody marked any.
    """

    paper: str
    seeds: tuple[int, ...]
    records: Mapping[Cell, Record]
    speeds: Mapping[Cell, Measurement]
    lesions: Mapping[Cell, LesionSearch]

    def value(self, need: Need) -> Decimal | None:
        """The mean over the seeds of a place, or None where one of them has not run."""
        values = [self._of_cell(need, cell) for cell in self.cells(need.place)]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        measure, mean = _MEASURES[need.measure], mean_and_deviation(found)[0]
        return Decimal(f"{measure.factor * mean:.{measure.decimals}f}")

    def tested(self, row: Place, baseline: Place) -> SignedRanks | None:
        """Both rows query by query; a query's AP is its mean over the seeds.

        Raises:
            MedhashError: the two have different queries.
        """
        sides = [self._records(place) for place in (row, baseline)]
        if None in sides:
            return None
        first, second = (per_query_ap(side) for side in sides if side is not None)
        if not first.index.equals(second.index):
            first_cell, second_cell = (self.cells(each)[0] for each in (row, baseline))
            raise MedhashError(
                f"records of cells {first_cell} and {second_cell} cannot be paired: they have "
                "different queries; make both from the same split."
            )
        result = compare(first.to_numpy(), second.to_numpy())
        return SignedRanks(result.p_value, result.effect_size > 0)

    def missing(self, need: Need) -> list[Cell]:
        """The cells of a place that lack the number."""
        cells = self.cells(need.place)
        return [cell for cell in cells if self._of_cell(need, cell) is None]

    def cells(self, place: Place) -> tuple[Cell, ...]:
        """The cells of a place, one a seed."""
        own = (self.paper, place.dataset, place.method, place.variant, place.bits)
        return tuple(Cell(*own, seed, place.origin) for seed in self.seeds)

    def _of_cell(self, need: Need, cell: Cell) -> float | None:
        measure = _MEASURES[need.measure]
        facts = getattr(self, measure.source).get(cell)
        return None if facts is None else measure.of(facts, need.cutoff)

    def _records(self, place: Place) -> list[Record] | None:
        cells = self.cells(place)
        found = [self.records[cell] for cell in cells if cell in self.records]
        return found if len(found) == len(cells) else None


def precision_recall_area(record: Record) -> float:
    """Area under the precision-recall curve over the Hamming radii of a record, in [0, 1].

    The trapezoid rule between radii at which anything is retrieved; down to recall 0 the curve
    keeps the precision of the first of them.
    """
    curve = record.metrics.pr_curve
    points = [
        (recall, precision)
        for recall, precision in zip(curve.recall, curve.precision, strict=True)
        if precision is not None
    ]
    if not points:
        return 0.0
    recall, precision = np.asarray([(0.0, points[0][1]), *points]).T
    return float(np.trapezoid(precision, recall))


@dataclass(frozen=True)
class _Measure:
    """Where a measure is found, how it is read, and what makes it the printed unit."""

    source: str
    of: Callable[[Any, int | None], float | None]
    factor: int = 1
    decimals: int = 2


def _precision_at(record: Record, cutoff: int | None) -> float | None:
    return record.metrics.precision_at.get(cutoff or 0)


def _training_seconds(record: Record, _: int | None) -> float | None:
    return record.training.seconds


_MEASURES: Mapping[str, _Measure] = {
    "map": _Measure("records", lambda record, _: record.metrics.map, 100),
    "precision_at": _Measure("records", _precision_at, 100),
    "precision_recall_area": _Measure("records", lambda r, _: precision_recall_area(r), 100),
    "fps": _Measure("speeds", lambda measurement, _: measurement.single.fps),
    "lesion_precision": _Measure("lesions", lambda s, _: s.precision_at_10.patches, 100),
    "lesion_runtime": _Measure("lesions", lambda s, _: s.runtime.change, 100),
    "training_seconds": _Measure("records", _training_seconds),
    "queries": _Measure("records", lambda record, _: record.metrics.queries, decimals=0),
    "database": _Measure("records", lambda record, _: record.metrics.database, decimals=0),
}
