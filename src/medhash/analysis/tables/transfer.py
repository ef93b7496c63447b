"""mAP with and without transfer learning (the form of ACH Table VI)."""

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
from medhash.schema.cell import SCRATCH

_DIFFERENCES = (
    "In brackets behind a name: in how many of the columns that ran the row beats its baseline "
    "w/ TL. ↑ and ↓: percentage points above and below that baseline. The CSV also says how far "
    "the baseline w/ TL is above or below the one w/o TL."
)


def transfer_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method, a group of columns an origin of the transfer.

    The first variant is the baseline. Without transfer it has one value a code length, which
    stands under every origin, as in the paper.

    Returns:
        The CSV's frame (columns :data:`~medhash.analysis.tables.map_grid.CSV_COLUMNS`, one row a
        printed value, all values text; ``origin`` is what its cells really start from) and the
        printed table.
    """
    blocks = tuple(_block(spec, method) for method in spec.methods)
    grid = MapGrid(spec, context, blocks, tuple(records))
    starts = (_starts(spec, context),) if grid.ran else ()
    printed = PrintedTable(
        title=grid.title,
        groups=context.column_groups(grid.columns),
        blocks=grid.printed_blocks(),
        notes=(*starts, *grid.notes(_DIFFERENCES)),
        comparison=comparison_table(grid),
    )
    return pd.DataFrame(grid.csv_rows(), columns=list(CSV_COLUMNS)), printed


def _block(spec: TableSpec, method: str) -> tuple[Row, ...]:
    def places(variant: str) -> tuple[Place, ...]:
        return tuple(Place.at(column, method, variant) for column in columns_of(spec))

    baseline, *others = spec.trained_variants
    start = spec.origin_without_transfer
    without = tuple(place._replace(origin=start) for place in places(baseline))
    return (
        Row(without),
        Row(places(baseline), against=without),
        *(
            Row(places(variant), against=places(baseline), arrows=True, counted=True)
            for variant in others
        ),
    )


def _starts(spec: TableSpec, context: Context) -> str:
    """What the rows start from."""
    target = context.paper.dataset_title(spec.datasets[0])
    without = (
        "from random weights, without any pretraining"
        if spec.origin_without_transfer == SCRATCH
        else f"from the backbone that is pretrained on {target} itself"
    )
    return (
        f"w/o TL: trained on {target} {without}; the same under every origin. w/ TL: the whole "
        "network of the same method, variant, code length and seed, as trained on the origin, is "
        f"trained on {target} with the same settings (docs/fidelity.md, E1 and E2)."
    )
