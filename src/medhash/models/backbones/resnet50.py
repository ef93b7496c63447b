"""ResNet-50 (He et al., CVPR 2016; torchvision's layers and initial weights)."""

from __future__ import annotations

from typing import Literal

from medhash.models.residual import ResidualBackbone, ResidualSettings, start_as_torchvision


class Resnet50Settings(ResidualSettings):
    """Size of the network."""

    kind: Literal["resnet50"] = "resnet50"


class Backbone(ResidualBackbone):
    """Images to the last map, N = (S / 32)^2 places of D = 2048 channels, and that to its mean."""

    Settings = Resnet50Settings
    planes = (64, 128, 256, 512)
    blocks = (3, 4, 6, 3)
    stem_channels = 64

    def __init__(self, settings: Resnet50Settings) -> None:
        super().__init__(settings)
        self.apply(start_as_torchvision)
