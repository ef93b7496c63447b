"""Masks around a key point (ACH Eq. 18, 19 and 26), applied to patch tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from medhash.causal.positioning import Size


def lesion_boxes(key_points: Tensor, scales: tuple[Size, ...], grid: int) -> Tensor:
    """Patches within a box of each scale around the key point.

    Args:
        key_points: int64 (B, 2), row and column.
        scales: S sizes (height, width). A box of height s begins s // 2 rows above the key
            point and ends at the image's border where it would leave it.
        grid: patches along one side.

    Returns:
        bool (B, S, N): True inside the box. Eq. 18 is its negation, Eq. 26 the box itself.
    """
    device = key_points.device
    size = torch.tensor(scales, device=device)
    first = key_points[:, None] - size // 2
    last = first + size
    place = torch.arange(grid, device=device)
    inside = (place >= first[..., None]) & (place < last[..., None])
    rows, columns = inside[:, :, 0], inside[:, :, 1]
    return (rows[..., :, None] & columns[..., None, :]).flatten(2)


def blank_out(tokens: Tensor, blank: Tensor, hidden: Tensor) -> Tensor:
    """Multiply patches by 0 (Eq. 19), all scales in one batch.

    Args:
        tokens: float (B, N, D).
        blank: float (1, N, D), the tokens of an image of zeros.
        hidden: bool (B, S, N), the patches to blank.

    Returns:
        float (B*S, N, D), the scales of one image one after the other.
    """
    masked = torch.where(hidden[..., None], blank[:, None], tokens[:, None])
    return masked.flatten(0, 1)
