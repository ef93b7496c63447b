"""Searches with lesion patches; where nobody marked any, that is the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import DATA, cell_files, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Search a cell's database with lesion patches, and time it; run it alone on the machine.

    Patches are boxes in config/lesions/<dataset>.csv, or a phantom's masks. Writes
    results/<run>/<paper>/cells/<cell>/lesions.json and lesions.npz.
    """

    order = 90
    runs_in = "medhash.trained.lesions"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=20, gpu=1, alone=True)
    timed = ("lesions",)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Scores and times; the patches and their codes."""
        cell = "/".join(values)
        return {"lesions": layout.lesions(cell), "patches": layout.lesion_patches(cell)}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The trained cell, and the marks or the cell that finds them."""
        from medhash.configuration import relevant_settings

        configuration, cell = steps.configuration, self.cell(*values)
        chosen, layout = configuration.lesions, configuration.layout
        inputs = cell_files(layout, cell, "checkpoint", "codes")
        inputs |= view_files(configuration, cell.paper, cell.dataset, *DATA)
        given = _marks(configuration, cell)
        inputs |= given
        settings = relevant_settings.training(configuration.settings_of(cell), cell)
        settings |= {
            "patches": chosen.model_dump(mode="json"),
            "given": list(given),
            "protocol": configuration.settings_of(cell).evaluation.protocol,
        }
        if chosen.source != "given" and "boxes" not in given:
            finder = configuration.finder_of(cell)
            own = cell_files(layout, finder, "checkpoint", "codes")
            inputs |= {f"finder_{name}": path for name, path in own.items()}
            settings["lcr"] = configuration.settings_of(finder).lcr.model_dump(mode="json")
        modules = relevant_settings.modules_of(configuration.settings_of(cell), cell)
        return Parts(inputs, settings, (self.runs_in, "medhash.retrieval.precision", *modules))


def _marks(configuration: Configuration, cell: Cell) -> Files:
    """Boxes that somebody has drawn, or else a phantom's masks; none if not asked for."""
    if configuration.lesions.source == "found":
        return {}
    boxes = configuration.lesion_boxes(cell.dataset)
    if boxes.is_file():
        return {"boxes": boxes}
    if configuration.card(cell.dataset).synthetic:
        return {"masks": configuration.data_of(cell) / "masks.npy"}
    return {}
