"""Key points that are given rather than found: in the lesion, anywhere, or away from it.

They say whether it matters where a mask lies; the paper's own choice is
:mod:`medhash.causal.positioning`. Coordinates are whole patches, row before column.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from medhash.causal.masking import lesion_boxes
from medhash.causal.positioning import Size

Place = Literal["lesion", "random", "outside"]


def lesion_shares(masks: Tensor, grid: int) -> Tensor:
    """Which share of each patch is lesion: (B, S, S), 0 where none is, to float (B, N)."""
    covered = (masks > 0).float()[:, None]
    return avg_pool2d(covered, masks.shape[-1] // grid).flatten(1)


def draw_at(
    place: Place, shares: Tensor, scales: tuple[Size, ...], grid: int, generator: torch.Generator
) -> Tensor:
    """One key point an image, drawn on the CPU, so that it does not depend on the device.

    Args:
        place: ``lesion``: a random pixel's patch of the lesion; ``random``: any patch;
            ``outside``: one of those at which the masks cover least of the lesion. Without a lesion
            each of the three is any patch.
        shares: of lesion in each patch, float (B, N).
        scales: sizes of the masks.
        grid: patches along one side.
        generator: on the CPU.

    Returns:
        int64 (B, 2).
    """
    shares = shares.cpu()
    chosen = torch.multinomial(_weights(place, shares, scales, grid), 1, generator=generator)[:, 0]
    return torch.stack([chosen // grid, chosen % grid], dim=1)


def _weights(place: Place, shares: Tensor, scales: tuple[Size, ...], grid: int) -> Tensor:
    """How likely each patch is, float (B, N), up to a factor."""
    if place == "random":
        return torch.ones_like(shares)
    if place == "lesion":
        return torch.where(shares.sum(dim=1, keepdim=True) > 0, shares, 1.0)
    patches = torch.arange(grid**2)
    points = torch.stack([patches // grid, patches % grid], dim=1)
    covered = shares @ lesion_boxes(points, scales, grid).any(dim=1).float().T
    return torch.isclose(covered, covered.min(dim=1, keepdim=True).values).float()
