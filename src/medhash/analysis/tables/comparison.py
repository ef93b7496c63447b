"""What a paper reports beside what was regenerated, and the difference."""

from __future__ import annotations

from decimal import Decimal

from medhash.analysis.numbers.context import NOT_RUN, Column
from medhash.analysis.numbers.summaries import Place
from medhash.analysis.tables.map_grid import MapGrid, Row
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable

OWN_SETTINGS = "paper"
"""The scale that trains with the papers' own settings."""


def comparison_table(grid: MapGrid) -> PrintedTable | None:
    """Mean average precision in percent: reported / regenerated / difference in points.

    Returns:
        A table of the groups of columns in which both are known for some place; None if there is
        none. A phantom is never among them.
    """
    columns = compared_columns(grid)
    if not columns:
        return None
    spec, context = grid.spec, grid.context
    return PrintedTable(
        title=f"Reported by the paper / regenerated / difference in points: {spec.title}. "
        f"{context.details(spec, grid.records)}",
        groups=context.column_groups(columns),
        blocks=tuple(tuple(_row(grid, row, columns) for row in block) for block in grid.blocks),
        notes=(_note(context.scale),),
    )


def compared_columns(grid: MapGrid) -> list[Column]:
    """The columns whose group has a place that is both reported and regenerated."""
    compared = {
        (column.dataset, column.origin)
        for row, column, place in grid.entries
        if place in grid.ran and _reported(grid, row, column) is not None
    }
    return [column for column in grid.columns if (column.dataset, column.origin) in compared]


def _row(grid: MapGrid, row: Row, columns: list[Column]) -> PrintedRow:
    cells = tuple(
        _cell(grid, place, _reported(grid, row, column))
        for column, place in zip(grid.columns, row.places, strict=True)
        if column in columns
    )
    return PrintedRow(grid.row_title(row), cells)


def _cell(grid: MapGrid, place: Place, reported: Decimal | None) -> PrintedCell:
    """``74.00 / 70.12 / -3.88``."""
    regenerated = grid.ran[place].printed_map if place in grid.ran else None
    parts = [
        "not reported" if reported is None else str(reported),
        NOT_RUN if regenerated is None else str(regenerated),
    ]
    if reported is not None and regenerated is not None:
        parts.append(f"{regenerated - reported:+}")
    return PrintedCell(" / ".join(parts))


def _reported(grid: MapGrid, row: Row, column: Column) -> Decimal | None:
    return grid.context.reported_number(grid.spec, grid.row_title(row), *column)


def _note(scale: str) -> str:
    if scale == OWN_SETTINGS:
        return "Regenerated with the paper's own settings, where it prints them."
    return (
        f"Regenerated at scale {scale}: with other settings than the paper's, so a difference says "
        "nothing about the paper."
    )
