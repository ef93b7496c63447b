"""What cells look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import MASKS
from medhash.flow.files import cell_files, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Write where a trained cell looks: patches and lesions, or the maps that its network names.

    Writes results/<run>/<paper>/cells/<cell>/explanation.npz.
    """

    order = 70
    runs_in = "medhash.trained.explanation"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=60, gpu=1)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Its arrays."""
        return {"explanation": layout.explanation("/".join(values))}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The trained cell, and which images are shown."""
        from medhash.configuration import relevant_settings
        from medhash.configuration.declarations import declaration_of

        configuration, cell = steps.configuration, self.cell(*values)
        chosen = configuration.settings_of(cell)
        inputs = cell_files(configuration.layout, cell, "checkpoint", "codes")
        inputs |= view_files(configuration, cell.paper, cell.dataset, "images", "labels")
        if "masks" in declaration_of(cell.method).needs:
            inputs["masks"] = configuration.data_of(cell) / MASKS
        settings = {
            "lcr": chosen.lcr.model_dump(mode="json"),
            "images": configuration.explanation.model_dump(mode="json"),
        }
        modules = self.runs_in, *relevant_settings.modules_of(chosen, cell)
        return Parts(inputs, settings, modules)
