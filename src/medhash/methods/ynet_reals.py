"""Y-Net by the real numbers before its sign: what its public code compares (Y14)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from medhash.methods import ynet
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Distance
from medhash.models.aggregation import unit


class YnetRealsSettings(ynet.YnetSettings):
    """Those of Y-Net, and how its numbers are compared."""

    cosine: bool = Field(True, description="whether vectors are brought to length 1 before")


class Method(ynet.Method, DescriptorMethod[ynet.YnetSettings]):
    """Y-Net by real numbers."""

    title: ClassVar[str] = "Y-Net (real numbers)"
    Settings: ClassVar[type[ynet.YnetSettings]] = YnetRealsSettings
    distance: ClassVar[Distance] = "euclidean"
    settings: YnetRealsSettings

    def aggregate(self, outputs: ynet.YNetOutputs) -> Tensor:
        """The core node to k numbers (B, k)."""
        numbers = super().aggregate(outputs)
        return unit(numbers) if self.settings.cosine else numbers
