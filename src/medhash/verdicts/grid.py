"""The cells that a claim is about, with the names that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from medhash.analysis.numbers.context import Context, GridColumn, Place
from medhash.analysis.numbers.summaries import row_title
from medhash.papers.claim_rules import Claim, Row
from medhash.papers.claims import artefact_of
from medhash.papers.specs import ArtefactSpec


@dataclass(frozen=True)
class ClaimGrid:
    """The rows and columns of a claim.

    Attributes:
        claim: the claim.
        context: names; its paper holds the whole grid, as printed.
        merges: variant -> the variant whose cells stand for it, where sizes of the paper come to
            the same on a smaller grid of patches.
    """

    claim: Claim
    context: Context
    merges: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def spec(self) -> ArtefactSpec:
        """The table or figure, whole."""
        return artefact_of(self.claim, self.context.paper)

    @cached_property
    def columns(self) -> tuple[GridColumn, ...]:
        """The columns, from left to right."""
        axes = product(
            self.claim.origins or self.spec.starts,
            self.claim.datasets or self.spec.datasets,
            self.claim.bits or self.spec.bits or (0,),
        )
        return tuple(GridColumn(dataset, bits, origin) for origin, dataset, bits in axes)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, from above."""
        return self.claim.methods or self.spec.methods

    @property
    def panels(self) -> dict[str, tuple[str, ...]]:
        """Of a sensitivity figure: title of the panel -> its variants."""
        return self.spec.points_of_panels

    def place(self, name: str, method: str, column: GridColumn) -> Place:
        """The place whose cells a row has in a column.

        Args:
            name: as claims name rows.
            method: the method, unless the row names one.
            column: the column.
        """
        place = self._printed_place(name, method, column)
        return place._replace(variant=self.merges.get(place.variant, place.variant))

    def title(self, name: str, method: str, column: GridColumn) -> str:
        """A row's name as printed: ``HashNet+ACH w/ TL``."""
        return row_title(self.spec, self._printed_place(name, method, column), self.context)

    def column_title(self, column: GridColumn) -> str:
        """A column's name as printed: ``COVID-CT-Dataset/8 bits``."""
        return self.context.column_label(column)

    def same_here(self, variants: Sequence[str]) -> str:
        """Which of several settings are the same in this run, in words; empty if none are."""
        by_run: dict[str, list[str]] = {}
        for variant in dict.fromkeys(variants):
            by_run.setdefault(self.merges.get(variant, variant), []).append(variant)
        merged = (" = ".join(names) for names in by_run.values() if len(names) > 1)
        return ", ".join(merged)

    def _printed_place(self, name: str, method: str, column: GridColumn) -> Place:
        row = Row.parse(name)
        method = row.method or method
        place = Place.at(column, method, row.variant)
        if not column.bits:
            place = place._replace(bits=self.spec.lengths_of(method)[0])
        if not row.transfers:
            return place._replace(origin=self.spec.start_without_transfer)
        return place
