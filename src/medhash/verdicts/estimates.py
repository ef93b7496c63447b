"""Numbers that differ from seed to seed, and how far the seeds leave them open.

Seeds are the only repetition that a run has, so an interval is Student's t over them: of a value,
or of a difference taken seed by seed. One seed has no interval. How several intervals are
corrected for standing together is argued in ``docs/claims.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple, Protocol, Self

from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL, mean_and_half_width

Pick = Callable[[Iterable[Decimal]], Decimal]


class Interval(NamedTuple):
    """Where a number may lie, ends included."""

    least: Decimal
    greatest: Decimal


class Uncertain(Protocol):
    """A number and its interval over seeds."""

    @property
    def amount(self) -> Decimal:
        """The number, by the digits that tables print."""

    def interval(self, family: int) -> Interval | None:
        """Its interval, one of a family that misses in 5 of 100 runs; None for one seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        amount: the mean, by the digits that tables print.
        by_seed: the number of each seed, unrounded, in the same unit; empty where the seed has no
            part in it, as in the size of a query set.
    """

    amount: Decimal
    by_seed: tuple[float, ...] = ()

    def __sub__(self, other: Self) -> Estimate:
        """The difference, seed by seed."""
        pairs = zip(self.by_seed, other.by_seed, strict=True)
        return Estimate(self.amount - other.amount, tuple(a - b for a, b in pairs))

    def percent_of(self, other: Self) -> Estimate:
        """What it is of another one, in percent, seed by seed."""
        pairs = zip(self.by_seed, other.by_seed, strict=True)
        return Estimate(100 * self.amount / other.amount, tuple(100 * a / b for a, b in pairs))

    def interval(self, family: int = 1) -> Interval | None:
        """Student's t over the seeds, with Bonferroni's share of a family of intervals."""
        if not self.by_seed:
            return Interval(self.amount, self.amount)
        half = mean_and_half_width(self.by_seed, 1 - SIGNIFICANCE_LEVEL / family)[1]
        if half is None:
            return None
        # Six decimals: what two equal differences of floats lack in the last bits is no width.
        width = Decimal(f"{half:.6f}")
        return Interval(self.amount - width, self.amount + width)


@dataclass(frozen=True)
class Extreme:
    """The least or the greatest of several numbers.

    The greatest of the means over many seeds, not the mean of each seed's greatest, which chance
    alone makes large. Its interval follows from simultaneous ones of all the numbers.

    Attributes:
        of: the numbers.
        pick: ``min`` or ``max``.
        intervals: how many of them are apart from each other; of a difference and its opposite one.
    """

    of: tuple[Estimate, ...]
    pick: Pick
    intervals: int

    @cached_property
    def amount(self) -> Decimal:
        """The extreme of the means."""
        return self.pick(each.amount for each in self.of)

    def interval(self, family: int = 1) -> Interval | None:
        """The extremes of both ends."""
        found = [each.interval(family * self.intervals) for each in self.of]
        ends = [each for each in found if each is not None]
        if len(ends) < len(found):
            return None
        return Interval(*map(self.pick, zip(*ends, strict=True)))


@dataclass(frozen=True)
class AmountRange:
    """The amounts for which a claim holds: all between two ends.

    Attributes:
        least: the lower end; None if there is none.
        greatest: the upper end.
        closed: whether the ends belong to it.
    """

    least: Decimal | None = None
    greatest: Decimal | None = None
    closed: bool = False

    def __contains__(self, amount: Decimal) -> bool:
        """Whether the claim holds for an amount."""
        return not self._below(amount) and not self._above(amount)

    def holds(self, interval: Interval | None) -> bool:
        """Whether it holds wherever in the interval the number lies."""
        return interval is not None and all(end in self for end in interval)

    def fails(self, interval: Interval | None) -> bool:
        """Whether it holds nowhere in the interval."""
        if interval is None:
            return False
        return self._below(interval.greatest) or self._above(interval.least)

    def _below(self, amount: Decimal) -> bool:
        if self.least is None:
            return False
        return amount < self.least if self.closed else amount <= self.least

    def _above(self, amount: Decimal) -> bool:
        if self.greatest is None:
            return False
        return amount > self.greatest if self.closed else amount >= self.greatest


ANYWHERE = AmountRange()
"""Where there is no end."""


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of several numbers, seed by seed."""
    amount = sum((each.amount for each in estimates), Decimal(0)) / len(estimates)
    seeds = zip(*(each.by_seed for each in estimates), strict=True)
    return Estimate(amount, tuple(sum(own) / len(estimates) for own in seeds))


def spread_of(estimates: Sequence[Estimate]) -> Extreme:
    """The greatest of several numbers less the least of them."""
    differences = tuple(a - b for a in estimates for b in estimates if a is not b)
    return Extreme(differences, max, len(differences) // 2)
