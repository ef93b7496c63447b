"""What a table or figure has to know beside its own grid and the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import NamedTuple

from medhash.errors import MedhashError
from medhash.papers.paper import (
    PHANTOM_PREFIX,
    ArtefactSpec,
    FigureSpec,
    Paper,
    TableSpec,
)
from medhash.papers.reported import Column as ReportedColumn
from medhash.papers.reported import ReportedPaper, reported_text
from medhash.records.record import Record
from medhash.schema.cell import SCRATCH, Cell

PROTOCOLS = {
    "tie-aware": "tie-aware protocol (expectation over the order of equal distances)",
    "stable": "stable protocol (equal distances in database order)",
}

NOT_RUN = "not run"
SELECTIONS = {
    "last-epoch": "last epoch",
    "best-query-map": "epoch picked on the query set",
}


CELL_COLUMNS = ("row", "column", "dataset", "method", "variant", "bits", "seed")
"""The columns of a CSV that name a cell."""


class Column(NamedTuple):
    """A column of a grid: where cells are scored, and in a transfer also where they come from."""

    dataset: str
    bits: int
    origin: str = ""


@dataclass(frozen=True)
class Context:
    """The run that tables and figures describe.

    Attributes:
        paper: whose names are printed.
        scale: name of the scale; records of another one are refused.
        protocol: ``tie-aware`` or ``stable``; records scored otherwise are refused.
        not_run: dataset -> why the run does not have it, where more is known than that it was
            left out ("archive not found").
        reported: the numbers that the paper prints, where they are known.
        run: name of the run, where it is not the scale's own.
    """

    paper: Paper
    scale: str
    protocol: str
    not_run: Mapping[str, str] = field(default_factory=dict)
    reported: ReportedPaper | None = None
    run: str = ""

    @property
    def label(self) -> str:
        """The scale and, where the run has a name of its own, that: ``small, run mine``."""
        return f"{self.scale}, run {self.run}" if self.run else self.scale

    def heading_of(self, dataset: str, origin: str = "") -> str:
        """What stands above columns: ``COVID-CT-Dataset``, or in a transfer ``A → B``."""
        title = self.paper.dataset_title(dataset)
        if origin in ("", SCRATCH):
            return title
        return f"{self.paper.dataset_title(origin)} → {title}"

    def column_label(self, dataset: str, bits: int, origin: str = "") -> str:
        """A column's name in one line: ``COVID-CT-Dataset/8 bits``."""
        return f"{self.heading_of(dataset, origin)}/{bits_label(bits)}"

    def cell_columns(self, cell: Cell) -> dict[str, str]:
        """A cell's names as columns of a CSV, :data:`CELL_COLUMNS`, and what it is a cell of."""
        return {
            "row": self.paper.method_title(cell.method, cell.variant),
            "column": self.column_label(cell.dataset, cell.bits),
            **{name: str(getattr(cell, name)) for name in CELL_COLUMNS[2:]},
            "scale": self.scale,
            "synthetic": str(is_synthetic(cell.dataset)).lower(),
        }

    def column_groups(self, columns: Iterable[Column]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns of a printed table: a heading over the code lengths below it."""
        groups: dict[tuple[str, str], list[str]] = {}
        for dataset, bits, origin in columns:
            groups.setdefault((dataset, origin), []).append(bits_label(bits))
        return tuple((self.heading_of(*group), tuple(labels)) for group, labels in groups.items())

    def why_not_run(self, spec: ArtefactSpec, dataset: str, origin: str = "") -> str:
        """Why a place of the grid without a record is empty."""
        if dataset in self.not_run:
            return self.not_run[dataset]
        if dataset not in spec.available_datasets:
            return "the dataset is not part of this run"
        if isinstance(spec, TableSpec) and origin in spec.origins:
            if origin in self.not_run:
                return f"{self.paper.dataset_title(origin)}: {self.not_run[origin]}"
            if origin not in spec.run_origins:
                return f"{self.paper.dataset_title(origin)} is not part of this run"
        return "no record yet"

    def reported_number(
        self, spec: ArtefactSpec, row: str, dataset: str, bits: int, origin: str = ""
    ) -> Decimal | None:
        """What the paper prints at a place, in its own unit; None beside a phantom.

        Args:
            spec: the table.
            row: the row's title as printed.
            dataset: the column's dataset.
            bits: the column's code length.
            origin: where the column's cells come from, in a transfer.
        """
        text = self.reported_text(spec, row, Column(dataset, bits, origin))
        return None if text is None else Decimal(text)

    def reported_text(self, spec: ArtefactSpec, row: str, column: Column) -> str | None:
        """The same, digit by digit as printed; also of a row that holds no numbers."""
        if self.reported is None or is_synthetic(column.dataset) or is_synthetic(column.origin):
            return None
        printed = ReportedColumn(self.heading_of(column.dataset, column.origin), column.bits)
        return reported_text(self.reported, spec.name, row, printed)

    def heading(self, spec: ArtefactSpec) -> str:
        """What is shown; phantoms come first."""
        shown = [*spec.datasets, *(origin for _, origin in _groups_of(spec) if origin)]
        return f"{_phantom_warning(shown)}{spec.title.rstrip('.')}."

    def details(self, spec: ArtefactSpec, records: Sequence[Record]) -> str:
        """On which datasets, at which scale, with which seeds, epoch and protocol.

        A picture has no score, so none of its parts depends on the protocol.

        Args:
            spec: the table or figure.
            records: those that it shows.
        """
        ran = {(record.cell.dataset, record.cell.origin) for record in records}
        seeds = [str(seed) for seed in seeds_of(records)]
        parts = [
            ", ".join(
                self.heading_of(*group) + ("" if group in ran else f" ({NOT_RUN})")
                for group in _groups_of(spec)
            ),
            f"scale {self.label}",
            f"seed{'s' * (len(seeds) != 1)} {', '.join(seeds) or 'none'}",
            *(SELECTIONS[name] for name in sorted({r.training.selection for r in records})),
        ]
        if not (isinstance(spec, FigureSpec) and spec.is_picture):
            parts.append(PROTOCOLS.get(self.protocol, self.protocol))
        return f"{'; '.join(parts)}."


def columns_of(spec: ArtefactSpec) -> list[Column]:
    """The columns of a table, as printed."""
    return [
        Column(dataset, bits, origin)
        for (dataset, origin), bits in product(_groups_of(spec), spec.bits)
    ]


def bits_label(bits: int) -> str:
    """A code length as the papers print it."""
    return f"{bits} bit{'s' * (bits != 1)}"


def is_synthetic(dataset: str) -> bool:
    """Whether the dataset is a phantom."""
    return dataset.startswith(PHANTOM_PREFIX)


def select(spec: ArtefactSpec, records: Iterable[Record], context: Context) -> list[Record]:
    """The records that a table or figure is made of, in the order of its cells.

    Raises:
        MedhashError: a record comes from another scale or protocol, or says otherwise than the
            dataset's name whether its images are synthetic.
    """
    by_cell = {record.cell: record for record in records}
    chosen = [by_cell[cell] for cell in spec.cells() if cell in by_cell]
    for record in chosen:
        _check(record, context)
    return chosen


def seeds_of(records: Sequence[Record]) -> list[int]:
    """The seeds that occur in the records, ascending."""
    return sorted({record.cell.seed for record in records})


def _groups_of(spec: ArtefactSpec) -> list[tuple[str, str]]:
    """The (dataset, origin) above each group of columns; no origin but in a transfer."""
    origins = (spec.origins if isinstance(spec, TableSpec) else ()) or ("",)
    return list(product(spec.datasets, origins))


def _phantom_warning(datasets: Sequence[str]) -> str:
    if all(map(is_synthetic, datasets)):
        return "Synthetic phantoms, not real images. "
    if any(map(is_synthetic, datasets)):
        return "Partly synthetic phantoms. "
    return ""


def _check(record: Record, context: Context) -> None:
    where = f"record of cell {record.cell}"
    if record.scale != context.scale:
        raise MedhashError(
            f"{where}: its scale is {record.scale!r}, but {context.scale!r} is asked for; "
            "scales never mix."
        )
    if record.metrics.protocol != context.protocol:
        raise MedhashError(
            f"{where}: scored with protocol {record.metrics.protocol!r}, but "
            f"{context.protocol!r} is asked for; evaluate the cell again."
        )
    if record.synthetic != is_synthetic(record.cell.dataset):
        raise MedhashError(
            f"{where}: the record says synthetic is {record.synthetic}, but datasets whose names "
            f"start with {PHANTOM_PREFIX!r}, and no others, are phantoms."
        )
