"""What claims are decided by: numbers of places, differences of two, and cases made of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from medhash.papers.claim_rules import Bound, Number, RowPair
from medhash.verdicts.estimates import ANYWHERE, AmountRange, Estimate, Uncertain
from medhash.verdicts.grid import ClaimGrid, Spot
from medhash.verdicts.numbers import Need

_DECIMALS = 4

CaseOutcome = Literal["W", "T", "L"]
"""By the means: the claim holds for a case, both sides are equal, it does not hold."""


@dataclass(frozen=True)
class Case:
    """One thing that a claim says, and what the numbers that are there give.

    Attributes:
        text: what is looked at, with its numbers.
        needs: the numbers that decide it.
        complete: whether all of them are there.
        outcome: what the means of those that are there give; None if there are too few.
        found: the value, or the difference where two rows are compared; None where it is absent.
        region: where :attr:`found` has to lie for the claim to hold.
        settled: whether the seeds decide the outcome, and another set of them would hardly give
            another one.
    """

    text: str
    needs: tuple[Need, ...]
    complete: bool
    outcome: CaseOutcome | None = None
    found: Uncertain | None = None
    region: AmountRange = ANYWHERE
    settled: bool = False

    @property
    def amount(self) -> Decimal | None:
        """The mean over the seeds of what was found."""
        return None if self.found is None else self.found.amount


@dataclass(frozen=True)
class ClaimFinding:
    """What the numbers say of a claim.

    Attributes:
        cases: everything that the claim says.
        holds: whether it holds; None where the seeds, or what is missing, leave that open.
        summary: what the cases give that have numbers.
        outlook: for an incomplete claim, whether what is missing can still change the outcome.
        same_here: settings that the claim compares and that are one in this run.
    """

    cases: tuple[Case, ...]
    holds: bool | None
    summary: str
    outlook: str = ""
    same_here: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is there that the claim is about."""
        return not self.same_here and all(case.complete for case in self.cases)


@dataclass(frozen=True)
class RowDifference:
    """A number beside another one of the same spot.

    Attributes:
        grid: of the claim.
        pair: the rows.
        spot: where they are compared.
        relative: whether the difference is in percent of the second number.
    """

    grid: ClaimGrid
    pair: RowPair
    spot: Spot
    relative: bool = False

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """Where the two numbers come from."""
        return tuple(need for row in self.pair for need in self.grid.needs(row, self.spot))

    @cached_property
    def values(self) -> tuple[Estimate | None, ...]:
        """Both numbers, None where one has not been computed."""
        return tuple(self.grid.value(row, self.spot) for row in self.pair)

    @property
    def titles(self) -> tuple[str, ...]:
        """The rows as printed."""
        return tuple(self.grid.title(row, self.spot) for row in self.pair)

    @cached_property
    def points(self) -> Estimate | None:
        """The first number minus the second, seed by seed."""
        value, other = self.values
        if value is None or other is None:
            return None
        if not self.relative:
            return value - other
        percent_exists = other.amount and all(other.by_seed)
        return (value - other).percent_of(other) if percent_exists else None

    @property
    def text(self) -> str:
        """``CSQ+ACH at COVID-CT-Dataset/8 bits: 80.55 against 80.61``."""
        numbers = " against ".join(
            "not run" if each is None else str(each.amount) for each in self.values
        )
        here, there = (
            self.grid.column_title(self.grid.spot_of(row, self.spot)) for row in self.pair
        )
        return f"{self.titles[0]} at {here}: {numbers}{'' if there == here else f' at {there}'}"


def values_and_gains(claim: Bound | Number, grid: ClaimGrid) -> list[Case]:
    """Every value and gain of a claim, there or not; how they come out is not said yet."""
    spots = [spot for method in grid.methods for spot in grid.spots(method)]
    values = [_value(grid, row, spot) for spot in spots for row in claim.rows]
    gains = [
        RowDifference(grid, pair, spot, claim.relative) for spot in spots for pair in claim.gains
    ]
    return values + [
        Case(gain.text, gain.needs, gain.points is not None, found=gain.points) for gain in gains
    ]


def shown(value: Decimal) -> str:
    """At most four decimals, without trailing zeros."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(grid: ClaimGrid, row: str, spot: Spot) -> Case:
    value = grid.value(row, spot)
    name = f"{grid.title(row, spot)} at {grid.column_title(grid.spot_of(row, spot))}"
    text = f"{name}: {'not run' if value is None else value.amount}"
    return Case(text, grid.needs(row, spot), value is not None, found=value)
