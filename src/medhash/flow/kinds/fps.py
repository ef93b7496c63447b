"""How fast cells answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import DATA, cell_files, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Measure how fast a cell answers queries; run it alone on the machine.

    Writes results/<run>/<paper>/cells/<cell>/speed.json.
    """

    order = 80
    runs_in = "medhash.trained.speed"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=20, gpu=1, alone=True)
    timed = ("speed",)
    facts = "speed"

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The measurement."""
        return {"speed": layout.speed("/".join(values))}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The trained cell and its images."""
        from medhash.configuration import relevant_settings

        configuration, cell = steps.configuration, self.cell(*values)
        inputs = cell_files(configuration.layout, cell, "checkpoint", "codes", "facts")
        inputs |= view_files(configuration, cell.paper, cell.dataset, *DATA)
        chosen = configuration.settings_of(cell)
        modules = self.runs_in, *relevant_settings.modules_of(chosen, cell)
        return Parts(inputs, relevant_settings.training(chosen, cell), modules)
