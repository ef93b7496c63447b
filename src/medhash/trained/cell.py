"""The door to a trained cell: load it, whatever its family, and encode with it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from medhash.errors import MedhashError
from medhash.methods import family
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.training.encoding import Encoder, encode_split
from medhash.training.task import CellInputs, Task


def task_of(
    cell: Cell, settings: Settings, inputs: CellInputs, folder: Path, device: str = "auto"
) -> Task:
    """A cell whose checkpoint is there.

    Args:
        cell: which cell.
        settings: those that it was trained with.
        inputs: dataset and split.
        folder: the cell's folder.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        MedhashError: it is not.
    """
    task = Task(cell, settings, inputs, folder, device)
    if not task.checkpoint.is_file():
        raise MedhashError(f"{task.checkpoint}: no such file; train the cell {cell} first")
    return task


def load_encoder(
    cell: Cell, settings: Settings, inputs: CellInputs, folder: Path, device: str = "auto"
) -> Encoder:
    """A trained cell, ready to encode; see :func:`task_of`.

    Raises:
        MedhashError: the checkpoint is missing, is of another cell or of other settings.
    """
    task = task_of(cell, settings, inputs, folder, device)
    encoder: Encoder = import_module(f"medhash.training.families.{family(cell.method)}").load(task)
    return encoder


def encode_again(
    cell: Cell, settings: Settings, inputs: CellInputs, folder: Path, device: str = "auto"
) -> Representation:
    """Encode query set and database once more, for an audit; nothing is written.

    Raises:
        MedhashError: see :func:`load_encoder`.
    """
    encoder = load_encoder(cell, settings, inputs, folder, device)
    return encode_split(encoder, inputs.data_folder, inputs.split)
