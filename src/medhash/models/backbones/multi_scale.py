"""MTH's network: parallel convolutions of three sizes, dense blocks, self-attention of channels.

Chen, Tang, Huang and Xiong, "Multi-scale Triplet Hashing for Medical Image Retrieval" (Computers
in Biology and Medicine 155, 2023), Section 3.2. The text says 256 x 256 images, 16 filters a
branch, blocks of four bottleneck layers with growth 8, 64 x 64 x 48 after each branch, 144 channels
together, attention with a residual, a second block, and a fully connected layer of 1024 units.
What it leaves open is a setting each (``docs/fidelity.md``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torchvision.models.densenet import _DenseBlock

from medhash.models.backbone import CHANNELS, ImageBackbone
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings

_POOLING = 4
_ADAPTIVE_SIDE = 4


def _is_odd(side: int) -> int:
    if side % 2 == 0:
        raise ValueError("must be odd, so that padding keeps the map's size")
    return side


Side = Annotated[Count, AfterValidator(_is_odd)]


class MultiScaleSettings(NetworkSettings):
    """The sizes that the text prints, and the readings of what it leaves open."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["multi_scale"] = "multi_scale"
    image_size: Annotated[Count, Field(multiple_of=_POOLING, ge=16)] = 256
    kernels: Annotated[tuple[Side, ...], Field(min_length=1)] = (1, 3, 5)
    """Side of each parallel convolution, odd; a single one is the ablation of one scale."""
    filters: Count = 16
    layers: Count = 4
    """Of a dense block. The text's c0 + c(d - 1) is that of three, its 48 channels that of four."""
    growth: Count = 8
    bottleneck: Count = 4
    """Width of a bottleneck's 1 x 1 convolution, in growths; 4 is DenseNet's."""
    pooling: Literal["after-block", "twice", "before-block"] = "after-block"
    """To a quarter of the side: once after the block, halved on both sides of it, or before it."""
    attention: Literal["channels", "positions", "none"] = "channels"
    """What attends to what: the text says the channel domain."""
    heads: Count = 4
    summary: Literal["mean", "adaptive", "flatten"] = "mean"
    """What the fully connected layer sees of the last map: the mean of each channel, 4 x 4 means,
    or all of it (738 million weights at 256 pixels)."""
    units: Count = 1024

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> Self:
        if self.attention != "none" and self.joined_channels % self.heads:
            raise ValueError(
                f"heads: {self.heads} heads cannot share {self.joined_channels} channels evenly"
            )
        return self

    @property
    def branch_channels(self) -> int:
        """Of one branch, after its dense block: 48."""
        return self.filters + self.layers * self.growth

    @property
    def joined_channels(self) -> int:
        """Of all branches: 144."""
        return len(self.kernels) * self.branch_channels

    @property
    def map_channels(self) -> int:
        """After the second dense block: 176."""
        return self.joined_channels + self.layers * self.growth


class Backbone(ImageBackbone):
    """Images to the map after the second dense block, and that to the fully connected layer.

    Shapes: N = (S / 4)^2 places of 176 channels, D = 1024 units.
    """

    Settings: ClassVar[type[NetworkSettings]] = MultiScaleSettings

    def __init__(self, settings: MultiScaleSettings) -> None:
        super().__init__(settings)
        self.side = settings.image_size // _POOLING
        self.branches = nn.ModuleList(_branch(settings, kernel) for kernel in settings.kernels)
        self.attention: nn.Module = nn.Identity()
        if settings.attention != "none":
            self.attention = ConvolutionalAttention(
                settings.joined_channels,
                settings.heads,
                of_channels=settings.attention == "channels",
            )
        self.block = _dense_block(settings, settings.joined_channels)
        places = {"mean": 1, "adaptive": _ADAPTIVE_SIDE, "flatten": self.side}[settings.summary]
        self.summary = nn.Sequential(
            nn.Identity() if settings.summary == "flatten" else nn.AdaptiveAvgPool2d(places),
            nn.Flatten(),
            nn.Linear(settings.map_channels * places**2, settings.units),
            nn.ReLU(),
        )

    @classmethod
    def pooled_width(cls, settings: MultiScaleSettings) -> int:
        """Units of the fully connected layer."""
        return settings.units

    @classmethod
    def feature_width(cls, settings: MultiScaleSettings) -> int:
        """Channels of the last map."""
        return settings.map_channels

    def encode(self, tokens: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the places of the last map (B, N, 176)."""
        scales = [branch(tokens) for branch in self.branches]
        attended = self.attention(torch.cat(scales, dim=1))
        return self.block(attended).flatten(2).transpose(1, 2)

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Stored images, uint8 (B, T, T, 3), to maps of S / 4 places a side, (B, channels, h, h).

        ``scales``, the branches side by side; ``attention``, what the self-attention adds to them;
        ``last``, after the second dense block.
        """
        pixels = self.fit(self.normalise(images))
        scales = torch.cat([branch(pixels) for branch in self.branches], dim=1)
        attended = self.attention(scales)
        return {"scales": scales, "attention": attended - scales, "last": self.block(attended)}

    def pool(self, features: Tensor) -> Tensor:
        """The places (B, N, 176) to the fully connected layer (B, 1024)."""
        return self.summary(features.transpose(1, 2).unflatten(2, (self.side, self.side)))


class ConvolutionalAttention(nn.Module):
    """Self-attention of a map's channels, or of its places, added to the map (Eq. 1).

    Three 1 x 1 convolutions give Q, K and V, whose channels the U heads share out; a further
    matrix for each head (W_q, W_k, W_v) would be a linear map after a linear map, and is left out.
    Of channels, a head compares its C / U channels, vectors of the map's places, and e_k is the
    number of places; of places, it compares places, vectors of C / U channels.

    Args:
        channels: C, a multiple of ``heads``.
        heads: U.
        of_channels: what attends to what.
    """

    def __init__(self, channels: int, heads: int, *, of_channels: bool) -> None:
        super().__init__()
        self.heads = heads
        self.of_channels = of_channels
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        side = maps.shape[2:]
        query, key, value = (self._heads(part(maps)) for part in (self.query, self.key, self.value))
        attended = scaled_dot_product_attention(query, key, value)
        if not self.of_channels:
            attended = attended.transpose(2, 3)
        return maps + self.output(attended.flatten(1, 2).unflatten(2, side))

    def _heads(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to the tokens of each head, (B, U, C / U, HW) or (B, U, HW, C / U)."""
        tokens = maps.flatten(2).unflatten(1, (self.heads, -1))
        return tokens if self.of_channels else tokens.transpose(2, 3)


def _branch(settings: MultiScaleSettings, kernel: int) -> nn.Sequential:
    """One scale: the convolution, its dense block, and pooling to a quarter of the side."""
    convolution = nn.Conv2d(CHANNELS, settings.filters, kernel, padding=kernel // 2)
    block = _dense_block(settings, settings.filters)
    half = _POOLING // 2
    parts = {
        "after-block": (block, nn.MaxPool2d(_POOLING)),
        "twice": (nn.MaxPool2d(half), block, nn.MaxPool2d(half)),
        "before-block": (nn.MaxPool2d(_POOLING), block),
    }
    return nn.Sequential(convolution, *parts[settings.pooling])


def _dense_block(settings: MultiScaleSettings, channels: int) -> nn.Module:
    """DenseNet's block: each layer adds ``growth`` channels to all before it."""
    return _DenseBlock(
        num_layers=settings.layers,
        num_input_features=channels,
        bn_size=settings.bottleneck,
        growth_rate=settings.growth,
        drop_rate=0.0,
    )
