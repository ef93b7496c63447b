"""mAP with and without transfer learning (the form of ACH Table VI)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.grid import Grid, GridRow, lengths_row
from medhash.papers.specs import Made, Name, TableSpec
from medhash.schema.cell import SCRATCH, Cell

if TYPE_CHECKING:
    from medhash.configuration.restriction import Restriction
    from medhash.papers.paper import Paper

_DIFFERENCES = (
    "In brackets behind a name: in how many of the columns that ran the row beats its baseline "
    "w/ TL. ↑ and ↓: percentage points above and below that baseline. The CSV also says how far "
    "the baseline w/ TL is above or below the one w/o TL."
)


class Spec(TableSpec):
    """mAP after fine-tuning from several datasets, and without.

    A block is a method, a group of columns an origin of the transfer. The first variant is the
    baseline. Without transfer it has one value a code length, which stands under every origin, as
    in the paper.

    Attributes:
        datasets: one, the target of the transfer.
        origins: the datasets that cells are fine-tuned from.
        available_origins: those that this run has; filled in like :attr:`available`.
        without_transfer: what the rows without transfer start from, random weights (``scratch``)
            or the backbone that is pretrained on the target (``own``).
    """

    kind: Literal["transfer"]
    datasets: tuple[Name, ...] = Field(min_length=1, max_length=1)
    origins: tuple[Name, ...] = Field(min_length=1)
    available_origins: tuple[Name, ...] | None = None
    without_transfer: Literal["scratch", "own"] = "scratch"

    @property
    def starts(self) -> tuple[str, ...]:
        """The origins of the columns."""
        return self.origins

    @property
    def starts_of_run(self) -> tuple[str, ...]:
        """The origins of this run, in the order of :attr:`origins`."""
        kept = self.available_origins
        return tuple(origin for origin in self.origins if kept is None or origin in kept)

    @property
    def start_without_transfer(self) -> str:
        """The origin of the cells without transfer."""
        return SCRATCH if self.without_transfer == "scratch" else ""

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """Of each method the baseline without transfer, and all variants from each origin."""
        cells, starts = super().cells(seeds), self.starts_of_run
        without = [
            replace(cell, origin=self.start_without_transfer)
            for cell in cells
            if starts and cell.variant == self.variants[0]
        ]
        return without + [replace(cell, origin=origin) for origin in starts for cell in cells]

    def row_title(self, paper: Paper, method: str, variant: str, origin: str = "") -> str:
        """``HashNet+ACH w/ TL``."""
        without = origin == self.start_without_transfer
        return f"{super().row_title(paper, method, variant)} {'w/o' if without else 'w/'} TL"

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Where a run transfers from and to; the user's own datasets have no place in it."""
        origins = tuple(map(run.stand_in, self.origins))
        return {
            "datasets": tuple(map(run.stand_in, self.datasets)),
            "origins": origins,
            "available_origins": tuple(filter(run.runs, origins)),
        }

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """In the CSV ``origin`` is what a value's cells really start from."""
        blocks = tuple(self._block(method, context) for method in self.methods)
        grid = Grid.of_lengths(self, context, blocks, facts)
        return grid.csv_rows(), grid.printed(
            notes=(self._starts_note(context),), differences=_DIFFERENCES
        )

    def _block(self, method: str, context: Context) -> tuple[GridRow, ...]:
        first, *others = self.variants
        start = self.start_without_transfer
        baseline = lengths_row(self, context, method, first)
        without = GridRow(
            self.row_title(context.paper, method, first, start),
            tuple(place._replace(origin=start) for place in baseline.places),
        )
        options = {"against": baseline, "arrows": True, "counted": True}
        return (
            without,
            replace(baseline, against=without),
            *(lengths_row(self, context, method, variant, **options) for variant in others),
        )

    def _starts_note(self, context: Context) -> str:
        """What the rows start from."""
        target = context.paper.dataset_title(self.datasets[0])
        without = (
            "from random weights, without any pretraining"
            if self.without_transfer == "scratch"
            else f"from the backbone that is pretrained on {target} itself"
        )
        return (
            f"w/o TL: trained on {target} {without}; the same under every origin. w/ TL: the whole "
            "network of the same method, variant, code length and seed, as trained on the origin, "
            f"is trained on {target} with the same settings (docs/fidelity.md, E1 and E2)."
        )
