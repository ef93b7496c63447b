"""The main branch of Y-Net (Fang et al., JBHI 2021, Sections III-B and III-D): a small ResNet.

The paper gives the sizes of four maps, 32x64x64, 64x32x32, 128x16x16 and 256x8x8 for images of 256
pixels a side; how many residual blocks there are and what stands before them is of its public
code, and so are the initial weights, PyTorch's own.
"""

from __future__ import annotations

from typing import Literal

from medhash.models.residual import ResidualBackbone, ResidualSettings


class YnetMainSettings(ResidualSettings):
    """Size of the network."""

    kind: Literal["ynet_main"] = "ynet_main"
    stages: Literal[4] = 4


class Backbone(ResidualBackbone):
    """Images to the core node, N = (S / 32)^2 places of D = 256 channels, and that to its mean."""

    Settings = YnetMainSettings
    planes = (8, 16, 32, 64)
    blocks = (2, 2, 2, 2)
    stem_channels = 8
