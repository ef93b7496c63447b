"""Trained cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.data.prepared_files import GIST, MASKS
from medhash.flow.files import CELL_FILES, cell_files, pretrained_weights, view_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


_NEEDED = {"gist": GIST, "masks": MASKS}


class Kind(CellKind):
    """Train a cell and write its codes, or descriptors; goes on after an interruption.

    Writes results/<run>/<paper>/cells/<cell>/checkpoint.safetensors, codes.npz or descriptors.npz,
    train.csv and training.json. Ctrl-C stops it after the epoch that it is in, a second one at
    once; the next start goes on from the last epoch.
    """

    order = 50
    runs_in = "medhash.training.cells"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=720, gpu=1)
    timed = ("facts",)
    trains = True
    facts = "facts"

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Checkpoint, losses, and with what it was trained."""
        folder = layout.cell("/".join(values))
        return {name: folder / file for name, file in CELL_FILES.items()}

    def further(self, layout: Layout, *values: str) -> Files:
        """Codes, or descriptors; the method says which."""
        folder = layout.cell("/".join(values))
        return {name: folder / f"{name}.npz" for name in ("codes", "descriptors")}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """Its images and where it starts; of other methods' files it knows nothing."""
        from medhash.configuration import relevant_settings
        from medhash.configuration.declarations import declaration_of

        configuration, cell = steps.configuration, self.cell(*values)
        chosen, folder = configuration.settings_of(cell), configuration.data_of(cell)
        needs = set(declaration_of(cell.method).needs)
        needs |= {"masks"} if relevant_settings.needs_lesions(chosen, cell) else set()
        read = ["labels"] if "gist" in needs else ["images", "labels"]
        inputs = view_files(configuration, cell.paper, cell.dataset, *read)
        inputs |= {name: folder / _NEEDED[name] for name in sorted(needs)}
        pretrained = pretrained_weights(configuration, cell)
        inputs |= {"pretrained": pretrained} if pretrained else {}
        modules = [self.runs_in, *relevant_settings.modules_of(chosen, cell)]
        if chosen.evaluation.selection == "best-query-map":
            modules.append("medhash.retrieval.evaluation")
        codes = cell_files(configuration.layout, cell, "codes")
        settings = relevant_settings.training(chosen, cell)
        return Parts(inputs, settings, tuple(modules), codes)

    def epochs(self, settings: dict[str, Any], *values: str) -> int:
        """Those of hashing; a fitted cell has none."""
        epochs: int = settings.get("hashing", {}).get("epochs", 0)
        return epochs

    def state(self, outputs: Files) -> Path:
        """Beside the checkpoint."""
        return outputs["checkpoint"].with_name(".resume.safetensors")
