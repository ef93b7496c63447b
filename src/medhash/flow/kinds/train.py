"""Trained cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.data.prepared_files import MASKS
from medhash.flow.files import TRAINED, cell_files, pretrained_weights, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Train a cell and write its codes; goes on from the last epoch after an interruption.

    Writes results/<run>/<paper>/cells/<cell>/checkpoint.safetensors, codes.npz, train.csv and
    training.json. Ctrl-C stops it after the epoch that it is in, a second one at once.
    """

    order = 50
    runs_in = "medhash.training.cells"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=720, gpu=1)
    timed = ("facts",)
    trains = True
    facts = "facts"

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Checkpoint, codes, losses, and with what it was trained."""
        return cell_files(layout, "/".join(values), *TRAINED)

    def parts(self, steps: Steps, *values: str) -> Parts:
        """Its images and where it starts; of other methods' files it knows nothing."""
        from medhash.configuration import relevant_settings
        from medhash.configuration.declarations import declaration_of

        configuration, cell = steps.configuration, self.cell(*values)
        inputs = view_files(configuration, cell.paper, cell.dataset, "images", "labels")
        pretrained = pretrained_weights(configuration, cell)
        inputs |= {"pretrained": pretrained} if pretrained else {}
        if "masks" in declaration_of(cell.method).needs:
            inputs["masks"] = configuration.data_of(cell) / MASKS
        chosen = configuration.settings_of(cell)
        modules = [self.runs_in, *relevant_settings.modules_of(chosen, cell)]
        if chosen.evaluation.selection == "best-query-map":
            modules.append("medhash.retrieval.evaluation")
        return Parts(inputs, relevant_settings.training(chosen, cell), tuple(modules))

    def epochs(self, settings: dict[str, Any], *values: str) -> int:
        """Those of hashing."""
        epochs: int = settings["hashing"]["epochs"]
        return epochs

    def state(self, outputs: Files) -> Path:
        """Beside the checkpoint."""
        return outputs["checkpoint"].with_name(".resume.safetensors")
