"""CAM: class-weighted convolutional features (Jimenez, Alvarez, Giro-i-Nieto; BMVC 2017).

The last feature map of a classifier, weighed by the activation map of each of an image's most
likely classes: see :func:`medhash.models.aggregation.cam`. Nothing is trained. The paper whitens
by components learned on other images and ranks a second time; the Y-Net paper's code does neither.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import cam
from medhash.schema.base import Count, StrictModel


class CamSettings(StrictModel):
    """CAM's own hyperparameters."""

    top: Count = 64
    """Classes that count for an image, the most likely ones; all, where there are fewer."""


class Method(DescriptorMethod[CamSettings]):
    """CAM."""

    title: ClassVar[str] = "CAM"
    Settings: ClassVar[type[CamSettings]] = CamSettings
    start: ClassVar[Start] = "classifier"
    class_layer: nn.Linear

    def stand_on(self, classes: int) -> None:
        """The classifier's last layer."""
        channels = self._channels_as_length()
        self.class_layer = nn.Linear(channels, classes)

    def aggregate(self, outputs: Tensor) -> Tensor:
        """The feature map (B, N, L) to (B, L), at length 1."""
        scores = self.class_layer(outputs.mean(dim=1))
        top = min(self.settings.top, scores.shape[1])
        likely = torch.zeros_like(scores, dtype=torch.bool)
        likely.scatter_(1, scores.topk(top, dim=1).indices, True)
        return cam(outputs, self.class_layer.weight, likely)
