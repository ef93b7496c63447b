"""HashNet: weighted pairwise likelihood with continuation (Cao et al., ICCV 2017).

With s in {0, 1} and the inner product <b_i, b_j>, each pair costs
``w_ij (log(1 + exp(a <b_i, b_j>)) - a s_ij <b_i, b_j>)`` (the paper's Eq. 4), where w_ij balances
similar against dissimilar pairs (Eq. 2). Codes are ``tanh(beta z)`` with growing beta (Eq. 5 and
Algorithm 1). Pairs are those of the batch, as in the authors' code and DeepHash-pytorch.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import Count, StrictModel
from medhash.schema.later import later


class HashNetSettings(StrictModel):
    """HashNet's own hyperparameters."""

    sharpness: float = 10.0
    """The inner product is multiplied by ``sharpness / q`` (10 / q in the authors' code)."""
    alpha: Annotated[float, Field(gt=0)] | None = later(None)
    """What the inner product is multiplied by for every q, instead of ``sharpness / q``."""
    continuation_epochs: Count = 20
    """beta is the square root of 1, 2, 3, …, one more after this many epochs."""


class Method(HashingMethod[HashNetSettings]):
    """HashNet."""

    title = "HashNet"
    Settings = HashNetSettings
    beta: Tensor

    def __init__(
        self, settings: HashNetSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.register_buffer("beta", torch.ones(()))

    def start_epoch(self, epoch: int) -> None:
        """Sharpen the activation (Algorithm 1)."""
        stage = epoch // self.settings.continuation_epochs
        self.beta.fill_((stage + 1) ** 0.5)

    def relax(self, outputs: Tensor) -> Tensor:
        """tanh(beta z)."""
        return (self.beta * outputs).tanh()

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of the weighted negative log-likelihood of each pair.

        A target between -1 and 1 is the probability (target + 1) / 2; the weight of a pair is
        then the same mixture of the two classes' weights, which for -1 and 1 is Eq. 2.
        """
        scale = self.settings.alpha or self.settings.sharpness / self.bits
        logits = scale * codes @ references.codes.T
        probability = (target + 1) / 2
        pairs = float(probability.numel())
        similar = probability.sum().clamp(min=1.0)
        dissimilar = (pairs - probability.sum()).clamp(min=1.0)
        weight = probability * (pairs / similar) + (1 - probability) * (pairs / dissimilar)
        cost = binary_cross_entropy_with_logits(logits, probability, reduction="none")
        return (weight * cost).mean(dim=1)
