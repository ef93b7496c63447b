"""Is a variant different from its baseline? P-values on per-query AP (the form of ACH Table IV)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.numbers.context import (
    NOT_RUN,
    Context,
    GridColumn,
    Place,
    columns_of,
)
from medhash.analysis.numbers.paired_tests import PairedTest, paired_tests
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL, WinTieLoss, count_outcomes
from medhash.analysis.numbers.summaries import percent, shared_notes, summarise
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
        columns = columns_of(self)
        rows = {
            method: [Place.at(column, method, self.compare[0]) for column in columns]
            for method in self.methods
        }
        places = [place for row in rows.values() for place in row]
        counts = [_count(tests, column) for column in zip(*rows.values(), strict=True)]
        printed = [
            PrintedRow(self.row_label(context, method), tuple(_printed(tests, p) for p in row))
            for method, row in rows.items()
        ]
        summary = PrintedRow(SUMMARY_ROW, tuple(PrintedCell(_text(each)) for each in counts))
        notes = shared_notes(self, summarise(used).values(), places, context)
        table = PrintedTable(
            title=f"{context.heading(self)} {context.details(self, used)}",
            groups=context.column_groups(columns),
            blocks=(tuple(printed), (summary,)),
            notes=(*_reading_notes(tests, context.protocol), *notes),
        )
        csv = [
            *(self._csv_row(tests, place, context) for place in places),
            *(self._csv_summary(*each, context) for each in zip(columns, counts, strict=True)),
        ]
        return csv, table

    def row_label(self, context: Context, method: str) -> str:
        """``HashNet+ACH vs. HashNet``."""
        return " vs. ".join(context.paper.method_title(method, each) for each in self.compare)

    def _csv_row(self, tests: _Tests, place: Place, context: Context) -> dict[str, str]:
        row = self._csv_frame(GridColumn(place.dataset, place.bits), context) | {
            "row": self.row_label(context, place.method),
            "method": place.method,
            "printed": _printed(tests, place).text,
        }
        if place in tests:
            return row | {"status": "ran"} | _numbers(tests[place])
        return row | {"status": NOT_RUN, "note": context.why_not_run(self, place.dataset)}

    def _csv_summary(
        self, column: GridColumn, counts: WinTieLoss, context: Context
    ) -> dict[str, str]:
        row = self._csv_frame(column, context) | {"row": SUMMARY_ROW, "printed": _text(counts)}
        if not sum(counts):
            return row | {"status": NOT_RUN}
        numbers = dict(zip(WinTieLoss._fields, map(str, counts), strict=True))
        return row | {"status": "ran"} | numbers

    def _csv_frame(self, column: GridColumn, context: Context) -> dict[str, str]:
        return dict.fromkeys(CSV_COLUMNS, "") | {
            "column": context.column_label(column),
            "dataset": column.dataset,
            "variant": self.compare[0],
            "baseline": self.compare[1],
            "bits": str(column.bits),
            **context.run_columns(column.dataset),
        }


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
