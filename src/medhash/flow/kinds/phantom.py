"""Datasets of phantoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import FINDINGS, MASKS
from medhash.flow.kind import DATASET, Files, Parts, Resources, Wildcard
from medhash.flow.kinds import prepare

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(prepare.Kind):
    """Generate a phantom."""

    command = "prepare"
    wildcards = (Wildcard(DATASET.name, "phantom_[^/]+"), prepare.SIZE)
    runs_in = "medhash.data.confounded"
    resources = Resources(memory_mb=2000, minutes=60, local=True)
    cores = 1

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Masks of lesions and the table of confounders beside what each dataset has."""
        folder = layout.data(*values)
        own = {"masks": folder / MASKS, "confounders": folder / "confounders.csv"}
        return super().outputs(layout, *values) | own

    def further(self, layout: Layout, *values: str) -> Files:
        """Masks of each finding, where images have several."""
        return {"findings": layout.data(*values) / FINDINGS}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The card, and how phantoms are made."""
        from medhash.configuration import dependencies

        configuration, (dataset, size) = steps.configuration, values
        card, phantoms = configuration.card(dataset), configuration.required_phantoms()
        settings = dependencies.phantom(card, int(size), phantoms)
        findings = self.further(configuration.layout, *values) if card.images else {}
        return Parts({}, settings, (self.runs_in,), findings)
