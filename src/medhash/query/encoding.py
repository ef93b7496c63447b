"""A trained cell's code for one image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.trained.explanation import load_cell
from medhash.trained.speed import Search
from medhash.training.cells import CellInputs


def encode_image(
    cell: Cell,
    settings: Settings,
    inputs: CellInputs,
    folder: Path,
    pixels: NDArray[np.uint8],
    *,
    device: str = "auto",
) -> NDArray[np.uint8]:
    """Put an image through a cell's network.

    Args:
        cell: which cell.
        settings: those that it was trained with.
        inputs: dataset and split.
        folder: the cell's folder with checkpoint, codes and ``training.json``.
        pixels: uint8 (S, S, 3) with the network's S.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The packed code, uint8 (ceil(q / 8),).

    Raises:
        MedhashError: the image or the checkpoint does not fit the settings, or checkpoint and
            codes were not written by the same training.
    """
    size = settings.stored
    if pixels.shape != (size, size, 3):
        raise MedhashError(
            f"{inputs.data_folder}: its images are {pixels.shape[1]} pixels wide, those of the "
            f"settings {size}; prepare the dataset and train {cell} again"
        )
    check_trained_together(folder)
    trained = load_cell(cell, settings, inputs, folder, device)
    database = Codes.load(folder / "codes.npz").database_codes
    search = Search(trained.network, trained.coder.method, database, size, trained.device)
    return search.encode([pixels])[0]


def check_trained_together(folder: Path) -> None:
    """Refuse a checkpoint and codes of different trainings: their distances mean nothing.

    Raises:
        MedhashError: one of them is not the file that ``training.json`` describes.
    """
    path = folder / "training.json"
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))["outputs"]
        described = [
            (folder / outputs[n]["path"], outputs[n]["sha256"]) for n in ("checkpoint", "codes")
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise MedhashError(f"{path}: is damaged ({error}); train the cell again") from error
    for file, sha256 in described:
        if sha256_of_file(file) != sha256:
            raise MedhashError(
                f"{file}: is not the file that {path.name} beside it describes; "
                "train the cell again"
            )
