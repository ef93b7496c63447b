"""What a table or figure has to know beside its own grid and the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from medhash.errors import MedhashError
from medhash.papers.reported import ReportedColumn, reported_text
from medhash.papers.specs import ArtefactSpec
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.datasets import PHANTOM_PREFIX
from medhash.schema.measures import MeasureAt

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.papers.paper import Paper
    from medhash.papers.reported import ReportedPaper
    from medhash.records.record import Record

PROTOCOLS = {
    "tie-aware": "tie-aware protocol (expectation over the order of equal distances)",
    "stable": "stable protocol (equal distances in database order)",
}

NOT_RUN = "not run"
NOTHING_RAN = "Nothing of this table has run."
OWN_EXPERIMENT = "This experiment is medhash's own; the paper has no counterpart."
SELECTIONS = {"last-epoch": "last epoch", "best-query-map": "epoch picked on the query set"}

CELL_COLUMNS = ("row", "column", "dataset", "method", "variant", "bits", "seed")
"""The columns of a CSV that name a cell."""


class Place(NamedTuple):
    """A place in a grid: the cells that differ in their seed only."""

    dataset: str
    method: str
    variant: str
    bits: int
    origin: str = ""

    @classmethod
    def of(cls, cell: Cell) -> Place:
        """The place of a cell."""
        return cls(cell.dataset, cell.method, cell.variant, cell.bits, cell.origin)

    @classmethod
    def at(cls, column: GridColumn, method: str, variant: str) -> Place:
        """The place of a method and variant in a column."""
        return cls(column.dataset, method, variant, column.bits, column.origin)


class GridColumn(NamedTuple):
    """A column of a grid: where cells are scored, what is measured, where cells come from.

    What differs from row to row is empty or 0 here.

    Attributes:
        dataset: where cells are scored.
        bits: their code length.
        origin: where they come from, in a transfer.
        measured: what of them is shown.
        heading: what stands above the column, if not the dataset.
    """

    dataset: str
    bits: int
    origin: str = ""
    measured: MeasureAt = MeasureAt("map")
    heading: str = ""


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
        files: where the files of the run lie, for what is made from more than its cells.
    """

    paper: Paper
    scale: str
    protocol: str
    not_run: Mapping[str, str] = field(default_factory=dict)
    reported: ReportedPaper | None = None
    run: str = ""
    files: Configuration | None = None

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

    def column_label(self, column: GridColumn) -> str:
        """A column's name in one line: ``COVID-CT-Dataset/8 bits``."""
        return f"{self.heading_of(column.dataset, column.origin)}/{bits_label(column.bits)}"

    def cell_columns(self, cell: Cell) -> dict[str, str]:
        """A cell's names as columns of a CSV, :data:`CELL_COLUMNS`."""
        return {
            "row": self.paper.method_title(cell.method, cell.variant),
            "column": self.column_label(GridColumn(cell.dataset, cell.bits)),
            **{name: str(getattr(cell, name)) for name in CELL_COLUMNS[2:]},
        }

    def run_columns(self, dataset: str) -> dict[str, str]:
        """What a CSV says of the run: scale, protocol, and whether a dataset is a phantom."""
        synthetic = str(is_synthetic(dataset)).lower()
        return {"scale": self.scale, "protocol": self.protocol, "synthetic": synthetic}

    def place_columns(
        self, spec: ArtefactSpec, dataset: str, ran: bool, origin: str = "", method: str = ""
    ) -> dict[str, str]:
        """The same, and whether a place of a grid ran and, if not, why."""
        note = "" if ran else self.why_not_run(spec, dataset, origin, method)
        return {"status": "ran" if ran else NOT_RUN, **self.run_columns(dataset), "note": note}

    def place_row(self, spec: ArtefactSpec, place: Place, ran: bool) -> dict[str, Any]:
        """The names of a place, what a CSV says of its run, and whether it ran."""
        return {
            "row": self.paper.method_title(place.method, place.variant),
            "column": self.column_label(GridColumn(place.dataset, place.bits)),
            **place._asdict(),
            **self.place_columns(spec, place.dataset, ran),
        }

    def column_groups(
        self, columns: Iterable[GridColumn]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns of a printed table: a heading over the code lengths below it."""
        return grouped(
            (self.heading_of(column.dataset, column.origin), bits_label(column.bits))
            for column in columns
        )

    def why_not_run(
        self, spec: ArtefactSpec, dataset: str, origin: str = "", method: str = ""
    ) -> str:
        """Why a place of the grid without a record is empty."""
        if method in spec.not_run:
            return spec.not_run[method]
        if dataset in self.not_run:
            return self.not_run[dataset]
        if dataset not in spec.available_datasets:
            return "the dataset is not part of this run"
        if origin and origin in spec.starts:
            if origin in self.not_run:
                return f"{self.paper.dataset_title(origin)}: {self.not_run[origin]}"
            if origin not in spec.starts_of_run:
                return f"{self.paper.dataset_title(origin)} is not part of this run"
        return "no record yet"

    def reported_number(self, spec: ArtefactSpec, row: str, column: GridColumn) -> Decimal | None:
        """What the paper prints at a place, in its own unit; None beside a phantom.

        Args:
            spec: the table.
            row: the row's title as printed.
            column: the column.
        """
        text = self.reported_text(spec, row, column)
        return None if text is None else Decimal(text)

    def reported_text(self, spec: ArtefactSpec, row: str, column: GridColumn) -> str | None:
        """The same, digit by digit as printed; also of a row that holds no numbers."""
        datasets = (column.dataset, column.origin) if column.dataset else spec.datasets
        if self.reported is None or any(map(is_synthetic, datasets)):
            return None
        heading = column.heading or self.heading_of(column.dataset, column.origin)
        axes = {"bits": column.bits, "cutoff": column.measured.cutoff, "measure": column.measured}
        places = (ReportedColumn(heading, str(value), axis) for axis, value in axes.items())
        found = (reported_text(self.reported, spec.printed_as, row, place) for place in places)
        return next((text for text in found if text is not None), None)

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
        shown = ", ".join(
            self.heading_of(*group) + ("" if group in ran else f" ({NOT_RUN})")
            for group in _groups_of(spec)
        )
        return self._details(records, [shown], "{0} {2}", spec.shows_scores)

    def details_over_seeds(self, records: Sequence[Any], *further: str) -> str:
        """The same with the number of seeds and without datasets, behind what is ``further``."""
        return self._details(records, further, "{1} {0} ({2})")

    def _details(
        self, records: Sequence[Any], first: Sequence[str], seeds: str, scores: bool = True
    ) -> str:
        own = seeds_of(records)
        named = "seed" if len(own) == 1 else "seeds"
        parts = [
            *first,
            f"scale {self.label}",
            seeds.format(named, len(own), ", ".join(map(str, own)) or "none"),
            *evaluated_epochs(records),
        ]
        if scores:
            parts.append(PROTOCOLS.get(self.protocol, self.protocol))
        return f"{'; '.join(parts)}."


def columns_of(spec: ArtefactSpec) -> list[GridColumn]:
    """The columns of a table whose columns are datasets and code lengths, as printed."""
    return [
        GridColumn(dataset, bits, origin)
        for (dataset, origin), bits in product(_groups_of(spec), spec.bits)
    ]


def grouped(labels: Iterable[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Headings, each with the labels below it, from pairs of both."""
    groups: dict[str, list[str]] = {}
    for heading, label in labels:
        groups.setdefault(heading, []).append(label)
    return tuple((heading, tuple(below)) for heading, below in groups.items())


def bits_label(bits: int) -> str:
    """A code length as the papers print it."""
    return f"{bits} bit{'s' * (bits != 1)}"


def is_synthetic(dataset: str) -> bool:
    """Whether the dataset is a phantom."""
    return dataset.startswith(PHANTOM_PREFIX)


def select(spec: ArtefactSpec, facts: Iterable[Any], context: Context) -> list[Any]:
    """The files of cells that a table or figure is made of, in the order of its cells.

    Raises:
        MedhashError: one comes from another scale or protocol, or says otherwise than the
            dataset's name whether its images are synthetic.
    """
    by_cell = {each.cell: each for each in facts}
    chosen = [by_cell[cell] for cell in spec.cells() if cell in by_cell]
    for each in chosen:
        _check(each, context)
    return chosen


def evaluated_epochs(facts: Iterable[Any]) -> list[str]:
    """Which epochs were evaluated, where the files of the cells say so."""
    trained = (each.training for each in facts if hasattr(each, "training"))
    return [SELECTIONS[name] for name in sorted({each.selection for each in trained})]


def seeds_of(records: Sequence[Any]) -> list[int]:
    """The seeds that occur in the records, ascending."""
    return sorted({record.cell.seed for record in records})


def _groups_of(spec: ArtefactSpec) -> list[tuple[str, str]]:
    """The (dataset, origin) above each group of columns; no origin but in a transfer."""
    return list(product(spec.datasets, spec.starts))


def _phantom_warning(datasets: Sequence[str]) -> str:
    if all(map(is_synthetic, datasets)):
        return "Synthetic phantoms, not real images. "
    if any(map(is_synthetic, datasets)):
        return "Partly synthetic phantoms. "
    return ""


def _check(facts: Any, context: Context) -> None:
    where = f"{facts.what} of cell {facts.cell}"
    if facts.scale != context.scale:
        raise MedhashError(
            f"{where}: its scale is {facts.scale!r}, but {context.scale!r} is asked for; "
            "scales never mix."
        )
    if getattr(facts, "protocol", context.protocol) != context.protocol:
        raise MedhashError(
            f"{where}: scored with protocol {facts.protocol!r}, but "
            f"{context.protocol!r} is asked for; {facts.remedy}."
        )
    synthetic = is_synthetic(facts.cell.dataset)
    if getattr(facts, "synthetic", synthetic) != synthetic:
        raise MedhashError(
            f"{where}: the record says synthetic is {facts.synthetic}, but datasets whose names "
            f"start with {PHANTOM_PREFIX!r}, and no others, are phantoms."
        )
