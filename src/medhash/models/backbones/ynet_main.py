"""The main branch of Y-Net (Fang et al., JBHI 2021, Sections III-B and III-D): a small ResNet.

The paper gives the sizes of four maps; how many residual blocks there are and what stands before
them is of its public code. The blocks are torchvision's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from medhash.models.backbone import ImageBackbone
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings

_PLANES = (8, 16, 32, 64)
_BLOCKS = 2
_HALVINGS = 5


class YnetMainSettings(NetworkSettings):
    """Size of the network."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["ynet_main"] = "ynet_main"
    image_size: Annotated[Count, Field(multiple_of=2**_HALVINGS)] = 256
    width: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the channels that are kept"
    )

    @property
    def planes(self) -> tuple[int, ...]:
        """Inner channels of the blocks of each stage; a block gives four times as many."""
        return tuple(max(1, round(planes * self.width)) for planes in _PLANES)


class Pyramid(NamedTuple):
    """What the four stages give, channels x height x width for images of 256 pixels a side."""

    b1: Tensor
    """(B, 32, 64, 64)."""
    b2: Tensor
    """(B, 64, 32, 32)."""
    b3: Tensor
    """(B, 128, 16, 16)."""
    core: Tensor
    """(B, 256, 8, 8), not negative: the core node."""


class Backbone(ImageBackbone):
    """Images to the core node, N = (S / 32)^2 places of D = 256 channels, and that to its mean."""

    Settings = YnetMainSettings

    def __init__(self, settings: YnetMainSettings) -> None:
        super().__init__(settings)
        first, *_ = planes = settings.planes
        self.settings = settings
        self.side = settings.image_size // 2**_HALVINGS
        self.channels = tuple(Bottleneck.expansion * each for each in planes)
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        entering = (first, *self.channels)
        self.stages = nn.ModuleList(
            _stage(entering[i], each, stride=1 if i == 0 else 2) for i, each in enumerate(planes)
        )

    @classmethod
    def pooled_width(cls, settings: YnetMainSettings) -> int:
        """Channels of the core node."""
        return Bottleneck.expansion * settings.planes[-1]

    @classmethod
    def feature_width(cls, settings: YnetMainSettings) -> int:
        """Channels of the core node."""
        return cls.pooled_width(settings)

    def pyramid(self, pixels: Tensor) -> Pyramid:
        """Normalised images (B, 3, S, S) to the maps of all stages."""
        maps: list[Tensor] = []
        entering = self.stem(pixels)
        for stage in self.stages:
            entering = stage(entering)
            maps.append(entering)
        return Pyramid(*maps)

    def encode(self, tokens: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the core node (B, N, 256)."""
        return self.pyramid(tokens).core.flatten(2).transpose(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """The mean over places (B, 256)."""
        return features.mean(dim=1)


def _stage(channels: int, planes: int, stride: int) -> nn.Sequential:
    """Two residual blocks; the first changes size and channels, on its shortcut by 1x1."""
    wide = planes * Bottleneck.expansion
    projected = nn.Sequential(
        nn.Conv2d(channels, wide, 1, stride=stride, bias=False), nn.BatchNorm2d(wide)
    )
    blocks: list[Any] = [Bottleneck(channels, planes, stride, projected)]
    blocks += [Bottleneck(wide, planes) for _ in range(_BLOCKS - 1)]
    return nn.Sequential(*blocks)
