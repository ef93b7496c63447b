"""How fast queries are answered (the form of ACH Table VIII, with latency and throughput)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from medhash.analysis.numbers.context import CELL_COLUMNS, NOT_RUN, Column, Context, columns_of
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.paper import TableSpec
from medhash.records.measured import (
    MACHINE_COLUMNS,
    Measured,
    Part,
    Positive,
    Single,
    check_scale,
    machine_notes,
    read_measured,
)
from medhash.schema.cell import Cell

REPORTED_ROW = "ACH"
"""What the paper's row is called among the reported numbers."""

CSV_COLUMNS = (
    *CELL_COLUMNS,
    "status",
    "fps",
    "median_ms",
    "p95_ms",
    "queries",
    "batched_images_per_second",
    "batch_size",
    "database",
    "query_width",
    "query_height",
    "network_pixels",
    *MACHINE_COLUMNS,
    "reported_fps",
    "scale",
    "synthetic",
    "note",
)


class Batched(Part):
    """Whole batches."""

    batch_size: int
    images_per_second: Positive


class Pixels(Part):
    """Median size of the query images in pixels."""

    median_width: Positive
    median_height: Positive


class Measurement(Measured):
    """The part of a cell's ``speed.json`` that is printed."""

    schema_version: Literal[1] = Field(alias="schema")
    database: int
    query_pixels: Pixels
    network_pixels: int
    single: Single
    batched: Batched


_ROWS: dict[str, Callable[[Measurement], float]] = {
    "FPS, one image at a time": lambda m: m.single.fps,
    "median latency (ms)": lambda m: 1000 * m.single.median_seconds,
    "95th percentile (ms)": lambda m: 1000 * m.single.p95_seconds,
    "images per second in batches": lambda m: m.batched.images_per_second,
}


def load_measurements(paths: Iterable[Path]) -> list[Measurement]:
    """Read those of the files that are there.

    Raises:
        MedhashError: a file is no whole measurement; the message names the file and the key.
    """
    return [read_measured(path, Measurement) for path in paths if path.is_file()]


def speed_table(
    spec: TableSpec, measurements: Sequence[Measurement], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method, a row one of its quantities.

    Returns:
        The CSV's frame (columns :data:`CSV_COLUMNS`, a row a cell, all values text) and the
        printed table.

    Raises:
        MedhashError: a measurement of another scale.
    """
    by_cell = {measurement.cell: measurement for measurement in measurements}
    ran = {cell: by_cell[cell] for cell in spec.cells() if cell in by_cell}
    for cell, measurement in ran.items():
        check_scale(cell, "speed", measurement.scale, context.scale)
    columns = columns_of(spec)
    rows = [(method, variant) for method in spec.methods for variant in spec.variants]
    blocks = [_block(spec, row, columns, ran, context) for row in rows]
    reported = _reported_row(spec, columns, context)
    printed = PrintedTable(
        title=f"{context.heading(spec)} Scale {context.scale}.",
        groups=context.column_groups(columns),
        blocks=(*blocks, *([(reported,)] if reported else [])),
        notes=tuple(_notes(list(ran.values()), reported is not None)),
        corner="Quantity",
    )
    csv = [
        _csv_row(spec, _cell(spec, column, *row), ran, context)
        for row in rows
        for column in columns
    ]
    return pd.DataFrame(csv, columns=list(CSV_COLUMNS)), printed


def _cell(spec: TableSpec, column: Column, method: str, variant: str) -> Cell:
    return Cell(spec.paper, column.dataset, method, variant, column.bits, spec.seeds[0])


def _block(
    spec: TableSpec,
    row: tuple[str, str],
    columns: Sequence[Column],
    ran: dict[Cell, Measurement],
    context: Context,
) -> tuple[PrintedRow, ...]:
    title = context.paper.method_title(*row)
    cells = [_cell(spec, column, *row) for column in columns]
    return tuple(
        PrintedRow(
            f"{title}: {label}",
            tuple(PrintedCell(f"{of(ran[c]):.2f}" if c in ran else NOT_RUN) for c in cells),
        )
        for label, of in _ROWS.items()
    )


def _reported_row(
    spec: TableSpec, columns: Sequence[Column], context: Context
) -> PrintedRow | None:
    numbers = [context.reported_number(spec, REPORTED_ROW, *column) for column in columns]
    if not any(numbers):
        return None
    cells = tuple(PrintedCell("–" if n is None else str(n)) for n in numbers)
    return PrintedRow("FPS reported by the paper", cells)


def _notes(ran: Sequence[Measurement], reported: bool) -> list[str]:
    if not ran:
        return ["Nothing of this table has run."]
    first = ran[0]
    measured, *busy = machine_notes(ran)
    notes = [
        measured,
        "From decoded pixels at the original size to the ranked list of the whole database, after "
        f"warm-up; FPS is one over the median of {first.single.queries} queries. Reading a file "
        f"and showing results are not included. Batches of {first.batched.batch_size} images.",
        "The variant changes training only: a cell of any variant answers with the same network.",
        *busy,
    ]
    if reported:
        notes.append(
            "The paper names neither its machine nor what it times; its numbers cannot be "
            "compared with these."
        )
    return notes


def _csv_row(
    spec: TableSpec, cell: Cell, ran: dict[Cell, Measurement], context: Context
) -> dict[str, str]:
    reported: Decimal | None = context.reported_number(spec, REPORTED_ROW, cell.dataset, cell.bits)
    row = dict.fromkeys(CSV_COLUMNS, "") | context.cell_columns(cell)
    row |= {"reported_fps": "" if reported is None else str(reported)}
    if cell not in ran:
        return row | {"status": NOT_RUN, "note": context.why_not_run(spec, cell.dataset)}
    return row | {"status": "ran"} | _numbers(ran[cell])


def _numbers(measurement: Measurement) -> dict[str, str]:
    single, batched = measurement.single, measurement.batched
    return {
        "fps": f"{single.fps:.4f}",
        "median_ms": f"{1000 * single.median_seconds:.4f}",
        "p95_ms": f"{1000 * single.p95_seconds:.4f}",
        "queries": str(single.queries),
        "batched_images_per_second": f"{batched.images_per_second:.4f}",
        "batch_size": str(batched.batch_size),
        "database": str(measurement.database),
        "query_width": f"{measurement.query_pixels.median_width:g}",
        "query_height": f"{measurement.query_pixels.median_height:g}",
        "network_pixels": str(measurement.network_pixels),
    } | measurement.machine_columns()
