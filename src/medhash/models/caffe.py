"""What networks that were trained in Caffe share: pixels that are centred and not scaled."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from medhash.models.backbone import ImageBackbone
from medhash.schema.settings import NetworkSettings


class CaffeSettings(NetworkSettings):
    """Settings of a network with Caffe's input.

    ``pixels`` says what it sees of values from 0 to 255: the difference to the mean of their
    channel over the training images, or that over the deviation as well. Initial weights of a
    fixed size go with the former.
    """

    pixels: Literal["centred", "standardised"] = "centred"


class CaffeBackbone(ImageBackbone):
    """Base of such networks."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.pixels = settings.pixels

    def set_normalisation(self, images: Tensor) -> None:
        """Remember the training images' mean, and their deviation if it is asked for."""
        super().set_normalisation(images)
        if self.pixels == "centred":
            self.deviation.fill_(1.0)
