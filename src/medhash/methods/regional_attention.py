"""Regional Attention (Kim and Yoon, BMVC 2018): regions of R-MAC, weighed by what they show.

Two layers look at a region's mean beside the image's and say how much it counts; they alone are
trained, by the cross-entropy of a classifier whose last layer and backbone stay as they were. The
paper whitens by components learned on other images; the Y-Net paper's code does not.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from medhash.errors import MedhashError
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import unit
from medhash.models.regions import RegionGrid, as_maps, mean_of_regions, pool_regions, region_grid
from medhash.schema.base import Count, StrictModel


class RegionalAttentionSettings(StrictModel):
    """Regional Attention's own hyperparameters."""

    levels: Count = 5
    grid: RegionGrid = "tolias"
    hidden: Count = 64
    normalise_regions: bool = True
    """Whether a region's vector is brought to length 1 before it is weighed."""


class RegionalFeatures(NamedTuple):
    """Of R regions: their greatest answers (B, R, K), and means beside the image's (B, R, 2 K)."""

    greatest: Tensor
    means: Tensor


class Method(DescriptorMethod[RegionalAttentionSettings]):
    """Regional Attention."""

    title: ClassVar[str] = "Regional Attention"
    Settings: ClassVar[type[RegionalAttentionSettings]] = RegionalAttentionSettings
    start: ClassVar[Start] = "classifier"
    class_layer: nn.Linear

    def stand_on(self, classes: int) -> None:
        """Regions, the classifier's last layer, and the layers that weigh."""
        channels = self._channels_as_length()
        try:
            self.regions = region_grid(self.network.side, self.settings.levels, self.settings.grid)
        except ValueError as error:
            name = "methods.regional_attention.levels"
            raise MedhashError(f"{self.title}: {error}; set {name}") from None
        self.class_layer = nn.Linear(channels, classes)
        self.attention = nn.Sequential(
            nn.Linear(2 * channels, self.settings.hidden),
            nn.Softplus(),
            nn.Linear(self.settings.hidden, 1),
            nn.Softplus(),
        )
        self.attention.apply(_start)
        for part in (self.network, self.class_layer):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """The classifier stays as it is: batch normalisation goes on with what it has seen."""
        super().train(mode)
        self.network.eval()
        return self

    def look(self, pixels: Tensor) -> RegionalFeatures:
        """Normalised images (B, 3, S, S) to what the regions of the last map show."""
        maps = as_maps(super().look(pixels), self.network.side)
        greatest = pool_regions(maps, self.regions)
        own = mean_of_regions(maps, self.regions)
        image = maps.mean(dim=(2, 3))[:, None].expand_as(own)
        if self.settings.normalise_regions:
            greatest = normalize(greatest, dim=2)
        return RegionalFeatures(greatest, torch.cat([own, image], dim=2))

    def losses(
        self, outputs: RegionalFeatures, labels: Tensor, masks: Tensor | None
    ) -> dict[str, Tensor]:
        """Cross-entropy of the descriptors."""
        wished = labels / labels.sum(dim=1, keepdim=True)
        scores = self.class_layer(self.aggregate(outputs))
        return {"cross_entropy": cross_entropy(scores.float(), wished, reduction="none")}

    def aggregate(self, outputs: RegionalFeatures) -> Tensor:
        """The weighed mean of regions (B, L), at length 1."""
        weights = self.attention(outputs.means.float())
        return unit((weights * outputs.greatest).mean(dim=1))


def _start(module: nn.Module) -> None:
    """The initial weights of the paper's code."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
