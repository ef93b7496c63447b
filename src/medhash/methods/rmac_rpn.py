"""R-MAC + RPN of the Y-Net paper: two maps of a residual network, as one vector.

The row's 3072 numbers and the authors' notebook are those of the public code of Revaud et al. (ICCV
2019), ``ResNet_RMAC_FPN``: the generalised means of the last two maps, the second refined by the
last one, side by side through one fully connected layer. Neither R-MAC's regions nor a network
that proposes some (Gordo et al., IJCV 2017) are in it: proposals need boxes to learn from.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import gem, unit
from medhash.models.metric_losses import squared_distances, triplet_loss
from medhash.schema.base import StrictModel


class RmacRpnSettings(StrictModel):
    """The method's own hyperparameters."""

    power: float = Field(3.0, ge=1, description="of the generalised mean")
    loss: Literal["cross-entropy", "triplet"] = "cross-entropy"
    margin: float = Field(0.1, gt=0, description="of the triplet loss")


class Method(DescriptorMethod[RmacRpnSettings]):
    """R-MAC + RPN."""

    title: ClassVar[str] = "R-MAC + RPN"
    Settings: ClassVar[type[RmacRpnSettings]] = RmacRpnSettings
    start: ClassVar[Start] = "scratch"

    def stand_on(self, classes: int) -> None:
        """What refines a map, and the layers on both maps' means."""
        third, fourth = self.network.channels[-2:]
        self._require_length(range(third + fourth, third + fourth + 1), f"two maps of {self.kind}")
        self.lateral = nn.Conv2d(fourth, third, 1, bias=False)
        self.refined = nn.Conv2d(third, third, 3, padding=1, bias=False)
        self.whitening = nn.Linear(self.length, self.length)
        if self.settings.loss == "cross-entropy":
            self.classes = nn.Linear(self.length, classes)

    def look(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the two maps' means (B, L)."""
        *_, third, fourth = self.network.maps(pixels)
        above = interpolate(fourth, size=third.shape[-2:], mode="nearest")
        third = self.refined(third + self.lateral(above).relu()).relu()
        means = [gem(maps, self.settings.power) for maps in (third, fourth)]
        return torch.cat(means, dim=1)

    def losses(self, outputs: Tensor, labels: Tensor, masks: Tensor | None) -> dict[str, Tensor]:
        """Cross-entropy of a linear layer on the descriptors, or triplets of them."""
        vectors = self.aggregate(outputs)
        if self.settings.loss == "triplet":
            distances = squared_distances(vectors)
            return {"triplet": triplet_loss(distances, labels, self.settings.margin)}
        wished = labels / labels.sum(dim=1, keepdim=True)
        return {"cross_entropy": cross_entropy(self.classes(vectors), wished, reduction="none")}

    def aggregate(self, outputs: Tensor) -> Tensor:
        """The means (B, L) through the fully connected layer, at length 1."""
        return unit(self.whitening(outputs.float()))
