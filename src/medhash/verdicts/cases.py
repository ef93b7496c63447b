"""What claims are decided by: numbers of places, differences of two, and cases made of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from medhash.papers.claim_rules import Bound, Number, RowPair
from medhash.verdicts.estimates import ANYWHERE, Estimate, Region, Uncertain
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
    region: Region = ANYWHERE
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
    """

    grid: ClaimGrid
    pair: RowPair
    spot: Spot

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """Where the two numbers come from."""
        return tuple(self.grid.need(row, self.spot) for row in self.pair)

    @cached_property
    def values(self) -> tuple[Estimate | None, ...]:
        """Both numbers, None where one has not been computed."""
        return tuple(map(self.grid.numbers.value, self.needs))

    @property
    def titles(self) -> tuple[str, ...]:
        """The rows as printed."""
        return tuple(self.grid.title(row, self.spot) for row in self.pair)

    @cached_property
    def points(self) -> Estimate | None:
        """The first number minus the second, seed by seed."""
        value, other = self.values
        return None if value is None or other is None else value - other

    @property
    def text(self) -> str:
        """``CSQ+ACH at COVID-CT-Dataset/8 bits: 80.55 against 80.61``."""
        numbers = " against ".join(
            "not run" if each is None else str(each.amount) for each in self.values
        )
        return f"{self.titles[0]} at {self.grid.column_title(self.spot)}: {numbers}"


def values_and_gains(claim: Bound | Number, grid: ClaimGrid) -> list[Case]:
    """Every value and gain of a claim, there or not; how they come out is not said yet."""
    spots = [spot for method in grid.methods for spot in grid.spots(method)]
    values = [_value(grid, row, spot) for spot in spots for row in claim.rows]
    gains = [RowDifference(grid, pair, spot) for spot in spots for pair in claim.gains]
    return values + [
        Case(gain.text, gain.needs, gain.points is not None, found=gain.points) for gain in gains
    ]


def shown(value: Decimal) -> str:
    """At most four decimals, without trailing zeros."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(grid: ClaimGrid, row: str, spot: Spot) -> Case:
    need = grid.need(row, spot)
    value = grid.numbers.value(need)
    name = f"{grid.title(row, spot)} at {grid.column_title(spot)}"
    text = f"{name}: {'not run' if value is None else value.amount}"
    return Case(text, (need,), value is not None, found=value)
