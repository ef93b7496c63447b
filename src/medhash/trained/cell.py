"""The door to a trained cell: load it, whatever its family, and encode with it."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from medhash.errors import MedhashError
from medhash.files import sha256_of_file
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


def check_trained_together(folder: Path) -> dict[str, dict[str, str]]:
    """Refuse a checkpoint and codes of different trainings: their distances mean nothing.

    Returns:
        What ``training.json`` says of the checkpoint and of the codes or descriptors: name ->
        ``path`` and ``sha256``.

    Raises:
        MedhashError: the file is missing or damaged, or one of them is not what it describes.
    """
    path = folder / "training.json"
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        (noun,) = set(outputs) - {"checkpoint", "losses"}
        used = {name: dict(outputs[name]) for name in ("checkpoint", noun)}
        described = [(name, folder / file["path"], file["sha256"]) for name, file in used.items()]
    except FileNotFoundError:
        raise MedhashError(f"{path}: no such file; train the cell first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MedhashError(f"{path}: is damaged ({error}); train the cell again") from error
    for name, file, sha256 in described:
        if sha256_of_file(file) != sha256:
            raise MedhashError(
                f"{file}: is not the file that {path.name} beside it describes as '{name}'; "
                "train the cell again"
            )
    return used
