"""Mean average precision of every method and variant (the form of ACH Table III)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.grid import Grid, GridRow, lengths_row
from medhash.analysis.tables.rendering import PrintedTable
from medhash.papers.specs import TableSpec
from medhash.schema.variants import BASELINE, parts_of

_DIFFERENCES = (
    "In brackets behind a name: in how many of the columns that ran the row beats its baseline. "
    "↑ and ↓: percentage points above and below the baseline."
)


class Spec(TableSpec):
    """mAP of every cell: methods x variants by datasets x bits.

    A block is a method with its variants; best and second best are marked within a block and
    column, as the paper marks them. Equal printed values share the mark.
    """

    kind: Literal["map"]

    def made(
        self, facts: Sequence[Any], context: Context
    ) -> tuple[list[dict[str, str]], PrintedTable]:
        """Arrows stand behind the variants that combine modules, as the paper prints them."""
        blocks = tuple(self._block(method, context) for method in self.methods)
        grid = Grid.of_lengths(self, context, blocks, facts)
        return grid.csv_rows(), grid.printed(differences=_DIFFERENCES)

    def _block(self, method: str, context: Context) -> tuple[GridRow, ...]:
        baseline = lengths_row(self, context, method, BASELINE)
        rows = []
        for variant in self.variants:
            if variant == BASELINE or BASELINE not in self.variants:
                rows.append(lengths_row(self, context, method, variant))
            else:
                arrows = len(parts_of(variant)) > 1
                options = {"against": baseline, "arrows": arrows, "counted": True}
                rows.append(lengths_row(self, context, method, variant, **options))
        return tuple(rows)
