"""How well cells tell classes of pixels apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import MASKS
from medhash.flow.files import DATA, cell_files, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Compare what a trained cell calls the pixels of query images with their masks.

    Writes results/<run>/<paper>/cells/<cell>/segmentation.json.
    """

    order = 75
    runs_in = "medhash.trained.segmentation"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=20, gpu=1)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The scores."""
        return {"segmentation": layout.segmentation("/".join(values))}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The trained cell, its images and their masks."""
        from medhash.configuration import relevant_settings

        configuration, cell = steps.configuration, self.cell(*values)
        chosen = configuration.settings_of(cell)
        inputs = cell_files(configuration.layout, cell, "checkpoint")
        inputs |= view_files(configuration, cell.paper, cell.dataset, *DATA)
        inputs |= {"masks": configuration.data_of(cell) / MASKS}
        modules = self.runs_in, *relevant_settings.modules_of(chosen, cell)
        return Parts(inputs, relevant_settings.training(chosen, cell), modules)
