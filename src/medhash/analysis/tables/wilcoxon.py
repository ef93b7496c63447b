"""Is a variant different from its baseline? P-values on per-query AP (the form of ACH Table IV)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from medhash.analysis.numbers.context import NOT_RUN, Column, Context, columns_of, is_synthetic
from medhash.analysis.numbers.paired_tests import PairedTest, paired_tests
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL, WinTieLoss, count_outcomes
from medhash.analysis.numbers.summaries import Place, percent, shared_notes, summarise
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.paper import TableSpec
from medhash.papers.reported import SUMMARY_ROW
from medhash.records.record import Record

CSV_COLUMNS = (
    "row",
    "column",
    "dataset",
    "method",
    "variant",
    "baseline",
    "bits",
    "status",
    "printed",
    "p_value",
    "p_holm",
    "effect_size",
    "outcome",
    "wins",
    "ties",
    "losses",
    "queries",
    "n_seeds",
    "seeds",
    "map_percent",
    "baseline_map_percent",
    "difference_points",
    "tie_difference_least_points",
    "tie_difference_greatest_points",
    "tie_spread_points",
    "scale",
    "protocol",
    "synthetic",
    "note",
)


def wilcoxon_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table: ``spec.compare`` is the variant and its baseline.

    A test runs over the queries; with several seeds a query's AP is its mean over the seeds that
    both have. Holm's correction takes all tests of the table as one family.

    Returns:
        The CSV's frame (columns :data:`CSV_COLUMNS`, one row a dataset x method x bits and one
        summary row a column, all values text) and the printed table.

    Raises:
        MedhashError: two records that are to be paired have different queries.
    """
    variant, baseline = spec.trained_variants
    tests = {
        place: test for (place, _), test in paired_tests([(variant, baseline)], records).items()
    }
    grid = _Grid(spec, context, variant, baseline, tests)
    used = [record for test in grid.tests.values() for record in test.records]
    places = [
        pair for method in spec.methods for pair in zip(grid.columns, grid.row(method), strict=True)
    ]
    printed = PrintedTable(
        title=f"{context.heading(spec)} {context.details(spec, used)}",
        groups=context.column_groups(grid.columns),
        blocks=(tuple(map(grid.printed_row, spec.methods)), (grid.printed_summary(),)),
        notes=(
            *_reading_notes(grid.tests, context.protocol),
            *shared_notes(spec, summarise(used), places, context),
        ),
    )
    rows = [
        *(grid.csv_row(place) for _, place in places),
        *map(grid.csv_summary, grid.columns),
    ]
    return pd.DataFrame(rows, columns=list(CSV_COLUMNS)), printed


@dataclass(frozen=True)
class _Grid:
    """Every place of the table, printed or as a row of the CSV."""

    spec: TableSpec
    context: Context
    variant: str
    baseline: str
    tests: Mapping[Place, PairedTest]

    @property
    def columns(self) -> list[Column]:
        """The columns from left to right."""
        return columns_of(self.spec)

    def row(self, method: str) -> list[Place]:
        """The places of one row, column by column."""
        return [Place.at(column, method, self.variant) for column in self.columns]

    def label(self, method: str) -> str:
        """``HashNet+ACH vs. HashNet``."""
        title = self.context.paper.method_title
        return f"{title(method, self.variant)} vs. {title(method, self.baseline)}"

    def printed_row(self, method: str) -> PrintedRow:
        """A method's p-values."""
        return PrintedRow(self.label(method), tuple(map(self.printed, self.row(method))))

    def printed(self, place: Place) -> PrintedCell:
        """A p-value as the paper prints it."""
        if place not in self.tests:
            return PrintedCell(NOT_RUN)
        return PrintedCell(printed_p_value(self.tests[place].comparison.p_value))

    def printed_summary(self) -> PrintedRow:
        """The last row: wins, ties and losses of each column."""
        counts = [self.win_tie_loss(column) for column in self.columns]
        return PrintedRow(SUMMARY_ROW, tuple(PrintedCell(_printed_counts(c)) for c in counts))

    def win_tie_loss(self, column: Column) -> WinTieLoss:
        """Wins, ties and losses over the methods of one column that ran."""
        places = [Place.at(column, method, self.variant) for method in self.spec.methods]
        tests = [self.tests[place] for place in places if place in self.tests]
        return count_outcomes(test.comparison.outcome for test in tests)

    def csv_row(self, place: Place) -> dict[str, str]:
        """A test's row of the CSV."""
        row = self._csv_frame(Column(place.dataset, place.bits)) | {
            "row": self.label(place.method),
            "method": place.method,
            "printed": self.printed(place).text,
        }
        if place in self.tests:
            return row | {"status": "ran"} | _numbers(self.tests[place])
        note = self.context.why_not_run(self.spec, place.dataset)
        return row | {"status": NOT_RUN, "note": note}

    def csv_summary(self, column: Column) -> dict[str, str]:
        """A column's summary row of the CSV."""
        counts = self.win_tie_loss(column)
        row = self._csv_frame(column) | {"row": SUMMARY_ROW, "printed": _printed_counts(counts)}
        if not sum(counts):
            return row | {"status": NOT_RUN}
        wins, ties, losses = map(str, counts)
        return row | {"status": "ran", "wins": wins, "ties": ties, "losses": losses}

    def _csv_frame(self, column: Column) -> dict[str, str]:
        return dict.fromkeys(CSV_COLUMNS, "") | {
            "column": self.context.column_label(*column),
            "dataset": column.dataset,
            "variant": self.variant,
            "baseline": self.baseline,
            "bits": str(column.bits),
            "scale": self.context.scale,
            "protocol": self.context.protocol,
            "synthetic": str(is_synthetic(column.dataset)).lower(),
        }


def printed_p_value(p_value: float) -> str:
    """A p-value as ACH Table IV prints it, ``4.738e-20``; never a bare zero."""
    return f"{p_value:.3e}" if p_value > 0 else "<1e-300"


def _printed_counts(counts: WinTieLoss) -> str:
    return "/".join(map(str, counts)) if sum(counts) else NOT_RUN


def _reading_notes(tests: Mapping[Place, PairedTest], protocol: str) -> list[str]:
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
        "map_percent": percent(test.summary.mean_map),
        "baseline_map_percent": percent(test.baseline.mean_map),
        "difference_points": str(test.summary.printed_map - test.baseline.printed_map),
        "tie_difference_least_points": percent(least),
        "tie_difference_greatest_points": percent(greatest),
        "tie_spread_points": percent(greatest - least),
    }
