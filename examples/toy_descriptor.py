"""A toy of the descriptor family in one file: a network's mean feature, at random weights."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.schema.base import StrictModel


class ToySettings(StrictModel):
    """The toy has no hyperparameters."""


class Method(DescriptorMethod[ToySettings]):
    """Nothing is trained: there are no losses."""

    title: ClassVar[str] = "Mean feature"
    Settings: ClassVar[type[ToySettings]] = ToySettings
    start: ClassVar[Start] = "scratch"

    def aggregate(self, outputs: Any) -> Tensor:
        """Features (B, n, L) to (B, L)."""
        vectors: Tensor = outputs.mean(dim=1)
        return vectors
