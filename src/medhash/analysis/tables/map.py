"""Mean average precision of every method and variant (the form of ACH Table III)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from medhash.analysis.numbers.context import Context, columns_of
from medhash.analysis.numbers.summaries import Place
from medhash.analysis.tables.comparison import comparison_table
from medhash.analysis.tables.map_grid import CSV_COLUMNS, MapGrid, Row
from medhash.analysis.tables.rendering import PrintedTable
from medhash.papers.paper import TableSpec
from medhash.records.record import Record
from medhash.schema.variants import parts_of

BASELINE = "none"

_DIFFERENCES = (
    "In brackets behind a name: in how many of the columns that ran the row beats its baseline. "
    "↑ and ↓: percentage points above and below the baseline."
)


def map_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method with its variants.

    Best and second best are marked within a block and column, as the paper marks them; equal
    printed values share the mark.

    Returns:
        The CSV's frame (columns :data:`~medhash.analysis.tables.map_grid.CSV_COLUMNS`, one row a
        dataset x method x variant x bits, all values text) and the printed table.
    """
    blocks = tuple(
        tuple(_row(spec, method, variant) for variant in spec.trained_variants)
        for method in spec.methods
    )
    grid = MapGrid(spec, context, blocks, tuple(records))
    printed = PrintedTable(
        title=grid.title,
        groups=context.column_groups(grid.columns),
        blocks=grid.printed_blocks(),
        notes=grid.notes(_DIFFERENCES),
        comparison=comparison_table(grid),
    )
    return pd.DataFrame(grid.csv_rows(), columns=list(CSV_COLUMNS)), printed


def _row(spec: TableSpec, method: str, variant: str) -> Row:
    """Arrows stand behind the variants that combine modules, as the paper prints them."""

    def places(of: str) -> tuple[Place, ...]:
        return tuple(Place.at(column, method, of) for column in columns_of(spec))

    if variant == BASELINE or BASELINE not in spec.trained_variants:
        return Row(places(variant))
    combined = len(parts_of(variant)) > 1
    return Row(places(variant), against=places(BASELINE), arrows=combined, counted=True)
