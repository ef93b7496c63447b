"""A toy method in one file: codes whose normalised inner products should equal the target.

Copied into ``src/medhash/methods``, it is a method like the others; its name is the file's.
"""

from __future__ import annotations

from torch import Tensor

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import StrictModel


class ToySettings(StrictModel):
    """The toy's own hyperparameters."""

    sharpness: float = 1.0
    """Factor in front of the hash layer's output."""


class Method(HashingMethod[ToySettings]):
    """Squared error of normalised inner products."""

    title = "Toy"
    Settings = ToySettings

    def relax(self, outputs: Tensor) -> Tensor:
        """tanh, as in ACH Eq. 3, of the sharpened output."""
        return (self.settings.sharpness * outputs).tanh()

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over the references of (<u, v> / q - target)^2."""
        products = codes @ references.codes.T / self.bits
        return (products - target).pow(2).mean(dim=1)
