"""The two branches of Y-Net and its hash step (Fang et al., JBHI 2021, Sections III-B to III-D).

They stand on :mod:`medhash.models.backbones.ynet_main`. Shapes: B images of S pixels a side, H x H
places of the core node (H = S / 32), C channels in it (256).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from medhash.models.regions import Region, rmac

MaskNorm = Literal["none", "relu", "batch"]
HashStep = Literal["convolution", "linear", "mean"]


class SegmentationBranch(nn.Module):
    """The FPN branch: from the core node and three stages to a class for each pixel.

    Args:
        channels: of the maps of the main branch; the branch has as many as the first.
        size: S.
        classes: of pixels.
        norm: what comes after the last convolution.
    """

    def __init__(
        self, channels: tuple[int, ...], size: int, classes: int, norm: MaskNorm = "none"
    ) -> None:
        super().__init__()
        own, b2, b3, core = channels
        self.size = size
        self.top = nn.Conv2d(core, own, 1)
        self.lateral3 = nn.Conv2d(b3, own, 1)
        self.lateral2 = nn.Conv2d(b2, own, 1)
        self.masks = nn.Conv2d(own, classes, 3, padding=1)
        kinds = {"none": nn.Identity(), "relu": nn.ReLU(), "batch": nn.BatchNorm2d(classes)}
        self.norm = kinds[norm]

    def top_down(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """t3 (B, 32, S/16, S/16), t2 (B, 32, S/8, S/8) and t1 (B, 32, S/4, S/4)."""
        b1, b2, b3, core = maps
        t3 = _enlarged(self.top(core), 2) + self.lateral3(b3)
        t2 = _enlarged(t3, 2) + self.lateral2(b2)
        return t3, t2, _enlarged(t2, 2) + b1

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Scores of the classes of pixels, (B, classes, S, S), from the maps of all stages."""
        t1 = self.top_down(maps)[-1]
        scores: Tensor = self.norm(self.masks(_enlarged(t1, self.size // t1.shape[-1])))
        return scores


class RegionBranch(nn.Module):
    """The R-MAC branch: from the core node to one vector at length 1.

    Args:
        channels: C.
        width: numbers of the vector.
        regions: of the core node.
        norm: ``batch`` normalisation after the convolution, or ``none``, with a bias instead.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        regions: tuple[Region, ...],
        norm: Literal["batch", "none"] = "batch",
    ) -> None:
        super().__init__()
        self.regions = regions
        self.convolution = nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none")
        self.norm = nn.BatchNorm2d(width) if norm == "batch" else nn.Identity()

    def maps(self, core: Tensor) -> Tensor:
        """What the regions are cut from: (B, C, H, H) to (B, width, H, H)."""
        found: Tensor = self.norm(self.convolution(core))
        return found

    def forward(self, core: Tensor) -> Tensor:
        """(B, C, H, H) to (B, width)."""
        return rmac(self.maps(core), self.regions)


def code_shape(
    bits: int, side: int, shape: Literal["wide", "deep"] = "wide"
) -> tuple[int, int, int]:
    """The form c x h x w of a code, h = w.

    Args:
        bits: c h w.
        side: H.
        shape: ``wide`` has the largest h that fits; ``deep`` is bits x 1 x 1.
    """
    fitting = [h for h in range(1, side + 1) if bits % h**2 == 0]
    h = fitting[-1] if shape == "wide" else 1
    return bits // h**2, h, h


class HashAggregation(nn.Module):
    """The core node to k real numbers, whose signs are the code; never trained.

    A convolution without padding makes C x H x H maps c x h x h; with ``linear`` one fully
    connected layer makes them k numbers. Their weights are drawn once, as PyTorch draws a new
    layer's. ``mean`` gives every weight of a filter the same value: means over groups of
    channels and squares of places.

    Args:
        channels: C.
        side: H.
        shape: c, h and w.
        kind: which of the three.
        generator: draws the weights.

    Raises:
        ValueError: the means of ``mean`` need C to be a multiple of c.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        channels: int,
        side: int,
        shape: tuple[int, int, int],
        kind: HashStep,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        maps, height, _ = shape
        self.maps, self.mean = maps, kind == "mean"
        self.kernel = side - height + 1
        if self.mean:
            if channels % maps:
                raise ValueError(f"the means of {channels} channels cannot make {maps} maps")
            return
        linear = kind == "linear"
        filters, kernel = (math.prod(shape), side) if linear else (maps, self.kernel)
        bound = 1 / math.sqrt(channels * kernel**2)
        drawn = torch.rand(filters, channels * kernel**2 + 1, generator=generator)
        drawn = (2 * drawn - 1) * bound
        self.register_buffer("weight", drawn[:, :-1].reshape(filters, channels, kernel, kernel))
        self.register_buffer("bias", drawn[:, -1].clone())

    def forward(self, core: Tensor) -> Tensor:
        """(B, C, H, H) to (B, k)."""
        if self.mean:
            grouped = core.unflatten(1, (self.maps, -1)).mean(dim=2)
            return avg_pool2d(grouped, self.kernel, stride=1).flatten(1)
        return conv2d(core, self.weight, self.bias).flatten(1)


def _enlarged(maps: Tensor, times: int) -> Tensor:
    return interpolate(maps, scale_factor=times, mode="bilinear", align_corners=False)
