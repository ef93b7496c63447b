"""A kind of table in one file: how many queries find something relevant at the first rank.

Copied to ``src/medhash/analysis/tables/toy.py`` it is there as ``kind: toy``; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from medhash.analysis.numbers.context import NOT_RUN, Context, columns_of
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.specs import TableSpec


class Spec(TableSpec):
    """Share of the queries whose first result is relevant.

    Attributes:
        at_least: what counts as found, an average precision.
    """

    kind: Literal["toy"]
    at_least: float = 0.5

    def made(
        self, facts: Sequence[Any], context: Context
    ) -> tuple[list[dict[str, str]], PrintedTable]:
        """One row a method, one column a dataset and code length."""
        shares = {
            (each.cell.dataset, each.cell.method, each.cell.bits): sum(
                value >= self.at_least for value in each.per_query_ap
            )
            / len(each.per_query_ap)
            for each in facts
        }
        columns, rows, printed = columns_of(self), [], []
        for method in self.methods:
            title, cells = context.paper.method_title(method), []
            for column in columns:
                share = shares.get((column.dataset, method, column.bits))
                text = NOT_RUN if share is None else f"{share:.2f}"
                cells.append(PrintedCell(text))
                label = context.column_label(column)
                rows.append({"row": title, "column": label, "printed": text})
            printed.append(PrintedRow(title, tuple(cells)))
        notes = (f"Found: an average precision of at least {self.at_least}.",)
        groups = context.column_groups(columns)
        return rows, PrintedTable(context.heading(self), groups, (tuple(printed),), notes)
