"""How regenerated numbers decide a claim: one function a rule.

The models of the rules are in :mod:`medhash.papers.claim_rules`. Numbers have the digits
that tables print, so that a reader can follow a verdict from the tables. Whether the seeds
decide what the numbers say is for their intervals (:mod:`medhash.verdicts.estimates`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL
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
from medhash.verdicts.estimates import AmountRange, Estimate, Extreme, Uncertain, mean_of, spread_of
from medhash.verdicts.grid import ClaimGrid, Spot
from medhash.verdicts.numbers import Need, SignedRanks


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
    cases = []
    for case in values_and_gains(claim, grid):
        outcome: CaseOutcome | None = None
        if case.amount is not None:
            outcome = "W" if case.amount in _relation(claim) else "L"
        cases.append(replace(case, outcome=outcome, region=_relation(claim)))
    summary = f"{claim.relation} {claim.value}: {_holding(cases)}{_range(claim, cases)}"
    return _counted(claim, tuple(cases), summary, _same(grid, claim.gains))


def number(claim: models.Number, grid: ClaimGrid) -> ClaimFinding:
    """A printed number is a mean or an extreme of values or gains, up to the tolerance."""
    cases = tuple(values_and_gains(claim, grid))
    same_here = _same(grid, claim.gains)
    found = [case.found for case in cases if isinstance(case.found, Estimate)]
    if not found:
        return ClaimFinding(cases, holds=None, summary="", same_here=same_here)
    result, printed, tolerance = _statistic(claim, found), *_decimals(claim)
    within = AmountRange(printed - tolerance, printed + tolerance, closed=True)
    interval = result.interval(1)
    holds = True if within.holds(interval) else False if within.fails(interval) else None
    ran = str(len(cases)) if len(found) == len(cases) else f"{len(found)} that ran, of {len(cases)}"
    of = "" if len(cases) == 1 else f"{claim.of} of {ran}: "
    told = _interval_text(result, 1)
    if interval is None:
        told = f" ({ONE_SEED})"
    summary = f"{of}{shown(result.amount)} {claim.unit}{told}, printed {claim.printed}"
    whole = len(found) == len(cases)
    return ClaimFinding(cases, holds if whole else None, summary, same_here=same_here)


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


ONE_SEED = "one seed has no interval"
MISSING_DECIDES = "what is missing decides"

_RULES: tuple[Callable[[Any, ClaimGrid], ClaimFinding], ...]
_RULES = (better, greater_gain, bound, number, significant, spread)
RULES = {rule.__name__: rule for rule in _RULES}
"""Name of a rule in the file -> the function that decides."""


def _compared(group: Sequence[RowDifference], tolerance: Decimal, averaged: bool) -> Case:
    """A column's difference, or the average of a method's."""
    points = [points for each in group if (points := each.points) is not None]
    found = mean_of(points) if points else None
    text = group[0].text
    if averaged:
        name = f"{' against '.join(group[0].titles)}, {len(points)} of {len(group)} values"
        text = f"{name}: " + ("not run" if found is None else f"{shown(found.amount)} on average")
    needs = tuple(need for each in group for need in each.needs)
    return _greater(text, needs, len(points) == len(group), found, tolerance)


def _gains_compared(gain: RowDifference, other: RowDifference, tolerance: Decimal) -> Case:
    needs = (*gain.needs, *other.needs)
    name = f"gain of {' over '.join(gain.titles)} at {gain.grid.column_title(gain.spot)}"
    text = f"{name}: {_or_not_run(gain.points)}, of {other.titles[0]}: {_or_not_run(other.points)}"
    if gain.points is None or other.points is None:
        return Case(text, needs, complete=False)
    return _greater(text, needs, True, gain.points - other.points, tolerance)


def _greater(
    text: str, needs: tuple[Need, ...], complete: bool, found: Estimate | None, tolerance: Decimal
) -> Case:
    """A difference that has to be greater than the tolerance."""
    outcome = None if found is None else _outcome(found.amount, tolerance)
    return Case(text, needs, complete, outcome, found, AmountRange(least=tolerance))


def _tested(claim: models.Significant, grid: ClaimGrid, pair: RowPair, spot: Spot) -> Case:
    first, second = (grid.need(row, spot) for row in pair)
    needs, test = (first, second), grid.numbers.tested(first, second)
    name = " vs. ".join(grid.title(row, spot) for row in pair)
    name = f"{name} at {grid.column_title(spot)}"
    if test is None:
        return Case(f"{name}: not run", needs, complete=False)
    right = claim.direction == "any" or test.better
    against = "" if right else ", in favour of the second"
    text = f"{name}: p = {test.p_value:.3e}{against}"
    if test.p_value > float(claim.level):
        return Case(text, needs, True, "T", settled=_never_significant(test, float(claim.level)))
    # Queries tell that these networks differ; whether methods do, the seeds have to say.
    side = (
        AmountRange(greatest=Decimal(0))
        if right and not test.better
        else AmountRange(least=Decimal(0))
    )
    return Case(text, needs, True, "W" if right else "L", test.difference, side)


def _never_significant(test: SignedRanks, level: float) -> bool:
    """Whether several seeds agree, each by its own test."""
    return len(test.by_seed) > 1 and min(test.by_seed) > level


def _spread_of_panel(claim: models.Spread, grid: ClaimGrid, title: str, spot: Spot) -> Case:
    needs = tuple(grid.need(row, spot) for row in grid.panels[title])
    values = [value for need in needs if (value := grid.numbers.value(need)) is not None]
    name = f"{title} at {grid.column_title(spot)}"
    complete = len(values) == len(needs)
    if len(values) < 2:
        return Case(f"{name}: not run", needs, complete)
    amounts, found = [value.amount for value in values], spread_of(values)
    text = f"{name}: {min(amounts)} to {max(amounts)}"
    text += "" if complete else f" in {len(values)} of {len(needs)} settings"
    region = AmountRange(greatest=Decimal(claim.at_most), closed=True)
    outcome: CaseOutcome = "W" if found.amount in region else "L"
    return Case(text, needs, complete, outcome, found, region)


def _counted(
    claim: models.Counted, cases: tuple[Case, ...], summary: str, same_here: str
) -> ClaimFinding:
    """A claim that holds if enough cases do; those that the seeds leave open may go either way."""
    total = len(cases)
    least, most = _bounds(claim.holds, total)
    if least > total:
        raise MedhashError(
            f"claim '{claim.says}': holds: {least} cases are demanded, but there are {total}"
        )
    cases = _settled(cases, total if claim.holds == "not all" else least)
    won = sum(case.complete and case.settled and case.outcome == "W" for case in cases)
    lost = sum(case.complete and case.settled and case.outcome != "W" for case in cases)
    open_cases = total - won - lost
    if won > most or won + open_cases < least:
        holds, outlook = False, "it can no longer hold"
    elif least <= won and won + open_cases <= most:
        holds, outlook = True, "it will hold whatever is missing"
    else:
        left = any(case.complete and not case.settled for case in cases)
        holds, outlook = None, "more seeds and what is missing decide" if left else MISSING_DECIDES
    some = any(case.outcome for case in cases)
    summary = f"{summary}{_left_open(cases)}" if some else ""
    return ClaimFinding(cases, holds, summary, outlook, same_here)


def _bounds(holds: Holds, total: int) -> tuple[int, int]:
    """In how many cases a claim must hold: at least, and at most."""
    if holds == "not all":
        return 0, total - 1
    least = {"all": total, "most": total // 2 + 1}.get(str(holds), holds)
    return int(least), total


def _settled(cases: Sequence[Case], needed: int) -> tuple[Case, ...]:
    """The cases, each with whether its interval settles it.

    To say that at least k of m cases hold, any m - k + 1 of them would have to be wrong in no more
    than 5 of 100 runs; to say that fewer do, any k of them (Benjamini and Heller 2008, with
    Bonferroni's bound, which asks nothing of how cases depend on each other). What has not run
    cannot be wrong.
    """
    ran = sum(case.outcome is not None for case in cases)
    families = {"W": max(1, min(len(cases) - needed + 1, ran)), "L": max(1, min(needed, ran))}
    return tuple(
        _settled_case(case, families["W" if case.outcome == "W" else "L"]) for case in cases
    )


def _settled_case(case: Case, family: int) -> Case:
    if case.found is None:
        return case
    interval, region = case.found.interval(family), case.region
    settled = region.holds(interval) if case.outcome == "W" else region.fails(interval)
    return replace(case, settled=settled, text=case.text + _interval_text(case.found, family))


def _interval_text(found: Uncertain, family: int) -> str:
    """``, -5.1 to -1.7 (95 % interval)``; nothing where there is none, or chance has no part."""
    interval = found.interval(family)
    if interval is None or interval.least == interval.greatest:
        return ""
    confidence = 100 * (1 - SIGNIFICANCE_LEVEL / family)
    return f" ({shown(interval.least)} to {shown(interval.greatest)}, {confidence:.4g} % interval)"


def _left_open(cases: Sequence[Case]) -> str:
    """How many of the cases that ran the seeds do not decide."""
    ran = [case for case in cases if case.outcome is not None]
    left = sum(not case.settled for case in ran)
    if any(case.found is not None and case.found.interval(1) is None for case in ran):
        return f"; {ONE_SEED}"
    return f"; the seeds leave {left} of these open" if left else ""


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


def _relation(claim: models.Bound) -> AmountRange:
    value, tolerance = _decimals(claim)
    ends: dict[str, tuple[Decimal | None, Decimal | None]] = {
        "=": (value - tolerance, value + tolerance),
        ">": (value - tolerance, None),
        "<": (None, value + tolerance),
    }
    return AmountRange(*ends[claim.relation[0]], closed="=" in claim.relation)


def _decimals(claim: models.Bound | models.Number) -> tuple[Decimal, Decimal]:
    """The number that a claim names, and its tolerance."""
    named = claim.value if isinstance(claim, models.Bound) else claim.printed
    return Decimal(named), Decimal(claim.tolerance)


def _statistic(claim: models.Number, found: Sequence[Estimate]) -> Uncertain:
    if claim.of == "mean":
        return mean_of(found)
    return Extreme(tuple(found), {"least": min, "greatest": max}[claim.of], len(found))


def _outcome(difference: Decimal, tolerance: Decimal) -> CaseOutcome:
    if abs(difference) <= tolerance:
        return "T"
    return "W" if difference > 0 else "L"


def _same(grid: ClaimGrid, pairs: Iterable[RowPair]) -> str:
    texts = (grid.same_here([Row.parse(row).variant for row in pair]) for pair in pairs)
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _or_not_run(found: Estimate | None) -> str:
    return "not run" if found is None else shown(found.amount)
