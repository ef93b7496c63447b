"""The network of DSH (Liu et al., CVPR 2016), as its authors' Caffe code has it.

Three convolutions, poolings that overlap, normalisation of each channel by its own neighbourhood
after the first two, and a fully connected layer of 500 units; 2.1 million parameters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from medhash.models.backbone import CHANNELS
from medhash.models.caffe import CaffeBackbone, CaffeSettings
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings

_CHANNELS = (32, 32, 64)
_UNITS = 500


class DshNetworkSettings(CaffeSettings):
    """The network's own settings."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["dsh"] = "dsh"
    image_size: Annotated[Count, Field(ge=8)] = 64
    initialisation: Literal["caffe", "torch"] = "caffe"
    """Caffe's ``xavier`` is uniform with variance 1 over the inputs of a unit; biases are 0."""


class Backbone(CaffeBackbone):
    """Images to 500 numbers.

    Shapes: B images of S pixels; features are the n places of the last pooling (8 x 8 of 64
    pixels) with 64 channels each.
    """

    Settings: ClassVar[type[NetworkSettings]] = DshNetworkSettings

    def __init__(self, settings: DshNetworkSettings) -> None:
        super().__init__(settings)
        first, second, third = _CHANNELS
        # Caffe rounds the size of a pooled map up.
        self.convolutions = nn.Sequential(
            nn.Conv2d(CHANNELS, first, 5, padding=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.ReLU(),
            ChannelResponseNorm(),
            nn.Conv2d(first, second, 5, padding=2),
            nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.ReLU(),
            ChannelResponseNorm(),
            nn.Conv2d(second, third, 5, padding=2),
            nn.ReLU(),
            nn.AvgPool2d(3, 2, ceil_mode=True),
        )
        side = _side(settings.image_size)
        self.fully_connected = nn.Sequential(nn.Linear(third * side**2, _UNITS), nn.ReLU())
        if settings.initialisation == "caffe":
            self.apply(_start)

    @classmethod
    def pooled_width(cls, settings: DshNetworkSettings) -> int:
        """Units of the fully connected layer."""
        return _UNITS

    def encode(self, tokens: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to the places of the last feature map, (B, n, 64)."""
        return self.convolutions(tokens).flatten(2).movedim(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """The places (B, n, 64) to (B, 500)."""
        return self.fully_connected(features.movedim(2, 1).flatten(1))


class ChannelResponseNorm(nn.Module):
    """Caffe's local response normalisation within a channel, over 3 x 3 places."""

    SIZE, ALPHA, BETA = 3, 5e-5, 0.75

    def forward(self, maps: Tensor) -> Tensor:
        """Each value over ``(1 + alpha m)^beta``, m the mean square around it: (B, C, H, W)."""
        around = avg_pool2d(maps.square(), self.SIZE, 1, self.SIZE // 2)
        return maps * (1 + self.ALPHA * around).pow(-self.BETA)


def _side(size: int) -> int:
    """Places along one side of the last feature map: three poolings, rounded up."""
    for _ in _CHANNELS:
        size = -(-(size - 3) // 2) + 1
    return size


def _start(module: nn.Module) -> None:
    """Caffe's filler: uniform up to the root of 3 over the inputs of a unit."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        limit = (3 / module.weight[0].numel()) ** 0.5
        nn.init.uniform_(module.weight, -limit, limit)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
