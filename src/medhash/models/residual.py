"""Networks of bottleneck blocks (He et al., CVPR 2016): a stem, and stages of half the size each.

A file of :mod:`medhash.models.backbones` says how many blocks of how many channels; the blocks
are torchvision's.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from medhash.models.backbone import ImageBackbone
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings

STAGES = 4
_HALVINGS = 5


class ResidualSettings(NetworkSettings):
    """Size of a network."""

    model_config = ConfigDict(extra="forbid")

    image_size: Annotated[Count, Field(multiple_of=2**_HALVINGS)] = 256
    width: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the channels that are kept"
    )
    stages: Annotated[Count, Field(le=STAGES)] = Field(
        STAGES, description="how many there are; without the last, maps are twice as large"
    )

    def scaled(self, channels: int) -> int:
        """A number of channels of the whole network, in this one; at least 1."""
        return max(1, round(channels * self.width))


class ResidualBackbone(ImageBackbone):
    """Images to the map of the last stage, N places of D channels, and that to its mean.

    With all stages N = (S / 32)^2.

    Attributes:
        planes: inner channels of the blocks of each stage; a block gives four times as many.
        blocks: how many each stage has.
        stem_channels: what the first stage sees.
        side: places along one side of the last map.
        channels: of the maps of all stages.
    """

    Settings: ClassVar[type[NetworkSettings]]
    planes: ClassVar[tuple[int, ...]]
    blocks: ClassVar[tuple[int, ...]]
    stem_channels: ClassVar[int]

    def __init__(self, settings: ResidualSettings) -> None:
        super().__init__(settings)
        self.settings = settings
        planes = [settings.scaled(each) for each in self.planes[: settings.stages]]
        self.side = settings.image_size // 2 ** (1 + settings.stages)
        self.channels = tuple(Bottleneck.expansion * each for each in planes)
        first = settings.scaled(self.stem_channels)
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        entering = (first, *self.channels)
        self.stages = nn.ModuleList(
            _stage(entering[i], each, self.blocks[i], stride=1 if i == 0 else 2)
            for i, each in enumerate(planes)
        )

    @classmethod
    def pooled_width(cls, settings: ResidualSettings) -> int:
        """Channels of the last map."""
        return Bottleneck.expansion * settings.scaled(cls.planes[settings.stages - 1])

    @classmethod
    def feature_width(cls, settings: ResidualSettings) -> int:
        """Channels of the last map."""
        return cls.pooled_width(settings)

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Normalised images (B, 3, S, S) to the map of each stage, not negative."""
        found: list[Tensor] = []
        entering = self.stem(pixels)
        for stage in self.stages:
            entering = stage(entering)
            found.append(entering)
        return tuple(found)

    def encode(self, tokens: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the last map (B, N, D)."""
        return self.maps(tokens)[-1].flatten(2).transpose(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """The mean over places (B, D)."""
        return features.mean(dim=1)


def start_as_torchvision(module: nn.Module) -> None:
    """The initial weights of ``torchvision.models.ResNet``."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """Residual blocks; the first changes size and channels, on its shortcut by 1x1."""
    wide = planes * Bottleneck.expansion
    projected = nn.Sequential(
        nn.Conv2d(channels, wide, 1, stride=stride, bias=False), nn.BatchNorm2d(wide)
    )
    chain: list[Any] = [Bottleneck(channels, planes, stride, projected)]
    chain += [Bottleneck(wide, planes) for _ in range(blocks - 1)]
    return nn.Sequential(*chain)
