"""How each number or statement that a paper derives follows from its other printed numbers.

One function a rule of :mod:`medhash.papers.derivations`. Arithmetic is decimal: printed
digits are exact, and a recomputed number is compared at the digits that are printed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Any

from medhash.analysis.numbers.context import bits_label
from medhash.errors import MedhashError
from medhash.papers import derivations as models
from medhash.papers.derivations import Derived, FromTable, Pair
from medhash.papers.reported import SUMMARY_ROW, ReportedColumn, ReportedPaper
from medhash.schema.validation import check_name
from medhash.verdicts.cases import CaseOutcome, shown

Case = tuple[str, bool]
"""What is looked at, in words, and whether the statement holds for it."""

_MODULE = re.compile(r"\+\w+")


@dataclass(frozen=True)
class Check:
    """One derived number or statement, and what the printed values give.

    Attributes:
        paper: whose it is.
        table: the table that it is derived from; empty for numbers of the text.
        place: where it is printed.
        rule: how it was recomputed.
        says: what it states.
        printed: the number as printed, or what the statement demands.
        recomputed: what the printed values give.
        follows: whether the two agree at the printed digits; None where no printed number decides.
        reading: how the statement is read where it can be read in several ways.
        exceptions: the places where the statement does not hold, or that were not won.
        note: what else to know; whether unprinted digits could explain a difference.
    """

    paper: str
    table: str
    place: str
    rule: str
    says: str
    printed: str
    recomputed: str
    follows: bool | None
    reading: str
    exceptions: tuple[str, ...]
    note: str


def arrows(derived: models.Arrows, paper: ReportedPaper) -> Iterator[Check]:
    """Each arrow against the difference to the row without ``+MODULE``."""
    for method, row in paper.table(derived.table).by_method.items():
        pair = (method, _without_modules(method))
        for difference in _differences(derived, paper, [pair], row.arrows):
            printed = row.arrows[difference.column]
            points = Decimal(printed.translate({ord("↑"): "", ord("↓"): "-"}))
            follows = points == difference.points
            yield _check(
                derived,
                paper,
                (printed, difference.arrow),
                follows,
                says=f"difference to {pair[1]}",
                place=f"Table {derived.table}, {method} at {difference.column}",
                note=_rounding_note(difference.points, points, follows, difference.value),
            )


def proportions(derived: models.Proportions, paper: ReportedPaper) -> Iterator[Check]:
    """Each ``(7/8)`` against the number of columns that beat the row without ``+MODULE``."""
    for method, row in paper.table(derived.table).by_method.items():
        if not row.proportion:
            continue
        pair = (method, _without_modules(method))
        outcomes = [each.outcome for each in _differences(derived, paper, [pair])]
        found = f"{outcomes.count('W')}/{len(outcomes)}"
        yield _check(
            derived,
            paper,
            (row.proportion, found),
            found == row.proportion,
            says=f"columns in which it beats {pair[1]}",
            place=f"Table {derived.table}, {method}",
        )


def significance_counts(
    derived: models.SignificanceCounts, paper: ReportedPaper
) -> Iterator[Check]:
    """Each W/T/L cell against the p-values of its column."""
    level = Decimal(derived.level)
    rows = paper.table(derived.table).by_method.values()

    def outcome(method: str, column: ReportedColumn, p_value: Decimal) -> CaseOutcome:
        if derived.directions_from is None:
            return "W" if p_value <= level else "L"
        treatment, _, baseline = method.partition(" vs. ")
        difference = _difference(paper, derived.directions_from, (treatment, baseline), column)
        return difference.outcome if p_value <= level else "T"

    def outcomes(column: ReportedColumn) -> list[tuple[str, CaseOutcome]]:
        return [
            (f"{row.method}, p = {row.values[column]}", outcome(row.method, column, p_value))
            for row in rows
            if row.method != SUMMARY_ROW
            for p_value in [row.numbers[column]]
        ]

    return _summary_checks(derived, paper, outcomes)


def pair_counts(derived: models.PairCounts, paper: ReportedPaper) -> Iterator[Check]:
    """Each W/T/L cell against the pairs of rows of its column."""

    def outcomes(column: ReportedColumn) -> list[tuple[str, CaseOutcome]]:
        pairs = _filled_all(derived.pairs, derived.methods)
        differences = [_difference(paper, derived.table, pair, column) for pair in pairs]
        return [(difference.text, difference.outcome) for difference in differences]

    return _summary_checks(derived, paper, outcomes)


def comparison(derived: models.Comparison, paper: ReportedPaper) -> list[Check]:
    """The first row of each pair is higher: in every column, in most, or on average."""
    pairs = _filled_all(derived.pairs, derived.methods)
    if derived.holds == "average":
        averages = {pair: _average(_differences(derived, paper, [pair])) for pair in pairs}
        cases = [(f"{pair[0]}: {shown(each)}", each > 0) for pair, each in averages.items()]
        return [_of_all(derived, paper, "higher on average", cases)]
    differences = _differences(derived, paper, pairs, other=derived.other)
    count, total = Counter(each.outcome for each in differences), len(differences)
    found = f"higher in {count['W']}, equal in {count['T']}, lower in {count['L']} of {total}"
    follows = count["W"] == total if derived.holds == "every" else 2 * count["W"] > total
    printed = "higher in all" if derived.holds == "every" else "higher in most"
    cases = [(each.text, each.outcome == "W") for each in differences]
    return [_check(derived, paper, (printed, found), follows, cases=cases)]


def gain_comparison(derived: models.GainComparison, paper: ReportedPaper) -> list[Check]:
    """The gain of one pair of rows is greater than that of another, in every column."""
    cases = []
    for method in derived.methods:
        reference = _filled(derived.than, method)
        for gain in _differences(derived, paper, [_filled(derived.gain, method)]):
            other = _difference(paper, derived.table, reference, gain.column)
            text = f"{gain.row} at {gain.column}: {gain.points} against {other.points}"
            cases.append((text, gain.points > other.points))
    return [_of_all(derived, paper, "greater", cases)]


def average_improvements(derived: models.AverageImprovements, paper: ReportedPaper) -> list[Check]:
    """Each printed average difference; the average over all columns is named beside it."""
    return [
        _average_improvement(derived, paper, _filled(derived.pair, method), printed)
        for method, printed in derived.printed.items()
    ]


def improvement_range(derived: models.ImprovementRange, paper: ReportedPaper) -> list[Check]:
    """The least and the greatest difference, one check each."""
    pairs = _filled_all([derived.pair], derived.methods)
    ordered = sorted(_differences(derived, paper, pairs), key=lambda each: each.points)
    ends = zip(("least", "greatest"), (ordered[0], ordered[-1]), derived.printed, strict=True)
    return [
        _check(
            derived,
            paper,
            (printed, shown(end.points)),
            _rounds_to(end.points, printed),
            says=f"{name}: {derived.says}",
            note=end.text,
        )
        for name, end, printed in ends
    ]


def bound(derived: models.DerivedBound, paper: ReportedPaper) -> list[Check]:
    """All values of the rows stand in a relation to a number."""
    value = Decimal(derived.value)
    relations: dict[str, Callable[[Decimal], bool]] = {
        "=": lambda number: number == value,
        ">": lambda number: number > value,
        "<=": lambda number: number <= value,
    }
    holds = relations[derived.relation]
    cases = []
    for name in _names(derived.rows, derived.methods):
        row = paper.row(derived.table, name)
        for column in _columns(derived, paper):
            text = f"{name} at {column}: {row.values[column]}"
            cases.append((text, holds(row.numbers[column])))
    return [_of_all(derived, paper, f"{derived.relation} {derived.value}", cases)]


def repeated_values(derived: models.RepeatedValues, paper: ReportedPaper) -> list[Check]:
    """A row that two tables print has the same values in both."""
    cases = []
    for method in derived.methods:
        names = _filled(derived.rows, method)
        row, other = paper.row(derived.table, names[0]), paper.row(derived.other, names[1])
        for column in _columns(derived, paper):
            if column in other.values:
                text = f"{names[0]} at {column}: {row.values[column]} and {other.values[column]}"
                cases.append((text, row.numbers[column] == other.numbers[column]))
    return [_of_all(derived, paper, "the same", cases)]


def relative_gain(derived: models.RelativeGain, paper: ReportedPaper) -> list[Check]:
    """The percentage by which a row exceeds another, on average over the columns."""
    table = paper.table(derived.table)
    columns = {str(column): column for column in table.column_list}
    where = f"paper '{paper.paper}': derived: Table {derived.table}"
    gains, notes = [], []
    for of, than in derived.columns:
        for name in (of, than):
            check_name(name, columns, "column", where)
        value = paper.row(derived.table, derived.row).numbers[columns[of]]
        others = (
            [derived.over] if derived.over else [m for m in table.by_method if m != derived.row]
        )
        found = {m: paper.row(derived.table, m).numbers[columns[than]] for m in others}
        best = max(found, key=lambda method: found[method])
        gains.append(100 * (value / found[best] - 1))
        notes.append(f"{derived.row} at {of}: {value} against {found[best]} of {best} at {than}")
    average = sum(gains, Decimal(0)) / len(gains)
    printed = Decimal(derived.printed)
    follows = _rounds_to(average, derived.printed)
    if not follows and average.quantize(printed, ROUND_DOWN) == printed:
        notes.append("the printed digits are cut off, not rounded")
    numbers = (derived.printed, shown(average))
    return [_check(derived, paper, numbers, follows, note="; ".join(notes))]


def trend(derived: models.Trend, paper: ReportedPaper) -> list[Check]:
    """The values of each row rise, or fall, from each column of a dataset to the next."""
    cases = []
    for name in derived.methods:
        row = paper.row(derived.table, name)
        for left, right in pairwise(_columns(derived, paper)):
            if left.dataset == right.dataset:
                change = row.numbers[right] - row.numbers[left]
                text = f"{name} at {right}: {row.values[right]} after {row.values[left]}"
                cases.append((text, change > 0 if derived.direction == "rises" else change < 0))
    return [_of_all(derived, paper, derived.direction, cases)]


def highest(derived: models.Highest, paper: ReportedPaper) -> list[Check]:
    """One of the named rows is the highest of each column."""
    rows = paper.table(derived.table).by_method
    for name in (*derived.rows, *derived.leaving_out):
        paper.row(derived.table, name)
    counted = [name for name in rows if name not in derived.leaving_out]
    cases = []
    for column in _columns(derived, paper):
        greatest = max(rows[name].numbers[column] for name in counted)
        best = [name for name in counted if rows[name].numbers[column] == greatest]
        text = f"{' and '.join(best)} at {column}: {greatest}"
        cases.append((text, set(best) <= set(derived.rows)))
    return [_of_all(derived, paper, "highest", cases)]


def same_for_datasets(derived: models.SameForDatasets, paper: ReportedPaper) -> list[Check]:
    """A row has the same value at one code length, whatever the dataset."""
    columns = _columns(derived, paper)
    cases = []
    for name in _names(derived.rows, derived.methods):
        row = paper.row(derived.table, name)
        for bits in dict.fromkeys(column.bits for column in columns):
            values = [row.values[column] for column in columns if column.bits == bits]
            text = f"{name} at {bits} bits: {' and '.join(values)}"
            cases.append((text, len(set(map(Decimal, values))) == 1))
    return [_of_all(derived, paper, "the same", cases)]


def parts_of_a_whole(derived: models.Sum, paper: ReportedPaper) -> list[Check]:
    """The printed parts add up to the printed whole."""
    total = sum(derived.parts)
    says = f"{derived.says}: {' + '.join(map(str, derived.parts))}"
    numbers = (str(derived.printed), str(total))
    return [_check(derived, paper, numbers, total == derived.printed, says=says)]


def ratio(derived: models.Ratio, paper: ReportedPaper) -> list[Check]:
    """The first part is its printed share of both, rounded to an image up or down."""
    (first, second), (of, to) = derived.parts, derived.printed
    follows = abs(first - Decimal(of * (first + second)) / (of + to)) < 1
    says = f"{derived.says}: {first} and {second}"
    numbers = (f"{of}:{to}", f"{shown(Decimal(first * to) / second)}:{to}")
    return [_check(derived, paper, numbers, follows, says=says)]


def equal(derived: models.Equal, paper: ReportedPaper) -> list[Check]:
    """Each of the numbers is the printed one."""
    printed = Decimal(derived.printed)
    cases = [
        (f"{what}: {value}", Decimal(value) == printed) for what, value in derived.values.items()
    ]
    return [_of_all(derived, paper, derived.printed, cases)]


def undecidable(derived: models.Undecidable, paper: ReportedPaper) -> list[Check]:
    """Nothing to recompute."""
    return [_check(derived, paper, ("", ""), None, note=derived.why)]


def attainable_precision(
    derived: models.AttainablePrecision, paper: ReportedPaper
) -> Iterator[Check]:
    """Each printed percentage is a whole number of the parts that it is a mean of."""
    results = derived.queries * derived.cutoff
    if derived.of == "average precision":
        results *= math.lcm(*range(1, derived.cutoff + 1))
    parts = "results" if derived.of == "precision" else "parts"
    for printed in derived.printed:
        relevant = round(Decimal(printed) * results / 100)
        nearest = Decimal(100 * relevant) / results
        found = f"{shown(nearest)} ({relevant} of {results} {parts})"
        yield _check(derived, paper, (printed, found), _rounds_to(nearest, printed))


_RULES: tuple[Callable[[Any, ReportedPaper], Iterable[Check]], ...] = (
    *(arrows, proportions, significance_counts, pair_counts, comparison, gain_comparison),
    *(average_improvements, improvement_range, bound, repeated_values, same_for_datasets),
    *(relative_gain, trend, highest),
    *(attainable_precision, ratio, equal, undecidable),
)
RULES = {rule.__name__: rule for rule in _RULES} | {"sum": parts_of_a_whole}
"""Name of a rule in the file -> the function that recomputes."""


@dataclass(frozen=True)
class _Difference:
    """A value compared with another one of the same column."""

    row: str
    column: ReportedColumn
    value: Decimal
    other: Decimal

    @property
    def points(self) -> Decimal:
        return self.value - self.other

    @property
    def outcome(self) -> CaseOutcome:
        return "W" if self.points > 0 else "L" if self.points < 0 else "T"

    @property
    def arrow(self) -> str:
        return {"W": "↑", "T": "=", "L": "↓"}[self.outcome] + str(abs(self.points))

    @property
    def text(self) -> str:
        return f"{self.row} at {self.column}: {self.value} against {self.other}"


def _difference(
    paper: ReportedPaper, table: str, pair: Pair, column: ReportedColumn, other_table: str = ""
) -> _Difference:
    row = paper.row(table, pair[0]).numbers
    other = paper.row(other_table or table, pair[1]).numbers
    check_name(str(column), map(str, row), "column", f"paper '{paper.paper}', Table {table}")
    return _Difference(pair[0], column, row[column], other[column])


def _differences(
    derived: FromTable,
    paper: ReportedPaper,
    pairs: Iterable[Pair],
    columns: Iterable[ReportedColumn] | None = None,
    other: str = "",
) -> list[_Difference]:
    """All pairs in the given columns, or in those that the derivation is about."""
    chosen = list(_columns(derived, paper) if columns is None else columns)
    places = [(pair, column) for pair in pairs for column in chosen]
    return [_difference(paper, derived.table, *place, other) for place in places]


def _columns(derived: FromTable, paper: ReportedPaper) -> list[ReportedColumn]:
    table = paper.table(derived.table)
    where = f"paper '{paper.paper}': derived: Table {derived.table}"
    for dataset in derived.datasets or ():
        check_name(dataset, table.columns, "dataset", where)
    columns = [
        column
        for column in table.column_list
        if (derived.datasets is None or column.dataset in derived.datasets)
        and (derived.bits is None or column.bits in derived.bits)
        and (derived.measures is None or column.at in derived.measures)
        and (derived.cutoffs is None or column.cutoff in derived.cutoffs)
    ]
    if not columns:
        wanted = [*map(bits_label, derived.bits or ()), *(derived.measures or ())]
        wanted += [f"top-{k}" for k in derived.cutoffs or ()]
        raise MedhashError(f"{where}: no column has {' or '.join(wanted)}")
    return columns


def _summary_checks(
    derived: models.SignificanceCounts | models.PairCounts,
    paper: ReportedPaper,
    outcomes: Callable[[ReportedColumn], list[tuple[str, CaseOutcome]]],
) -> Iterator[Check]:
    row = paper.row(derived.table, SUMMARY_ROW)
    for column in _columns(derived, paper):
        listed = outcomes(column)
        count = Counter(outcome for _, outcome in listed)
        found = f"{count['W']}/{count['T']}/{count['L']}"
        yield _check(
            derived,
            paper,
            (row.values[column], found),
            row.values[column].strip("()") == found,
            place=f"Table {derived.table}, {SUMMARY_ROW} at {column}",
            cases=[(text, outcome == "W") for text, outcome in listed],
        )


def _average_improvement(
    derived: models.AverageImprovements, paper: ReportedPaper, pair: Pair, printed: str
) -> Check:
    differences = _differences(derived, paper, [pair])
    average = _average(differences)
    table = paper.table(derived.table)
    everywhere = _average(_differences(derived, paper, [pair], table.column_list))
    follows = _rounds_to(average, printed)
    rounding = _rounding_note(average, Decimal(printed), follows, differences[0].value)
    return _check(
        derived,
        paper,
        (printed, shown(average)),
        follows,
        says=f"{pair[0]}: {derived.says}",
        note="; ".join(filter(None, [rounding, f"over all columns {shown(everywhere)}"])),
    )


def _of_all(derived: Derived, paper: ReportedPaper, what: str, cases: Sequence[Case]) -> Check:
    """A statement that holds if it holds for every case, and there is one."""
    holding = sum(holds for _, holds in cases)
    numbers = (f"{what} in all", f"{what} in {holding} of {len(cases)}")
    follows = bool(cases) and holding == len(cases)
    return _check(derived, paper, numbers, follows, cases=cases)


def _check(
    derived: Derived,
    paper: ReportedPaper,
    numbers: tuple[str, str],
    follows: bool | None,
    *,
    cases: Sequence[Case] = (),
    **told: str,
) -> Check:
    """A check of a printed and a recomputed number; ``told``: another place or text, or a note."""
    return Check(
        paper=paper.paper,
        table=derived.table if isinstance(derived, FromTable) else "",
        rule=derived.rule,
        printed=numbers[0],
        recomputed=numbers[1],
        follows=follows,
        reading=derived.reading,
        exceptions=tuple(text for text, holds in cases if not holds),
        **{"place": derived.place, "says": derived.says, "note": ""} | told,
    )


def _rounding_note(found: Decimal, printed: Decimal, follows: bool, value: Decimal) -> str:
    """Whether digits that were not printed could explain a difference (or an average of some).

    Each of the two values that a difference is made of can be off by half of its last digit, the
    printed result by half of its own.
    """
    slack = _unit(value) + _unit(printed) / 2
    if follows or abs(found - printed) > slack:
        return ""
    return "unprinted digits of the values could explain it"


def _rounds_to(number: Decimal, printed: str) -> bool:
    """Whether a number rounds to the printed digits; a half may go either way."""
    return abs(number - Decimal(printed)) <= _unit(Decimal(printed)) / 2


def _unit(number: Decimal) -> Decimal:
    """One in the last printed digit."""
    return Decimal(1).scaleb(int(number.as_tuple().exponent))


def _average(differences: Sequence[_Difference]) -> Decimal:
    return sum((each.points for each in differences), Decimal(0)) / len(differences)


def _without_modules(method: str) -> str:
    """``HashNet+ACH w/ TL`` -> ``HashNet w/ TL``."""
    return _MODULE.sub("", method)


def _filled(pair: Pair, method: str) -> Pair:
    return pair[0].format(method=method), pair[1].format(method=method)


def _filled_all(pairs: Iterable[Pair], methods: Sequence[str]) -> list[Pair]:
    return [_filled(pair, method) for method in methods for pair in pairs]


def _names(templates: Iterable[str], methods: Sequence[str]) -> list[str]:
    return [template.format(method=method) for template in templates for method in methods]
