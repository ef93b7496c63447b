"""The numbers that papers report, as CSV and as tables for reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tabulate import tabulate

from medhash.files import text_of_csv
from medhash.papers.reported import ReportedPaper, ReportedTable, ReportedValue, reported_values
from medhash.schema.validation import check_name


def with_table(papers: Mapping[str, ReportedPaper], number: str) -> list[ReportedPaper]:
    """The papers that print a table of this number, with no other table.

    Args:
        papers: paper -> its reported values.
        number: a table's number as printed, such as ``III``.

    Raises:
        MedhashError: no paper has such a table.
    """
    known = dict.fromkeys(name for paper in papers.values() for name in paper.tables)
    check_name(number, known, "table", "--table")
    return [
        paper.model_copy(update={"tables": {number: paper.tables[number]}})
        for paper in papers.values()
        if number in paper.tables
    ]


def csv_text(papers: Iterable[ReportedPaper]) -> str:
    """``paper,table,dataset,method,axis,at,metric,value``, one line a printed value."""
    return text_of_csv(
        ReportedValue._fields, (v for paper in papers for v in reported_values(paper))
    )


def tables_text(papers: Iterable[ReportedPaper]) -> str:
    """The tables row by row as printed, with their notes."""
    return "\n\n".join(
        _table_text(f"{paper.paper}, Table {number}: {table.title}", table)
        for paper in papers
        for number, table in paper.tables.items()
    )


def _table_text(title: str, table: ReportedTable) -> str:
    headings = [
        f"{heading if not number else ''}\n{column.label}"
        for heading in table.columns
        for number, column in enumerate(c for c in table.column_list if c.dataset == heading)
    ]
    rows = [[label, *cells.split()] for label, cells in table.rows.items()]
    grid = tabulate(rows, headers=["", *headings], tablefmt="simple", disable_numparse=True)
    return "\n".join([title, grid, *(f"- {note}" for note in table.notes)])
