"""Square regions of a feature map and R-MAC, the sum of their greatest answers.

Shapes: B images, K channels, a map of H x H places, R regions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from medhash.models.aggregation import unit

RegionGrid = Literal["tolias", "pyretri"]


class Region(NamedTuple):
    """A square of ``size`` places a side; row and column of its top left."""

    row: int
    column: int
    size: int


def region_grid(side: int, levels: int, grid: RegionGrid = "tolias") -> tuple[Region, ...]:
    """The regions of R-MAC (Tolias, Sicre, Jegou; ICLR 2016, Section 3.2), large ones first.

    Level l = 1, 2, … has l x l regions of 2 H / (l + 1) places a side (Y-Net Eq. 1 with
    s = l - 1). Three levels have 14.

    Args:
        side: H.
        levels: how many.
        grid: ``tolias`` spreads them over the whole map; ``pyretri`` is what public code that
            the authors of Y-Net copied makes of them: smaller steps, and the last row and column
            of every region are left out, so that the map's own last ones are never seen.

    Raises:
        ValueError: the map is too small for that many levels.
    """
    regions = []
    for level in range(1, levels + 1):
        size = 2 * side // (level + 1)
        seen = size if grid == "tolias" else size - 1
        if seen < 1:
            raise ValueError(f"a map of {side}x{side} places has no {levels} levels of regions")
        starts = [_start(index, level, side - size, grid) for index in range(level)]
        regions += [Region(row, column, seen) for row in starts for column in starts]
    return tuple(regions)


def _start(index: int, level: int, spare: int, grid: RegionGrid) -> int:
    """Where the region of a level begins, along one side."""
    if grid == "pyretri":
        return index * (spare // level)
    return index * spare // max(1, level - 1)


def pool_regions(maps: Tensor, regions: tuple[Region, ...]) -> Tensor:
    """The greatest answer of each channel in each region: (B, K, H, H) to (B, R, K)."""
    return torch.stack([_cut(maps, region).amax(dim=(2, 3)) for region in regions], dim=1)


def mean_of_regions(maps: Tensor, regions: tuple[Region, ...]) -> Tensor:
    """The mean answer of each channel in each region: (B, K, H, H) to (B, R, K)."""
    return torch.stack([_cut(maps, region).mean(dim=(2, 3)) for region in regions], dim=1)


def rmac(maps: Tensor, regions: tuple[Region, ...]) -> Tensor:
    """Regions at length 1, their sum at length 1: (B, K, H, H) to (B, K)."""
    return unit(normalize(pool_regions(maps, regions), dim=2).sum(dim=1))


def as_maps(features: Tensor, side: int) -> Tensor:
    """Features of places, row by row, as maps: (B, H H, K) to (B, K, H, H)."""
    return features.transpose(1, 2).unflatten(2, (side, side))


def _cut(maps: Tensor, region: Region) -> Tensor:
    row, column, size = region
    return maps[:, :, row : row + size, column : column + size]
