"""The numbers of a run that decide claims, with the digits that its tables print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import compare, mean_and_deviation
from medhash.errors import MedhashError
from medhash.records.record import Record, per_query
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES, MeasureAt, Source


class Need(NamedTuple):
    """A number that a claim needs: what is measured at a place, and at which K."""

    measure: str
    place: Place
    cutoff: int | None = None


class SignedRanks(NamedTuple):
    """A significance test: its p-value and whether the first row is better by signed ranks."""

    p_value: float
    better: bool


@dataclass(frozen=True)
class RunNumbers:
    """Numbers of one scale; a place has one only if every seed of it has run.

    Attributes:
        paper: the paper whose cells they are of.
        seeds: the seeds of a place.
        facts: source -> cell -> its file, read; of lesion patches only where there are any.
    """

    paper: str
    seeds: tuple[int, ...]
    facts: Mapping[Source, Mapping[Cell, Any]]

    def value(self, need: Need) -> Decimal | None:
        """The mean over the seeds of a place, or None where one of them has not run."""
        values = [self._of_cell(need, cell) for cell in self.cells(need.place)]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        return MEASURES[need.measure].printed(mean_and_deviation(found)[0])

    def tested(self, row: Need, baseline: Need) -> SignedRanks | None:
        """One measure of both rows query by query; a query's value is its mean over the seeds.

        Raises:
            MedhashError: the two have different queries, or one has no values of single queries.
        """
        sides = [self._records(need.place) for need in (row, baseline)]
        if None in sides:
            return None
        measured = MeasureAt(row.measure, row.cutoff)
        first, second = (per_query(side, measured) for side in sides if side is not None)
        if not first.index.equals(second.index):
            first_cell, second_cell = (self.cells(each.place)[0] for each in (row, baseline))
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
        measure = MEASURES[need.measure]
        facts = self.facts.get(measure.source, {}).get(cell)
        return None if facts is None else measure.of(facts, need.cutoff)

    def _records(self, place: Place) -> list[Record] | None:
        cells = self.cells(place)
        records = self.facts.get("record", {})
        found = [records[cell] for cell in cells if cell in records]
        return found if len(found) == len(cells) else None
