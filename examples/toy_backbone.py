"""A toy backbone in one file, a single convolution: ``src/medhash/models/backbones/toy.py``."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from torch import Tensor, nn

from medhash.models.backbone import CHANNELS, ImageBackbone
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings


class ToySettings(NetworkSettings):
    """The toy's own settings, under ``network: {kind: toy}``."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["toy"] = "toy"
    channels: Count = 8


class Backbone(ImageBackbone):
    """Normalised images (B, 3, S, S) to n = (S / 4)^2 features of ``channels`` numbers."""

    Settings = ToySettings

    def __init__(self, settings: ToySettings) -> None:
        super().__init__(settings)
        self.convolution = nn.Conv2d(CHANNELS, settings.channels, kernel_size=4, stride=4)

    @classmethod
    def pooled_width(cls, settings: ToySettings) -> int:
        """The mean over places has as many numbers as there are channels."""
        return settings.channels

    def encode(self, tokens: Tensor) -> Tensor:
        """The convolution's positive part, a feature a place."""
        return self.convolution(tokens).relu().flatten(2).transpose(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """Mean over places."""
        return features.mean(dim=1)
