"""What claims are decided by: numbers of places, differences of two, and cases made of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

from medhash.analysis.numbers.context import GridColumn, Place
from medhash.papers.claim_rules import Bound, Claim, Number, RowPair
from medhash.verdicts.grid import ClaimGrid

if TYPE_CHECKING:
    from medhash.verdicts.numbers import RunNumbers

_DECIMALS = 4

CaseOutcome = Literal["W", "T", "L"]
"""The claim holds for a case, both sides are equal, it does not hold."""


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
class Case:
    """One thing that a claim says, and what the numbers that are there give.

    Attributes:
        text: what is looked at, with its numbers.
        needs: the numbers that decide it.
        complete: whether all of them are there.
        outcome: what those that are there give; None if there are too few.
        amount: the value, or the difference where two rows are compared; None where it is absent.
    """

    text: str
    needs: tuple[Need, ...]
    complete: bool
    outcome: CaseOutcome | None = None
    amount: Decimal | None = None


@dataclass(frozen=True)
class ClaimFinding:
    """What the numbers say of a claim.

    Attributes:
        cases: everything that the claim says.
        holds: whether it holds, if :attr:`complete`.
        summary: what the cases give that have numbers.
        outlook: for an incomplete claim, whether what is missing can still change the outcome.
        same_here: settings that the claim compares and that are one in this run.
    """

    cases: tuple[Case, ...]
    holds: bool
    summary: str
    outlook: str = ""
    same_here: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is there that the claim is about."""
        return not self.same_here and all(case.complete for case in self.cases)


@dataclass(frozen=True)
class RowDifference:
    """A number beside another one of the same column.

    Attributes:
        title: the row of the first, as printed.
        other_title: the row of the other.
        column: the column, as printed.
        needs: where the two come from.
        value: the first, or None where it has not been computed.
        other: the other.
    """

    title: str
    other_title: str
    column: str
    needs: tuple[Need, Need]
    value: Decimal | None
    other: Decimal | None

    @classmethod
    def of(
        cls,
        grid: ClaimGrid,
        numbers: RunNumbers,
        method: str,
        pair: RowPair,
        column: GridColumn,
        cutoff: int | None,
    ) -> RowDifference:
        """The difference of a pair of rows in a column, at one K where there are several."""
        first, second = (
            Need(grid.claim.measure, grid.place(row, method, column), cutoff) for row in pair
        )
        title, other_title = (grid.title(row, method, column) for row in pair)
        values = numbers.value(first), numbers.value(second)
        name = _column_name(grid, column, cutoff)
        return cls(title, other_title, name, (first, second), *values)

    @property
    def points(self) -> Decimal | None:
        """The first number minus the second."""
        if self.value is None or self.other is None:
            return None
        return self.value - self.other

    @property
    def numbers(self) -> str:
        """``80.55 against 80.61``."""
        values = ("not run" if v is None else str(v) for v in (self.value, self.other))
        return " against ".join(values)


def values_and_gains(claim: Bound | Number, grid: ClaimGrid, numbers: RunNumbers) -> list[Case]:
    """Every value and gain of a claim, there or not; how they come out is not said yet."""
    places = [(method, *place) for method in grid.methods for place in places_of(claim, grid)]
    values = [
        _value(grid, numbers, row, method, column, cutoff)
        for method, column, cutoff in places
        for row in claim.rows
    ]
    gains = [
        _gain(RowDifference.of(grid, numbers, method, pair, column, cutoff))
        for method, column, cutoff in places
        for pair in claim.gains
    ]
    return values + gains


def places_of(claim: Claim, grid: ClaimGrid) -> list[tuple[GridColumn, int | None]]:
    """Columns, and the K of each where there are several."""
    return [(column, cutoff) for column in grid.columns for cutoff in claim.cutoffs or (None,)]


def shown(value: Decimal) -> str:
    """At most four decimals, without trailing zeros."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _column_name(grid: ClaimGrid, column: GridColumn, cutoff: int | None) -> str:
    name = grid.column_title(column)
    return name if cutoff is None else f"{name}, K = {cutoff}"


def _value(
    grid: ClaimGrid,
    numbers: RunNumbers,
    row: str,
    method: str,
    column: GridColumn,
    cutoff: int | None,
) -> Case:
    need = Need(grid.claim.measure, grid.place(row, method, column), cutoff)
    value = numbers.value(need)
    name = f"{grid.title(row, method, column)} at {_column_name(grid, column, cutoff)}"
    text = f"{name}: {'not run' if value is None else value}"
    return Case(text, (need,), value is not None, amount=value)


def _gain(difference: RowDifference) -> Case:
    text = f"{difference.title} at {difference.column}: {difference.numbers}"
    points = difference.points
    return Case(text, difference.needs, points is not None, amount=points)
