"""R-MAC: regional maximum activations (Tolias, Sicre, Jegou; ICLR 2016).

The greatest answers of a classifier's last feature map in fourteen regions, each region's vector
at length 1, summed: see :mod:`medhash.models.regions`. Nothing is trained. The paper whitens each
region by components learned on other images; the Y-Net paper's 512 numbers are as many as the map
has channels, and its code does not whiten.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from medhash.errors import MedhashError
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.regions import RegionGrid, as_maps, region_grid, rmac
from medhash.schema.base import Count, StrictModel


class RmacSettings(StrictModel):
    """R-MAC's own hyperparameters."""

    grid: RegionGrid = "tolias"
    levels: Count = 3


class Method(DescriptorMethod[RmacSettings]):
    """R-MAC."""

    title: ClassVar[str] = "R-MAC"
    Settings: ClassVar[type[RmacSettings]] = RmacSettings
    start: ClassVar[Start] = "classifier"

    def stand_on(self, classes: int) -> None:
        """The regions of the map."""
        self._channels_as_length()
        try:
            self.regions = region_grid(self.network.side, self.settings.levels, self.settings.grid)
        except ValueError as error:
            raise MedhashError(f"{self.title}: {error}; set methods.rmac.levels") from None

    def aggregate(self, outputs: Tensor) -> Tensor:
        """The feature map (B, N, L) to (B, L), at length 1."""
        return rmac(as_maps(outputs, self.network.side), self.regions)
