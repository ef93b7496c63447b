"""Counterfactual against factual lesion reasoning (the form of ACH Table VII)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from medhash.analysis.numbers.context import NOT_RUN, Context, Place
from medhash.analysis.numbers.paired_tests import PairedTest, paired_tests
from medhash.analysis.numbers.statistics import (
    SIGNIFICANCE_LEVEL,
    TestOutcome,
    WinTieLoss,
    count_outcomes,
)
from medhash.analysis.tables.grid import COLUMNS, Grid, GridRow, counted, lengths_row, summary_row
from medhash.analysis.tables.rendering import PrintedRow
from medhash.papers.reported import SUMMARY_ROW
from medhash.papers.specs import Made, Name, PairedSpec

if TYPE_CHECKING:
    from medhash.configuration.restriction import Restriction

TEST_COLUMNS = (
    *("p_value", "p_holm", "effect_size", "test_outcome", "test_seeds", "wins", "ties", "losses"),
    *("test_wins", "test_ties", "test_losses", "reported_summary"),
)

_Tests = Mapping[tuple[Place, str], PairedTest]


class Spec(PairedSpec):
    """mAP of pairs of variants, with wins, ties and losses.

    A block is a method; a pair's opponent stands above its variant. The summary row counts wins,
    ties and losses by printed mAP, as the paper does. Beside it the CSV has Wilcoxon's test on
    per-query AP for every pair, with Holm's correction over the table.

    Attributes:
        pairs: a variant and its opponent, ``[lcr, lfr]``.
    """

    kind: Literal["reasoning"]
    pairs: tuple[tuple[Name, Name], ...] = Field(min_length=1)

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """Those of the pairs, opponents first."""
        return tuple(dict.fromkeys(variant for pair in self.pairs for variant in reversed(pair)))

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """The pairs of which both variants are chosen; without any, nothing runs."""
        chosen = run.variants
        pairs = tuple(p for p in self.pairs if chosen is None or set(p) <= set(chosen))
        return {"pairs": pairs} if pairs else {"available": ()}

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a value, and one summary row a column.

        Raises:
            MedhashError: two records that are to be paired have different queries.
        """
        blocks = tuple(self._block(method, context) for method in self.methods)
        grid = Grid.of_lengths(self, context, blocks, facts)
        tests = paired_tests(self.pairs, facts)
        counts = [_by_printed_map(grid, number) for number in range(len(grid.columns))]
        printed = grid.printed(
            differences=self._differences(context), more=((summary_row(map(_text, counts)),),)
        )
        if printed.comparison is not None:
            compared = (_compared_summary(grid, counts),)
            below = replace(printed.comparison, blocks=(*printed.comparison.blocks, compared))
            printed = replace(printed, comparison=below)
        rows = [
            grid.csv_row(row, number, place) | _test_numbers(tests, row, place)
            for row, number, place in grid.entries
        ]
        rows += [_csv_summary(grid, tests, number, own) for number, own in enumerate(counts)]
        return rows, printed

    def _block(self, method: str, context: Context) -> tuple[GridRow, ...]:
        rows = []
        for variant, opponent in self.pairs:
            against = lengths_row(self, context, method, opponent)
            options = {"against": against, "arrows": True}
            rows += [against, lengths_row(self, context, method, variant, **options)]
        return tuple(rows)

    def _differences(self, context: Context) -> str:
        """What arrows and the summary row mean, with the pairs by their names."""
        method = self.methods[0]

        def suffix(variant: str) -> str:
            title = self.row_title(context.paper, method, variant)
            return title.removeprefix(context.paper.method_title(method))

        pairs = ", ".join(f"{suffix(a)} against {suffix(b)}" for a, b in self.pairs)
        return (
            f"↑ and ↓: percentage points above and below the row's opponent ({pairs}). W/T/L: how "
            "many rows that ran print a higher, an equal and a lower mAP than their opponents. The "
            "CSV adds, for every pair, the two-sided Wilcoxon signed-rank test on the average "
            "precision of each query, with Holm's correction over the whole table, the "
            "matched-pairs rank-biserial correlation, and wins, ties and losses at p ≤ "
            f"{SIGNIFICANCE_LEVEL}."
        )


def _by_printed_map(grid: Grid, number: int) -> WinTieLoss:
    """Wins, ties and losses of a column's variants against their opponents, as printed."""
    standings = [grid.standings.get((row, number)) for block in grid.blocks for row in block]
    differences = [s.difference for s in standings if s and s.difference is not None]
    outcomes: list[TestOutcome] = [
        "win" if difference > 0 else "loss" if difference < 0 else "tie"
        for difference in differences
    ]
    return count_outcomes(outcomes)


def _test_of(tests: _Tests, row: GridRow, place: Place) -> PairedTest | None:
    return tests.get((place, row.against.places[0].variant)) if row.against else None


def _test_numbers(tests: _Tests, row: GridRow, place: Place) -> dict[str, str]:
    """What a row of the CSV says of its test, if there is one."""
    test, empty = _test_of(tests, row, place), dict.fromkeys(TEST_COLUMNS, "")
    if test is None:
        return empty
    seeds = " ".join(map(str, test.summary.seeds))
    outcome = test.comparison.outcome
    return empty | test.numbers() | {"test_outcome": outcome, "test_seeds": seeds}


def _csv_summary(grid: Grid, tests: _Tests, number: int, counts: WinTieLoss) -> dict[str, str]:
    """A column's summary row of the CSV."""
    found = [_test_of(tests, row, place) for row, own, place in grid.entries if own == number]
    tested = count_outcomes(test.comparison.outcome for test in found if test)
    own = grid.csv_column(number)
    values = {name: own.get(known, "") for known, name in COLUMNS.items()}
    values |= dict.fromkeys(TEST_COLUMNS, "") | {
        "row": SUMMARY_ROW,
        "status": "ran" if sum(counts) else NOT_RUN,
        "printed": _text(counts),
        "reported_summary": _reported(grid, number) or "",
    }
    return values | (counted(counts) | counted(tested, "test_") if sum(counts) else {})


def _text(counts: WinTieLoss) -> str:
    """``(11/0/1)``, with the brackets of this table."""
    return f"({'/'.join(map(str, counts))})" if sum(counts) else NOT_RUN


def _reported(grid: Grid, number: int) -> str | None:
    return grid.context.reported_text(grid.spec, SUMMARY_ROW, grid.columns[number])


def _compared_summary(grid: Grid, counts: Sequence[WinTieLoss]) -> PrintedRow:
    """``(11/0/1) / (9/1/2)``: reported / regenerated."""
    return summary_row(
        f"{_reported(grid, number) or 'not reported'} / {_text(counts[number])}"
        for number in grid.compared_columns
    )
