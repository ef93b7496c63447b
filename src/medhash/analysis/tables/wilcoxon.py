"""Is a variant different from its baseline? P-values on per-query AP (the form of ACH Table IV)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.context import NOT_RUN, Context, Place
from medhash.analysis.numbers.paired_tests import PairedTest, paired_tests
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL, WinTieLoss, count_outcomes
from medhash.analysis.numbers.summaries import percent, shared_notes, summarise
from medhash.analysis.tables.grid import Grid, GridRow, counted, lengths_row, summary_row
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.reported import SUMMARY_ROW
from medhash.papers.specs import Made, Name, PairedSpec

if TYPE_CHECKING:
    from medhash.configuration.restriction import Restriction

CSV_COLUMNS = (
    *("row", "column", "dataset", "method", "variant", "baseline", "bits", "status", "printed"),
    *("p_value", "p_holm", "effect_size", "outcome", "wins", "ties", "losses", "queries"),
    *("n_seeds", "seeds", "map_percent", "baseline_map_percent", "difference_points"),
    *("tie_difference_least_points", "tie_difference_greatest_points", "tie_spread_points"),
    *("scale", "protocol", "synthetic", "note"),
)

_Tests = Mapping[Place, PairedTest]


class Spec(PairedSpec):
    """p-values of a variant against its baseline on per-query AP.

    A test runs over the queries; with several seeds a query's AP is its mean over the seeds that
    both have. Holm's correction takes all tests of the table as one family.

    Attributes:
        compare: the variant and its baseline, ``[ach, none]``.
    """

    kind: Literal["wilcoxon"]
    compare: tuple[Name, Name]

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The compared pair."""
        return self.compare

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Nothing runs unless both variants are among those that the run trains."""
        compared = run.variants is None or set(self.compare) <= set(run.variants)
        return {} if compared else {"available": ()}

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a test and one summary row a column.

        Raises:
            MedhashError: two records that are to be paired have different queries.
        """
        tests = {place: test for (place, _), test in paired_tests([self.compare], facts).items()}
        used = [record for test in tests.values() for record in test.records]
        rows = tuple(self._row(method, context) for method in self.methods)
        grid = Grid.of_lengths(self, context, (rows,), used)
        counts = [_count(tests, column) for column in zip(*(r.places for r in rows), strict=True)]
        printed = (
            PrintedRow(row.label, tuple(_printed(tests, place) for place in row.places))
            for row in rows
        )
        places = [place for _, _, place in grid.entries]
        table = PrintedTable(
            title=grid.title,
            groups=grid.groups(range(len(grid.columns))),
            blocks=(tuple(printed), (summary_row(map(_text, counts)),)),
            notes=(
                *_reading_notes(tests, context.protocol),
                *shared_notes(self, summarise(used).values(), places, context),
            ),
        )
        csv = [self._csv_row(grid, tests, *entry) for entry in grid.entries]
        csv += [self._csv_summary(grid, number, own) for number, own in enumerate(counts)]
        return csv, table

    def _row(self, method: str, context: Context) -> GridRow:
        """``HashNet+ACH vs. HashNet``."""
        label = " vs. ".join(context.paper.method_title(method, each) for each in self.compare)
        row = lengths_row(self, context, method, self.compare[0])
        return GridRow(label, row.places)

    def _csv_row(
        self, grid: Grid, tests: _Tests, row: GridRow, number: int, place: Place
    ) -> dict[str, str]:
        test = tests.get(place)
        return self._csv(
            grid,
            number,
            grid.context.place_columns(self, place.dataset, test is not None),
            {"row": row.label, "method": place.method, "printed": _printed(tests, place).text},
            _numbers(test) if test else {},
        )

    def _csv_summary(self, grid: Grid, number: int, counts: WinTieLoss) -> dict[str, str]:
        status = {"status": "ran" if sum(counts) else NOT_RUN}
        told = {"row": SUMMARY_ROW, "printed": _text(counts)}
        return self._csv(grid, number, status, told, counted(counts) if sum(counts) else {})

    def _csv(self, grid: Grid, number: int, *parts: dict[str, str]) -> dict[str, str]:
        row = dict.fromkeys(CSV_COLUMNS, "") | grid.csv_column(number)
        row |= {"variant": self.compare[0], "baseline": self.compare[1]}
        for part in parts:
            row |= part
        return {name: row[name] for name in CSV_COLUMNS}


def printed_p_value(p_value: float) -> str:
    """A p-value as ACH Table IV prints it, ``4.738e-20``; never a bare zero."""
    return f"{p_value:.3e}" if p_value > 0 else "<1e-300"


def _printed(tests: _Tests, place: Place) -> PrintedCell:
    if place not in tests:
        return PrintedCell(NOT_RUN)
    return PrintedCell(printed_p_value(tests[place].comparison.p_value))


def _count(tests: _Tests, places: Sequence[Place]) -> WinTieLoss:
    """Wins, ties and losses over the methods of one column that ran."""
    return count_outcomes(tests[place].comparison.outcome for place in places if place in tests)


def _text(counts: WinTieLoss) -> str:
    return "/".join(map(str, counts)) if sum(counts) else NOT_RUN


def _reading_notes(tests: _Tests, protocol: str) -> list[str]:
    if not tests:
        return []
    notes = [
        "p-values of the two-sided Wilcoxon signed-rank test on the average precision of each "
        f"query. W: p ≤ {SIGNIFICANCE_LEVEL} in favour of the row's first name, by the signed "
        f"ranks; L: p ≤ {SIGNIFICANCE_LEVEL} against it; T: the rest. The CSV adds Holm's "
        "correction over the whole table and the matched-pairs rank-biserial correlation."
    ]
    if any(len(test.summary.seeds) > 1 for test in tests.values()):
        notes.append("A query's average precision is its mean over the seeds that both rows have.")
    notes.append(
        "An average precision is an expectation over the orders of ties, so no order of the "
        "database moves a p-value."
        if protocol == "tie-aware"
        else "Ties are in database order, so another order of the database moves the p-values."
    )
    return notes


def _numbers(test: PairedTest) -> dict[str, str]:
    least, greatest = test.tie_differences
    return test.numbers() | {
        "outcome": test.comparison.outcome,
        "queries": str(test.queries),
        "n_seeds": str(len(test.summary.seeds)),
        "seeds": " ".join(map(str, test.summary.seeds)),
        "map_percent": percent(test.summary.mean),
        "baseline_map_percent": percent(test.baseline.mean),
        "difference_points": str(test.summary.printed - test.baseline.printed),
        "tie_difference_least_points": percent(least),
        "tie_difference_greatest_points": percent(greatest),
        "tie_spread_points": percent(greatest - least),
    }
