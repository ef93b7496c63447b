"""The codes of a trained cell once more, from its checkpoint: for an audit."""

from __future__ import annotations

from pathlib import Path

from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.trained.explanation import load_cell
from medhash.training.cells import CellInputs
from medhash.training.encoding import encode_split


def encode_again(
    cell: Cell, settings: Settings, inputs: CellInputs, folder: Path, device: str = "auto"
) -> Codes:
    """Encode query set and database with a cell's checkpoint; nothing is written.

    Args:
        cell: which cell.
        settings: those that it was trained with.
        inputs: dataset and split.
        folder: the cell's folder, with ``checkpoint.safetensors`` and ``codes.npz``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        MedhashError: the checkpoint is missing, of another cell or of other settings.
    """
    trained = load_cell(cell, settings, inputs, folder, device)
    method, data = trained.coder.method, inputs.data_folder
    return encode_split(trained.network, method, data, inputs.split, trained.device)
