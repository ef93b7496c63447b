"""The door to a trained cell: load it, whatever its family, and encode with it."""

from __future__ import annotations

from importlib import import_module

from medhash.errors import MedhashError
from medhash.methods import family
from medhash.retrieval.representation import Representation
from medhash.training.encoding import Encoder, encode_split
from medhash.training.task import Task


def check_trained(task: Task) -> None:
    """Refuse a cell whose checkpoint is not there, with a MedhashError."""
    if not task.checkpoint.is_file():
        raise MedhashError(f"{task.checkpoint}: no such file; train the cell {task.cell} first")


def load_encoder(task: Task) -> Encoder:
    """A trained cell, ready to encode.

    Raises:
        MedhashError: the checkpoint is missing, is of another cell or of other settings.
    """
    check_trained(task)
    kind = family(task.cell.method)
    encoder: Encoder = import_module(f"medhash.training.families.{kind}").load(task)
    return encoder


def encode_again(task: Task) -> Representation:
    """Encode query set and database once more, for an audit; nothing is written.

    Raises:
        MedhashError: see :func:`load_encoder`.
    """
    return encode_split(load_encoder(task), task.inputs.data_folder, task.inputs.split)
