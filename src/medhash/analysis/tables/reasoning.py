"""Counterfactual against factual lesion reasoning (the form of ACH Table VII)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from medhash.analysis.numbers.context import NOT_RUN, Column, Context, columns_of
from medhash.analysis.numbers.paired_tests import PairedTest, paired_tests
from medhash.analysis.numbers.statistics import (
    SIGNIFICANCE_LEVEL,
    Outcome,
    WinTieLoss,
    count_outcomes,
)
from medhash.analysis.numbers.summaries import Place, row_title
from medhash.analysis.tables import map_grid
from medhash.analysis.tables.comparison import compared_columns, comparison_table
from medhash.analysis.tables.map_grid import MapGrid, Row
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.paper import TableSpec
from medhash.papers.reported import SUMMARY_ROW
from medhash.records.record import Record

CSV_COLUMNS = (
    *map_grid.CSV_COLUMNS,
    "p_value",
    "p_holm",
    "effect_size",
    "test_outcome",
    "test_seeds",
    "wins",
    "ties",
    "losses",
    "test_wins",
    "test_ties",
    "test_losses",
    "reported_summary",
)

_Tests = Mapping[tuple[Place, str], PairedTest]


def reasoning_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method, a pair's opponent stands above its variant.

    The summary row counts wins, ties and losses by printed mAP, as the paper does. Beside it the
    CSV has Wilcoxon's test on per-query AP for every pair, with Holm's correction over the table.

    Returns:
        The CSV's frame (columns :data:`CSV_COLUMNS`, one row a value and one summary row a column,
        all values text) and the printed table.

    Raises:
        MedhashError: two records that are to be paired have different queries.
    """
    blocks = tuple(_block(spec, method) for method in spec.methods)
    grid = MapGrid(spec, context, blocks, tuple(records))
    tests = paired_tests(spec.pairs, records)
    counts = {column: _by_printed_map(grid, column) for column in grid.columns}
    summary = (_summary_row(map(_printed, counts.values())),)
    comparison = comparison_table(grid)
    if comparison is not None:
        compared = _compared_summary(grid, counts)
        comparison = replace(comparison, blocks=(*comparison.blocks, (compared,)))
    printed = PrintedTable(
        title=grid.title,
        groups=context.column_groups(grid.columns),
        blocks=(*grid.printed_blocks(), summary),
        notes=grid.notes(_differences(spec, context)),
        comparison=comparison,
    )
    rows = [
        *(
            grid.csv_row(row, column, place) | _test_numbers(tests, row, place)
            for row, column, place in grid.entries
        ),
        *(_csv_summary(grid, tests, column, counts[column]) for column in grid.columns),
    ]
    return pd.DataFrame(rows, columns=list(CSV_COLUMNS)), printed


def _block(spec: TableSpec, method: str) -> tuple[Row, ...]:
    def places(variant: str) -> tuple[Place, ...]:
        return tuple(Place.at(column, method, variant) for column in columns_of(spec))

    return tuple(
        row
        for variant, opponent in spec.pairs
        for row in (
            Row(places(opponent)),
            Row(places(variant), against=places(opponent), arrows=True),
        )
    )


def _by_printed_map(grid: MapGrid, column: Column) -> WinTieLoss:
    """Wins, ties and losses of a column's variants against their opponents, as printed."""
    standings = [grid.standings.get((row, column)) for block in grid.blocks for row in block]
    differences = [s.difference for s in standings if s and s.difference is not None]
    outcomes: list[Outcome] = [
        "win" if difference > 0 else "loss" if difference < 0 else "tie"
        for difference in differences
    ]
    return count_outcomes(outcomes)


def _test_of(tests: _Tests, row: Row, place: Place) -> PairedTest | None:
    return tests.get((place, row.against[0].variant)) if row.against else None


def _test_numbers(tests: _Tests, row: Row, place: Place) -> dict[str, str]:
    """What a row of the CSV says of its test, if there is one."""
    test = _test_of(tests, row, place)
    empty = dict.fromkeys(CSV_COLUMNS[len(map_grid.CSV_COLUMNS) :], "")
    if test is None:
        return empty
    seeds = " ".join(map(str, test.summary.seeds))
    outcome = test.comparison.outcome
    return empty | test.numbers() | {"test_outcome": outcome, "test_seeds": seeds}


def _csv_summary(
    grid: MapGrid, tests: _Tests, column: Column, counts: WinTieLoss
) -> dict[str, str]:
    """A column's summary row of the CSV."""
    found = [_test_of(tests, row, place) for row, own, place in grid.entries if own == column]
    tested = count_outcomes(test.comparison.outcome for test in found if test)
    values = dict.fromkeys(CSV_COLUMNS, "") | grid.csv_column(column)
    values |= {
        "row": SUMMARY_ROW,
        "status": "ran" if sum(counts) else NOT_RUN,
        "printed": _printed(counts),
        "reported_summary": grid.context.reported_text(grid.spec, SUMMARY_ROW, column) or "",
    }
    if sum(counts):
        for prefix, each in (("", counts), ("test_", tested)):
            names = (f"{prefix}{name}" for name in WinTieLoss._fields)
            values |= dict(zip(names, map(str, each), strict=True))
    return values


def _summary_row(texts: Iterable[str]) -> PrintedRow:
    return PrintedRow(SUMMARY_ROW, tuple(map(PrintedCell, texts)))


def _printed(counts: WinTieLoss) -> str:
    """``(11/0/1)``, with the brackets of this table."""
    return f"({'/'.join(map(str, counts))})" if sum(counts) else NOT_RUN


def _compared_summary(grid: MapGrid, counts: Mapping[Column, WinTieLoss]) -> PrintedRow:
    """``(11/0/1) / (9/1/2)``: reported / regenerated."""
    texts = []
    for column in compared_columns(grid):
        reported = grid.context.reported_text(grid.spec, SUMMARY_ROW, column)
        texts.append(f"{reported or 'not reported'} / {_printed(counts[column])}")
    return _summary_row(texts)


def _differences(spec: TableSpec, context: Context) -> str:
    """What arrows and the summary row mean, with the pairs by their names."""

    def suffix(variant: str) -> str:
        method = spec.methods[0]
        place = Place(spec.datasets[0], method, variant, spec.bits[0])
        return row_title(spec, place, context).removeprefix(context.paper.method_title(method))

    pairs = ", ".join(f"{suffix(a)} against {suffix(b)}" for a, b in spec.pairs)
    return (
        f"↑ and ↓: percentage points above and below the row's opponent ({pairs}). W/T/L: how "
        "many rows that ran print a higher, an equal and a lower mAP than their opponents. The "
        "CSV adds, for every pair, the two-sided Wilcoxon signed-rank test on the average "
        "precision of each query, with Holm's correction over the whole table, the matched-pairs "
        f"rank-biserial correlation, and wins, ties and losses at p ≤ {SIGNIFICANCE_LEVEL}."
    )
