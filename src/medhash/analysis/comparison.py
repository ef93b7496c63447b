"""What a paper reports beside what was regenerated, and the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from medhash.analysis.context import NOT_RUN, Context, bits_label
from medhash.analysis.records import Record
from medhash.analysis.rendering import PrintedCell, PrintedRow, PrintedTable
from medhash.analysis.summaries import Place, Summary
from medhash.configuration.papers import TableSpec

OWN_SETTINGS = "paper"
"""The scale that trains with the papers' own settings."""


def comparison_table(
    spec: TableSpec, records: Sequence[Record], ran: Mapping[Place, Summary], context: Context
) -> PrintedTable | None:
    """Mean average precision in percent: reported / regenerated / difference in points.

    Args:
        spec: the table.
        records: those that it shows.
        ran: what was regenerated.
        context: names, scale and the reported numbers.

    Returns:
        A table of the datasets of which both are known for some place; None if there is none. A
        phantom is never among them.
    """
    reported = _reported(spec, context)
    compared = {place.dataset for place in reported if place in ran}
    datasets = [dataset for dataset in spec.datasets if dataset in compared]
    if not datasets:
        return None
    grid = _Grid(spec, datasets, context, reported, ran)
    return PrintedTable(
        title=f"Reported by the paper / regenerated / difference in points: {spec.title}. "
        f"{context.details(spec, records)}",
        groups=tuple(
            (context.paper.dataset_title(dataset), tuple(map(bits_label, spec.bits)))
            for dataset in datasets
        ),
        blocks=tuple(map(grid.block, spec.methods)),
        notes=(_note(context.scale),),
    )


@dataclass(frozen=True)
class _Grid:
    spec: TableSpec
    datasets: Sequence[str]
    context: Context
    reported: Mapping[Place, Decimal]
    ran: Mapping[Place, Summary]

    def block(self, method: str) -> tuple[PrintedRow, ...]:
        """A method and its variants."""
        return tuple(
            PrintedRow(
                self.context.paper.method_title(method, variant),
                tuple(
                    self.cell(Place(dataset, method, variant, bits))
                    for dataset in self.datasets
                    for bits in self.spec.bits
                ),
            )
            for variant in self.spec.trained_variants
        )

    def cell(self, place: Place) -> PrintedCell:
        """``74.00 / 70.12 / -3.88``."""
        reported = self.reported.get(place)
        regenerated = self.ran[place].printed_map if place in self.ran else None
        parts = [
            "not reported" if reported is None else str(reported),
            NOT_RUN if regenerated is None else str(regenerated),
        ]
        if reported is not None and regenerated is not None:
            parts.append(f"{regenerated - reported:+}")
        return PrintedCell(" / ".join(parts))


def _reported(spec: TableSpec, context: Context) -> dict[Place, Decimal]:
    reported = {}
    for place in map(Place.of, spec.cells()):
        title = context.paper.method_title(place.method, place.variant)
        number = context.reported_number(spec, title, place.dataset, place.bits)
        if number is not None:
            reported[place] = number
    return reported


def _note(scale: str) -> str:
    if scale == OWN_SETTINGS:
        return "Regenerated with the paper's own settings, where it prints them."
    return (
        f"Regenerated at scale {scale}: with other settings than the paper's, so a difference says "
        "nothing about the paper."
    )
