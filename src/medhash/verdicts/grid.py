"""The cells that a claim is about, with the names that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import NamedTuple

from medhash.analysis.numbers.context import Context, GridColumn, Place
from medhash.analysis.numbers.summaries import row_title
from medhash.papers.claim_rules import BEST, Claim, Row
from medhash.papers.claims import artefact_of
from medhash.papers.specs import ArtefactSpec
from medhash.schema.measures import MEASURES
from medhash.verdicts.estimates import Estimate
from medhash.verdicts.numbers import Need, RunNumbers


class Spot(NamedTuple):
    """Where rows of a claim are compared; with the K where a measure has several."""

    method: str
    column: GridColumn
    cutoff: int | None = None


@dataclass(frozen=True)
class ClaimGrid:
    """The rows and columns of a claim, and the numbers there.

    Attributes:
        claim: the claim.
        context: names; its paper holds the whole grid, as printed.
        numbers: where numbers come from.
        merges: variant -> the variant whose cells stand for it, where sizes of the paper come to
            the same on a smaller grid of patches.
    """

    claim: Claim
    context: Context
    numbers: RunNumbers
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

    def spots(self, method: str) -> list[Spot]:
        """Where a method's rows are compared, from left to right."""
        cutoffs = self.claim.cutoffs or (None,)
        return [Spot(method, *place) for place in product(self.columns, cutoffs)]

    def need(self, row: str, spot: Spot) -> Need:
        """The number of a row at a spot; rows as claims name them, of one method."""
        own = self.spot_of(row, spot)
        place = self._printed_place(row, own)
        variant = self.merges.get(place.variant, place.variant)
        return Need(self.claim.measure, place._replace(variant=variant), own.cutoff)

    def needs(self, row: str, spot: Spot) -> tuple[Need, ...]:
        """The same of any row: several numbers of the best of several methods."""
        return tuple(self.need(name, spot) for name in self._methods_of(row))

    def value(self, row: str, spot: Spot) -> Estimate | None:
        """The number of a row at a spot, or the best of several; None while one has not run."""
        values = [self.numbers.value(need) for need in self.needs(row, spot)]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        pick = max if MEASURES[self.claim.measure].higher_is_better else min
        return pick(found, key=lambda each: each.amount)

    def title(self, row: str, spot: Spot) -> str:
        """A row's name as printed: ``HashNet+ACH w/ TL``."""
        places = [self._printed_place(name, spot) for name in self._methods_of(row)]
        titles = [row_title(self.spec, place, self.context) for place in places]
        return titles[0] if len(titles) == 1 else f"the best of {', '.join(titles)}"

    def spot_of(self, row: str, spot: Spot) -> Spot:
        """Where a row is looked at: at the spot, or where its name says."""
        own = Row.parse(row)
        column = spot.column._replace(
            dataset=own.dataset or spot.column.dataset, bits=own.bits or spot.column.bits
        )
        return Spot(spot.method, column, own.k or spot.cutoff)

    def column_title(self, spot: Spot) -> str:
        """A column's name as printed: ``COVID-CT-Dataset/8 bits``, and the K."""
        column = spot.column
        title = self.context.column_label(column)
        if not column.bits:
            title = self.context.heading_of(column.dataset, column.origin)
        return title if spot.cutoff is None else f"{title}, K = {spot.cutoff}"

    def same_here(self, variants: Sequence[str]) -> str:
        """Which of several settings are the same in this run, in words; empty if none are."""
        by_run: dict[str, list[str]] = {}
        for variant in dict.fromkeys(variants):
            by_run.setdefault(self.merges.get(variant, variant), []).append(variant)
        merged = (" = ".join(names) for names in by_run.values() if len(names) > 1)
        return ", ".join(merged)

    def _methods_of(self, name: str) -> list[str]:
        """A row's name, or those that ``best/…`` stands for."""
        if Row.parse(name).method != BEST:
            return [name]
        return [f"{method}/{name.partition('/')[2]}" for method in self.claim.best_of]

    def _printed_place(self, name: str, spot: Spot) -> Place:
        row = Row.parse(name)
        method = row.method or spot.method
        place = Place.at(spot.column, method, row.variant)
        if not spot.column.bits:
            place = place._replace(bits=self.spec.lengths_of(method)[0])
        if not row.transfers:
            return place._replace(origin=self.spec.start_without_transfer)
        return place
