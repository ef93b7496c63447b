"""How fast queries are answered (the form of ACH Table VIII, with latency and throughput)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, Context, GridColumn, columns_of
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.papers.specs import Made, TableSpec
from medhash.records.measured import machine_columns, machine_notes
from medhash.records.speed import Measurement
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES, Source
from medhash.schema.validation import nearest

REPORTED_ROW = "ACH"
"""What the paper's row is called among the reported numbers."""

ROWS = ("fps", "latency_median", "latency_p95", "batched_images_per_second")
STEPS = {"encode_seconds", "index_seconds", "query_milliseconds"}

_Ran = Mapping[Cell, Measurement]


class Spec(TableSpec):
    """How fast a query image is answered; a block is a method, a row one of its quantities.

    Attributes:
        measures: the quantities.
    """

    one_seed: ClassVar[bool] = True

    kind: Literal["fps"]
    measures: tuple[str, ...] = Field(ROWS, min_length=1)

    @field_validator("measures")
    @classmethod
    def _are_of_speed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [name for name, measure in MEASURES.items() if measure.source == "speed"]
        for name in names:
            if name not in known:
                hint = nearest(name, known)
                raise ValueError(f"no measure of speed '{name}'{hint} (known: {', '.join(known)})")
        return names

    @property
    def source(self) -> Source:
        """The file of each cell that it is made from."""
        return "speed"

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a cell."""
        ran = {each.cell: each for each in facts}
        columns = columns_of(self)
        rows = [
            [self.cell(c.dataset, method, variant, c.bits, self.seeds[0]) for c in columns]
            for method, variant in product(self.methods, self.variants)
        ]
        reported = self._reported_row(columns, context)
        printed = PrintedTable(
            title=f"{context.heading(self)} Scale {context.label}.",
            groups=context.column_groups(columns),
            blocks=(
                *(self._block(cells, ran, context) for cells in rows),
                *([(reported,)] if reported else []),
            ),
            notes=tuple(self._notes(facts, reported is not None)),
            corner="Quantity",
        )
        return [self._csv_row(cell, ran, context) for row in rows for cell in row], printed

    def _reported_row(self, columns: Sequence[GridColumn], context: Context) -> PrintedRow | None:
        numbers = [context.reported_number(self, REPORTED_ROW, column) for column in columns]
        if not any(numbers):
            return None
        cells = tuple(PrintedCell("–" if n is None else str(n)) for n in numbers)
        return PrintedRow("FPS reported by the paper", cells)

    def _csv_row(self, cell: Cell, ran: _Ran, context: Context) -> dict[str, str]:
        measurement = ran.get(cell)
        reported = context.reported_number(self, REPORTED_ROW, GridColumn(cell.dataset, cell.bits))
        run = context.run_columns(cell.dataset)
        del run["protocol"]
        note = "" if measurement else context.why_not_run(self, cell.dataset)
        return (
            context.cell_columns(cell)
            | {"status": "ran" if measurement else NOT_RUN}
            | {name: of(measurement) if measurement else "" for name, of in _NUMBERS.items()}
            | machine_columns(measurement)
            | {"reported_fps": "" if reported is None else str(reported), **run, "note": note}
        )

    def _block(self, cells: Sequence[Cell], ran: _Ran, context: Context) -> tuple[PrintedRow, ...]:
        title = context.paper.method_title(cells[0].method, cells[0].variant)
        rows = []
        for measure in (MEASURES[name] for name in self.measures):
            values = (measure.of(ran[cell]) if cell in ran else None for cell in cells)
            texts = (NOT_RUN if value is None else str(measure.printed(value)) for value in values)
            rows.append(PrintedRow(f"{title}: {measure.title}", tuple(map(PrintedCell, texts))))
        return tuple(rows)

    def _notes(self, ran: Sequence[Measurement], reported: bool) -> list[str]:
        if not ran:
            return [NOTHING_RAN]
        first, shown = ran[0], set(self.measures)
        measured, *busy = machine_notes(ran)
        notes = [measured]
        if shown - STEPS:
            notes.append(
                "From decoded pixels at the original size to the ranked list of the whole "
                "database, after warm-up; FPS is one over the median of "
                f"{first.single.queries} queries. Reading a file and showing results are not "
                f"included. Batches of {first.batched.batch_size} images."
            )
        if shown & STEPS and first.steps:
            notes.append(
                f"{first.steps.encoded} stored images are encoded, network and device warm; the "
                "index is their vectors in the form in which they are compared; "
                f"{first.steps.queries} queries, whose vectors are there, ask for the "
                f"{first.steps.returned} nearest images each."
            )
        notes.append(
            "The variant changes training only: a cell of any variant answers with the same "
            "network."
        )
        notes += busy
        if reported:
            notes.append(
                "The paper names neither its machine nor what it times; its numbers cannot be "
                "compared with these."
            )
        return notes


_NUMBERS: dict[str, Callable[[Measurement], str]] = {
    "fps": lambda m: f"{m.single.fps:.4f}",
    "median_ms": lambda m: f"{1000 * m.single.median_seconds:.4f}",
    "p95_ms": lambda m: f"{1000 * m.single.p95_seconds:.4f}",
    "queries": lambda m: str(m.single.queries),
    "batched_images_per_second": lambda m: f"{m.batched.images_per_second:.4f}",
    "batch_size": lambda m: str(m.batched.batch_size),
    "encode_seconds": lambda m: f"{m.steps.encode_seconds:.4f}" if m.steps else "",
    "index_seconds": lambda m: f"{m.steps.index_seconds:.6f}" if m.steps else "",
    "all_queries_ms": lambda m: f"{1000 * m.steps.query_seconds:.4f}" if m.steps else "",
    "database": lambda m: str(m.database),
    "query_width": lambda m: f"{m.query_pixels.median_width:g}",
    "query_height": lambda m: f"{m.query_pixels.median_height:g}",
    "network_pixels": lambda m: str(m.network_pixels),
}
