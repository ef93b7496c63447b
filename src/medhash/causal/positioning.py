"""Coarse-to-fine lesion positioning, C2F-LP (ACH Section IV-C1, Eq. 14-17).

All coordinates are whole patches, row before column, counted from the top left corner. A region
is given by its top left patch; its size is a setting.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

Size = tuple[int, int]


def active_map(features: Tensor, grid: int) -> Tensor:
    """Mean of the features over channels (Eq. 14): (B, N, D) to (B, H, W) with H = W = grid."""
    return features.mean(dim=2).unflatten(1, (grid, grid))


def salient_area(activity: Tensor, window: Size) -> Tensor:
    """Where the window's sum is largest (Eq. 15): (B, H, W) to int64 (B, 2), its top left.

    Of equal sums the first in reading order is taken.
    """
    sums = avg_pool2d(activity[:, None], window, stride=1).squeeze(1)
    place = sums.flatten(1).argmax(dim=1)
    columns = sums.shape[2]
    return torch.stack([place // columns, place % columns], dim=1)


def draw_key_points(area: Tensor, window: Size, count: int, generator: torch.Generator) -> Tensor:
    """Random patches inside the salient area: int64 (B, 2) to int64 (B, K, 2).

    Drawn on the CPU, so that they do not depend on the device.
    """
    shape = (len(area), count)
    rows = torch.randint(window[0], shape, generator=generator)
    columns = torch.randint(window[1], shape, generator=generator)
    return area[:, None] + torch.stack([rows, columns], dim=2).to(area.device)


def segment_corners(key_points: Tensor, segment: Size, grid: int) -> Tensor:
    """Top left of the segment around each key point, moved inwards where it would leave the image.

    int64 (..., 2) to int64 (..., 2). All segments keep the same number of patches, so that they
    can be encoded in one batch.
    """
    size = torch.tensor(segment, device=key_points.device)
    return (key_points - size // 2).clamp(min=0).minimum(grid - size)


def segment_patches(corners: Tensor, segment: Size, grid: int) -> Tensor:
    """Places of the segment's patches in the sequence: int64 (..., 2) to int64 (..., h*w)."""
    rows = torch.arange(segment[0], device=corners.device)
    columns = torch.arange(segment[1], device=corners.device)
    offsets = (rows[:, None] * grid + columns[None, :]).flatten()
    return (corners[..., 0] * grid + corners[..., 1])[..., None] + offsets


def choose_key_points(key_points: Tensor, distances: Tensor) -> Tensor:
    """The key point whose segment is nearest to its class (Eq. 17).

    Args:
        key_points: int64 (B, K, 2).
        distances: float (B, K), the intra-class distance of each segment's code.

    Returns:
        int64 (B, 2); of equal distances the first.
    """
    best = distances.argmin(dim=1)
    return key_points[torch.arange(len(key_points), device=key_points.device), best]
