"""SOLAR-Local (Ng et al., ECCV 2020): second-order attention and a second-order loss.

The paper has local descriptors of 128 numbers for patches and global ones of 2048; the Y-Net paper
prints 1024, the channels of ResNet-50's map before its last stage. Places of that map look at each
other (:mod:`medhash.models.attention`), their generalised mean is the descriptor. Triplets of the
classes train it, and that a sample and its positives see the negatives from equally far.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import gem, unit
from medhash.models.attention import SecondOrderAttention
from medhash.models.metric_losses import second_order_loss, squared_distances, triplet_loss
from medhash.schema.base import Count, StrictModel


class SolarLocalSettings(StrictModel):
    """SOLAR's own hyperparameters, of its public code."""

    reduction: Count = 4
    power: float = Field(3.0, ge=1, description="of the generalised mean")
    margin: float = Field(1.25, gt=0, description="of the triplets, of squared distances")
    second_order_weight: float = Field(10.0, ge=0, description="lambda")


class Method(DescriptorMethod[SolarLocalSettings]):
    """SOLAR-Local."""

    title: ClassVar[str] = "SOLAR-Local"
    Settings: ClassVar[type[SolarLocalSettings]] = SolarLocalSettings
    start: ClassVar[Start] = "scratch"

    def stand_on(self, classes: int) -> None:
        """The attention on the last map."""
        channels = self.network.channels[-1]
        self._require_length(range(channels, channels + 1), f"the last map of {self.kind}")
        self.attention = SecondOrderAttention(channels, self.settings.reduction)

    def look(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the map after attention (B, L, H, H)."""
        maps: Tensor = self.attention(self.network.maps(pixels)[-1])
        return maps

    def losses(self, outputs: Tensor, labels: Tensor, masks: Tensor | None) -> dict[str, Tensor]:
        """First- and second-order similarity."""
        distances = squared_distances(self.aggregate(outputs))
        second = second_order_loss(distances, labels)
        return {
            "triplet": triplet_loss(distances, labels, self.settings.margin),
            "second_order": self.settings.second_order_weight * second,
        }

    def aggregate(self, outputs: Tensor) -> Tensor:
        """The generalised mean over places (B, L), at length 1."""
        return unit(gem(outputs.float(), self.settings.power))
