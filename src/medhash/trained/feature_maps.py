"""The feature maps of a trained cell whose network names some (Y-Net Figs. 3 to 5)."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medhash.errors import MedhashError
from medhash.methods import family
from medhash.trained.cell import load_encoder
from medhash.training.encoding import IMAGES_AT_ONCE
from medhash.training.task import Task


@runtime_checkable
class FeatureMaps(Protocol):
    """What a method, or the backbone that it stands on, has if its maps can be looked at."""

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Stored images, uint8 (B, T, T, 3), to named maps (B, channels, h, w)."""
        ...


@torch.no_grad()
def feature_maps(task: Task, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """The mean over channels of each map that a trained cell has.

    Args:
        task: the trained cell.
        images: as stored, uint8 (n, T, T, 3).

    Returns:
        Name of a map -> float32 (n, h, w).

    Raises:
        MedhashError: the checkpoint is missing or of another cell, or neither method nor
            network names a map.
    """
    encoder: Any = None if family(task.cell.method) == "fitted" else load_encoder(task)
    owner = _owner(encoder)
    if owner is None:
        raise MedhashError(
            f"cell {task.cell}: neither {task.cell.method} nor its network "
            f"'{task.settings.network.kind}' says what feature maps it has; choose another cell, "
            "or give one of the two a method 'feature_maps'"
        )
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        with encoder.device.autocast():
            found = owner.feature_maps(encoder.device.tensor(images[start:][:IMAGES_AT_ONCE]))
        parts.append({name: maps.float().mean(dim=1).cpu() for name, maps in found.items()})
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def _owner(encoder: Any) -> FeatureMaps | None:
    """Whatever of an encoder's modules names maps, the method before its network."""
    roots = (getattr(encoder, name, None) for name in ("method", "network"))
    modules = (each for root in roots if isinstance(root, nn.Module) for each in root.modules())
    return next((each for each in modules if isinstance(each, FeatureMaps)), None)
