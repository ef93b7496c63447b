"""The numbers of a run that decide claims, with the digits that its tables print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import SignedRankTest, compare, mean_and_deviation
from medhash.errors import MedhashError
from medhash.records.record import Record, per_query
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES, MeasureAt, Source
from medhash.verdicts.estimates import Estimate


class Need(NamedTuple):
    """A number that a claim needs: what is measured at a place, and at which K."""

    measure: str
    place: Place
    cutoff: int | None = None


class SignedRanks(NamedTuple):
    """A significance test over queries, and what the seeds say of it.

    Attributes:
        p_value: of the test on each query's mean over the seeds.
        better: whether the first row is better by signed ranks.
        difference: of the measure, over the seeds.
        by_seed: the p-value of each seed's own test.
    """

    p_value: float
    better: bool
    difference: Estimate
    by_seed: tuple[float, ...]


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

    def value(self, need: Need) -> Estimate | None:
        """The mean over the seeds of a place, or None where one of them has not run."""
        values = [self._of_cell(need, cell) for cell in self.cells(need.place)]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        measure = MEASURES[need.measure]
        by_seed = tuple(measure.factor * value for value in found) if measure.seeded else ()
        return Estimate(measure.printed(mean_and_deviation(found)[0]), by_seed)

    def tested(self, row: Need, baseline: Need) -> SignedRanks | None:
        """One measure of both rows query by query; a query's value is its mean over the seeds.

        Raises:
            MedhashError: the two have different queries, or one has no values of single queries.
        """
        first, second = (self._records(need.place) for need in (row, baseline))
        own, other = self.value(row), self.value(baseline)
        if first is None or second is None or own is None or other is None:
            return None
        measured = MeasureAt(row.measure, row.cutoff)
        result = _compared(first, second, measured)
        by_seed = (
            _compared([one], [two], measured).p_value
            for one, two in zip(first, second, strict=True)
        )
        return SignedRanks(result.p_value, result.effect_size > 0, own - other, tuple(by_seed))

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


def _compared(
    first: Sequence[Record], second: Sequence[Record], measured: MeasureAt
) -> SignedRankTest:
    values, others = per_query(first, measured), per_query(second, measured)
    if not values.index.equals(others.index):
        raise MedhashError(
            f"records of cells {first[0].cell} and {second[0].cell} cannot be paired: they have "
            "different queries; make both from the same split."
        )
    return compare(values.to_numpy(), others.to_numpy())
