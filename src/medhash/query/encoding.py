"""A trained cell's code or descriptor for one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.flow.account import require_trained_together
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.trained.cell import load_encoder
from medhash.training.task import CellInputs


def encode_image(
    cell: Cell,
    settings: Settings,
    inputs: CellInputs,
    folder: Path,
    receipt: Path,
    pixels: NDArray[np.uint8],
    *,
    device: str = "auto",
) -> NDArray[Any]:
    """Put an image through a trained cell.

    Args:
        cell: which cell.
        settings: those that it was trained with.
        inputs: dataset and split.
        folder: the cell's folder with checkpoint and codes.
        receipt: of its training.
        pixels: uint8 (S, S, 3) with the network's S.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The packed code, uint8 (ceil(q / 8),), or the descriptor, float32 (L,).

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
    require_trained_together(receipt, folder)
    vector: NDArray[Any] = load_encoder(cell, settings, inputs, folder, device).encode(
        pixels[None]
    )[0]
    return vector
