"""A trained cell's code or descriptor for one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.flow.account import require_trained_together
from medhash.trained.cell import load_encoder
from medhash.training.task import Task


def encode_image(task: Task, receipt: Path, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Put an image through a trained cell.

    Args:
        task: the cell; its folder holds checkpoint and codes.
        receipt: of its training.
        pixels: uint8 (S, S, 3) with the network's S.

    Returns:
        The packed code, uint8 (ceil(q / 8),), or the descriptor, float32 (L,).

    Raises:
        MedhashError: the image or the checkpoint does not fit the settings, or checkpoint and
            codes were not written by the same training.
    """
    size = task.settings.stored
    if pixels.shape != (size, size, 3):
        raise MedhashError(
            f"{task.inputs.data_folder}: its images are {pixels.shape[1]} pixels wide, those of "
            f"the settings {size}; prepare the dataset and train {task.cell} again"
        )
    require_trained_together(receipt, task.folder)
    vector: NDArray[Any] = load_encoder(task).encode(pixels[None])[0]
    return vector
