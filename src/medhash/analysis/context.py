"""What a table or figure has to know beside its own grid and the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from medhash.analysis.records import Record
from medhash.configuration.papers import PHANTOM_PREFIX, ArtefactSpec, Paper
from medhash.configuration.reported import Column, ReportedPaper, reported_value
from medhash.errors import MedhashError

PROTOCOLS = {
    "tie-aware": "tie-aware protocol (expectation over the order of equal distances)",
    "stable": "stable protocol (equal distances in database order)",
}

NOT_RUN = "not run"
SELECTIONS = {
    "last-epoch": "last epoch",
    "best-query-map": "epoch picked on the query set",
}


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
    """

    paper: Paper
    scale: str
    protocol: str
    not_run: Mapping[str, str] = field(default_factory=dict)
    reported: ReportedPaper | None = None

    def column_label(self, dataset: str, bits: int) -> str:
        """A column's name in one line: ``COVID-CT-Dataset/8 bits``."""
        return f"{self.paper.dataset_title(dataset)}/{bits_label(bits)}"

    def why_not_run(self, spec: ArtefactSpec, dataset: str) -> str:
        """Why a place of the grid without a record is empty."""
        if dataset in self.not_run:
            return self.not_run[dataset]
        if dataset not in spec.available_datasets:
            return "the dataset is not part of this run"
        return "no record yet"

    def reported_number(
        self, spec: ArtefactSpec, row: str, dataset: str, bits: int
    ) -> Decimal | None:
        """What the paper prints at a place, in its own unit; None beside a phantom.

        Args:
            spec: the table.
            row: the row's title as printed.
            dataset: the column's dataset.
            bits: the column's code length.
        """
        if self.reported is None or is_synthetic(dataset):
            return None
        column = Column(self.paper.dataset_title(dataset), bits)
        return reported_value(self.reported, spec.name, row, column)

    def heading(self, spec: ArtefactSpec) -> str:
        """What is shown; phantoms come first."""
        return f"{_phantom_warning(spec.datasets)}{spec.title.rstrip('.')}."

    def details(self, spec: ArtefactSpec, records: Sequence[Record]) -> str:
        """On which datasets, at which scale, with which seeds, epoch and protocol.

        Args:
            spec: the table or figure.
            records: those that it shows.
        """
        ran = {record.cell.dataset for record in records}
        seeds = [str(seed) for seed in seeds_of(records)]
        parts = [
            ", ".join(
                self.paper.dataset_title(dataset) + ("" if dataset in ran else f" ({NOT_RUN})")
                for dataset in spec.datasets
            ),
            f"scale {self.scale}",
            f"seed{'s' * (len(seeds) != 1)} {', '.join(seeds) or 'none'}",
            *(SELECTIONS[name] for name in sorted({r.training.selection for r in records})),
            PROTOCOLS.get(self.protocol, self.protocol),
        ]
        return f"{'; '.join(parts)}."


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
