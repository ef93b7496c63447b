"""How regenerated numbers decide a claim: one function a rule.

The models of the rules are in :mod:`medhash.papers.claim_rules`. Numbers have the digits
that tables print, so that a reader can follow a verdict from the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

from medhash.errors import MedhashError
from medhash.papers import claim_rules as models
from medhash.papers.claim_rules import Claim, Holds, Row, RowPair
from medhash.verdicts.cases import (
    Case,
    CaseOutcome,
    ClaimFinding,
    RowDifference,
    shown,
    values_and_gains,
)
from medhash.verdicts.grid import ClaimGrid, Spot


def decide(grid: ClaimGrid) -> ClaimFinding:
    """What the numbers that are there say of a claim.

    Raises:
        MedhashError: the claim must hold in more cases than there are.
    """
    return RULES[grid.claim.rule](grid.claim, grid)


def better(claim: models.Better, grid: ClaimGrid) -> ClaimFinding:
    """The first row of each pair is higher: in columns, or on a method's average."""
    tolerance, averaged = Decimal(claim.tolerance), claim.per == "method"
    cases = []
    for method, pair in product(grid.methods, claim.pairs):
        every = [RowDifference(grid, pair, spot) for spot in grid.spots(method)]
        groups = [every] if averaged else [[each] for each in every]
        cases += [_compared(group, tolerance, averaged) for group in groups]
    return _counted(claim, tuple(cases), _better_summary(claim, cases), _same(grid, claim.pairs))


def greater_gain(claim: models.GreaterGain, grid: ClaimGrid) -> ClaimFinding:
    """The gain of one pair is greater than each of the others, column by column."""
    tolerance = Decimal(claim.tolerance)
    cases = []
    for method, than in product(grid.methods, claim.than):
        for spot in grid.spots(method):
            gain, other = (RowDifference(grid, pair, spot) for pair in (claim.gain, than))
            cases.append(_gains_compared(gain, other, tolerance))
    summary = _outcome_summary("greater", cases)
    return _counted(claim, tuple(cases), summary, _same(grid, (claim.gain, *claim.than)))


def bound(claim: models.Bound, grid: ClaimGrid) -> ClaimFinding:
    """All values or gains stand in a relation to a number."""
    holds = _relation(claim)
    cases = []
    for case in values_and_gains(claim, grid):
        outcome: CaseOutcome | None = None
        if case.amount is not None:
            outcome = "W" if holds(case.amount) else "L"
        cases.append(replace(case, outcome=outcome))
    summary = f"{claim.relation} {claim.value}: {_holding(cases)}{_range(claim, cases)}"
    return _counted(claim, tuple(cases), summary, _same(grid, claim.gains))


def number(claim: models.Number, grid: ClaimGrid) -> ClaimFinding:
    """A printed number is a mean or an extreme of values or gains, up to the tolerance."""
    cases = tuple(values_and_gains(claim, grid))
    same_here = _same(grid, claim.gains)
    found = [case.amount for case in cases if case.amount is not None]
    if not found:
        return ClaimFinding(cases, holds=False, summary="", same_here=same_here)
    result = _STATISTICS[claim.of](found)
    holds = abs(result - Decimal(claim.printed)) <= Decimal(claim.tolerance)
    ran = str(len(cases)) if len(found) == len(cases) else f"{len(found)} that ran, of {len(cases)}"
    of = "" if len(cases) == 1 else f"{claim.of} of {ran}: "
    summary = f"{of}{shown(result)} {claim.unit}, printed {claim.printed}"
    return ClaimFinding(cases, holds, summary, same_here=same_here)


def significant(claim: models.Significant, grid: ClaimGrid) -> ClaimFinding:
    """The rows of each pair differ significantly on a measure of each query."""
    places = product(grid.methods, claim.pairs)
    cases = [
        _tested(claim, grid, pair, spot) for method, pair in places for spot in grid.spots(method)
    ]
    in_favour = " in favour of the first" if claim.direction == "better" else ""
    summary = f"p <= {claim.level}{in_favour}: {_holding(cases)}"
    return _counted(claim, tuple(cases), summary, _same(grid, claim.pairs))


def spread(claim: models.Spread, grid: ClaimGrid) -> ClaimFinding:
    """Within each panel of a figure the values differ by no more than so much."""
    places = product(grid.columns, grid.methods, grid.panels)
    cases = [
        _spread_of_panel(claim, grid, title, Spot(method, column))
        for column, method, title in places
    ]
    over = _over_a_part(cases, "settings")
    summary = f"at most {claim.at_most} {claim.unit} apart: {_holding(cases)}{over}"
    variants = [variant for panel in grid.panels.values() for variant in panel]
    return _counted(claim, tuple(cases), summary, grid.same_here(variants))


_RULES: tuple[Callable[[Any, ClaimGrid], ClaimFinding], ...]
_RULES = (better, greater_gain, bound, number, significant, spread)
RULES = {rule.__name__: rule for rule in _RULES}
"""Name of a rule in the file -> the function that decides."""


def _compared(group: Sequence[RowDifference], tolerance: Decimal, averaged: bool) -> Case:
    """A column's difference, or the average of a method's."""
    found = [points for each in group if (points := each.points) is not None]
    amount = sum(found, Decimal(0)) / len(found) if found else None
    text = group[0].text
    if averaged:
        name = f"{' against '.join(group[0].titles)}, {len(found)} of {len(group)} values"
        text = f"{name}: " + ("not run" if amount is None else f"{shown(amount)} on average")
    needs = tuple(need for each in group for need in each.needs)
    outcome = None if amount is None else _outcome(amount, tolerance)
    return Case(text, needs, len(found) == len(group), outcome, amount)


def _gains_compared(gain: RowDifference, other: RowDifference, tolerance: Decimal) -> Case:
    needs = (*gain.needs, *other.needs)
    name = f"gain of {' over '.join(gain.titles)} at {gain.grid.column_title(gain.spot)}"
    text = f"{name}: {_or_not_run(gain.points)}, of {other.titles[0]}: {_or_not_run(other.points)}"
    if gain.points is None or other.points is None:
        return Case(text, needs, complete=False)
    amount = gain.points - other.points
    return Case(text, needs, True, _outcome(amount, tolerance), amount)


def _tested(claim: models.Significant, grid: ClaimGrid, pair: RowPair, spot: Spot) -> Case:
    first, second = (grid.need(row, spot) for row in pair)
    needs, test = (first, second), grid.numbers.tested(first, second)
    name = " vs. ".join(grid.title(row, spot) for row in pair)
    name = f"{name} at {grid.column_title(spot)}"
    if test is None:
        return Case(f"{name}: not run", needs, complete=False)
    small = test.p_value <= float(claim.level)
    right = claim.direction == "any" or test.better
    against = "" if right else ", in favour of the second"
    outcome: CaseOutcome = ("W" if right else "L") if small else "T"
    return Case(f"{name}: p = {test.p_value:.3e}{against}", needs, True, outcome)


def _spread_of_panel(claim: models.Spread, grid: ClaimGrid, title: str, spot: Spot) -> Case:
    needs = tuple(grid.need(row, spot) for row in grid.panels[title])
    values = [value for need in needs if (value := grid.numbers.value(need)) is not None]
    name = f"{title} at {grid.column_title(spot)}"
    complete = len(values) == len(needs)
    if len(values) < 2:
        return Case(f"{name}: not run", needs, complete)
    amount = max(values) - min(values)
    text = f"{name}: {min(values)} to {max(values)}"
    text += "" if complete else f" in {len(values)} of {len(needs)} settings"
    outcome: CaseOutcome = "W" if amount <= Decimal(claim.at_most) else "L"
    return Case(text, needs, complete, outcome, amount)


def _counted(
    claim: models.Counted, cases: tuple[Case, ...], summary: str, same_here: str
) -> ClaimFinding:
    """A claim that holds if enough cases do."""
    won = sum(case.complete and case.outcome == "W" for case in cases)
    lost = sum(case.complete and case.outcome != "W" for case in cases)
    open_cases, total = len(cases) - won - lost, len(cases)
    least, most = _bounds(claim.holds, total)
    if least > total:
        raise MedhashError(
            f"claim '{claim.says}': holds: {least} cases are demanded, but there are {total}"
        )
    if won > most or won + open_cases < least:
        outlook = "it can no longer hold"
    elif least <= won and won + open_cases <= most:
        outlook = "it will hold whatever is missing"
    else:
        outlook = "what is missing decides"
    holds = least <= won <= most
    some = any(case.outcome for case in cases)
    return ClaimFinding(cases, holds, summary if some else "", outlook, same_here)


def _bounds(holds: Holds, total: int) -> tuple[int, int]:
    """In how many cases a claim must hold: at least, and at most."""
    if holds == "not all":
        return 0, total - 1
    least = {"all": total, "most": total // 2 + 1}.get(str(holds), holds)
    return int(least), total


def _better_summary(claim: models.Better, cases: Sequence[Case]) -> str:
    what = "higher on average" if claim.per == "method" else "higher"
    over = _over_a_part(cases, "columns")
    return f"{_outcome_summary(what, cases)}{over}{_range(claim, cases, 'differences ')}"


def _over_a_part(cases: Sequence[Case], what: str) -> str:
    """Says so where an outcome is that of a part of what it is about."""
    part = any(case.outcome and not case.complete for case in cases)
    return f", over the {what} that ran" if part else ""


def _outcome_summary(what: str, cases: Sequence[Case]) -> str:
    count = {name: sum(case.outcome == name for case in cases) for name in ("W", "T", "L")}
    opposite = {"higher": "lower", "higher on average": "lower", "greater": "smaller"}[what]
    counts = f"{what} in {count['W']}, equal in {count['T']}, {opposite} in {count['L']}"
    return f"{counts} of {_of_total(cases)}"


def _holding(cases: Sequence[Case]) -> str:
    return f"in {sum(case.outcome == 'W' for case in cases)} of {_of_total(cases)}"


def _of_total(cases: Sequence[Case]) -> str:
    """``48``, or ``12 with numbers, of 48``."""
    ran = sum(case.outcome is not None for case in cases)
    return str(len(cases)) if ran == len(cases) else f"{ran} that ran, of {len(cases)}"


def _range(claim: Claim, cases: Sequence[Case], what: str = "") -> str:
    amounts = [case.amount for case in cases if case.amount is not None]
    if not amounts:
        return ""
    ends = dict.fromkeys((shown(min(amounts)), shown(max(amounts))))
    return f"; {what}{' to '.join(ends)} {claim.unit}"


def _relation(claim: models.Bound) -> Callable[[Decimal], bool]:
    value, tolerance = Decimal(claim.value), Decimal(claim.tolerance)
    relations: dict[str, Callable[[Decimal], bool]] = {
        "=": lambda number: abs(number - value) <= tolerance,
        ">": lambda number: number > value - tolerance,
        ">=": lambda number: number >= value - tolerance,
        "<": lambda number: number < value + tolerance,
        "<=": lambda number: number <= value + tolerance,
    }
    return relations[claim.relation]


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


_STATISTICS: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "mean": _mean,
    "least": min,
    "greatest": max,
}


def _outcome(difference: Decimal, tolerance: Decimal) -> CaseOutcome:
    if abs(difference) <= tolerance:
        return "T"
    return "W" if difference > 0 else "L"


def _same(grid: ClaimGrid, pairs: Iterable[RowPair]) -> str:
    texts = (grid.same_here([Row.parse(row).variant for row in pair]) for pair in pairs)
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _or_not_run(value: Decimal | None) -> str:
    return "not run" if value is None else shown(value)
