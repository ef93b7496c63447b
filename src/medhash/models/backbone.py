"""What a backbone is to the rest of medhash: pixels in, features out, in the steps that ACH needs.

Images become tokens (:meth:`ImageBackbone.embed`), tokens become features
(:meth:`ImageBackbone.encode`), features become one vector (:meth:`ImageBackbone.pool`). Only a
backbone whose tokens are patches of the image can leave some out or blank them, as LCR does.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medhash.schema.settings import NetworkSettings

CHANNELS = 3


class ImageBackbone(nn.Module):
    """Base of all backbones.

    Shapes: B images of S pixels a side as the network sees them, n features of D numbers.

    Attributes:
        Settings: its own settings.
        patch_tokens: whether tokens are patches on a grid: LCR, LFR and the masked autoencoder
            need them.
    """

    Settings: ClassVar[type[NetworkSettings]]
    patch_tokens: ClassVar[bool] = False
    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.image_size = settings.image_size
        self.resize = settings.resize
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))

    @classmethod
    def pooled_width(cls, settings: Any) -> int:
        """D, of the pooled features; ``settings`` are of this kind."""
        raise NotImplementedError

    @property
    def grid(self) -> int | None:
        """Patches along one side of the image, for a backbone of patch tokens."""
        return None

    def set_normalisation(self, images: Tensor) -> None:
        """Remember mean and deviation of the training images, uint8 (n, S, S, 3), per channel."""
        pixels = images.reshape(-1, CHANNELS).to(torch.float64)
        self.mean.copy_(pixels.mean(dim=0))
        self.deviation.copy_(pixels.std(dim=0).clamp(min=1.0))

    def normalise(self, images: Tensor) -> Tensor:
        """Stored images, uint8 (B, T, T, 3), to float32 (B, 3, T, T), zero mean over training.

        Where the network sees all of an image shrunk, T becomes S first: whatever else is done to
        an image then costs as much as its size there.
        """
        pixels = self.shrink(images.permute(0, 3, 1, 2).to(torch.float32))
        return (pixels - self.mean[:, None, None]) / self.deviation[:, None, None]

    def shrink(self, pixels: Tensor, mode: str = "area") -> Tensor:
        """Images (B, C, T, T) to (B, C, S, S), if the network sees them so.

        Args:
            pixels: images, or masks as numbers.
            mode: torch's name of how pixels become one.
        """
        if self.resize == "crop" or pixels.shape[-1] == self.image_size:
            return pixels
        return interpolate(pixels, size=(self.image_size, self.image_size), mode=mode)

    def draw_corners(self, count: int, stored: int, generator: torch.Generator) -> Tensor | None:
        """Where to crop each training image of T = ``stored`` pixels, int64 (B, 2), on the CPU.

        Nothing is drawn where nothing is cropped.
        """
        spare = stored - self.image_size
        if spare == 0:
            return None
        return torch.randint(spare + 1, (count, 2), generator=generator)

    def fit(self, pixels: Tensor, corners: Tensor | None = None) -> Tensor:
        """Cropped to the size that the network sees: (B, C, T, T), T >= S, to (B, C, S, S).

        Args:
            pixels: normalised images, or masks as numbers.
            corners: top left of each crop, int64 (B, 2); None for the centre.
        """
        spare = pixels.shape[-1] - self.image_size
        if spare == 0:
            return pixels
        if corners is None:
            corners = torch.full((len(pixels), 2), spare // 2)
        return crop(pixels, corners, self.image_size)

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to tokens; by default the pixels themselves."""
        return pixels

    def blank_tokens(self) -> Tensor:
        """Patch tokens (1, N, D) of an image that is zero everywhere."""
        raise NotImplementedError

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens to features (B, n, D')."""
        raise NotImplementedError

    def pool(self, features: Tensor) -> Tensor:
        """Features (B, n, D') to one vector an image (B, D)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Stored images, uint8 (B, T, T, 3), to pooled features (B, D)."""
        return self.pool(self.encode(self.embed(self.fit(self.normalise(images)))))


def crop(pixels: Tensor, corners: Tensor, size: int) -> Tensor:
    """Squares of each image: (B, C, T, T), int64 (B, 2) row and column, to (B, C, size, size)."""
    steps = torch.arange(size)
    rows, columns = (corners[:, axis, None] + steps for axis in (0, 1))
    images = torch.arange(len(pixels))[:, None, None]
    places = [place.to(pixels.device) for place in (images, rows[:, :, None], columns[:, None])]
    return pixels.movedim(1, 3)[tuple(places)].movedim(3, 1)
