"""Pointing games."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import MASKS
from medhash.flow.files import pretrained_weights, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Count how often C2F-LP points at a phantom's lesions, after each epoch of a cell's training.

    Trains the cell once more, of which nothing else is kept. Writes
    results/<run>/<paper>/cells/<cell>/pointing.json.
    """

    order = 95
    runs_in = "medhash.trained.pointing"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=720, gpu=1)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The counts."""
        return {"pointing": layout.pointing("/".join(values))}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """What the cell is trained from, and where its lesions are."""
        from medhash.configuration import relevant_settings

        configuration, cell = steps.configuration, self.cell(*values)
        inputs = view_files(configuration, cell.paper, cell.dataset, "images", "labels")
        inputs |= {"masks": configuration.data_of(cell) / MASKS}
        pretrained = pretrained_weights(configuration, cell)
        inputs |= {"pretrained": pretrained} if pretrained else {}
        chosen = configuration.settings_of(cell)
        settings = relevant_settings.training(chosen, cell)
        settings |= {"lcr": chosen.lcr.model_dump(mode="json")}
        modules = self.runs_in, *relevant_settings.modules_of(chosen, cell)
        return Parts(inputs, settings, modules)
