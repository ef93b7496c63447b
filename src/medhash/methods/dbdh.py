"""DBDH: deep balanced discrete hashing (Zheng, Zhang and Lu, Neurocomputing 2020).

The pairwise likelihood of a label s in {0, 1} with the logit <b_i, b_j> / 2, plus a term that keeps
a code's numbers of -1 and +1 balanced. The paper forms both from binary codes and lets gradients
pass the sign by a straight-through estimator; DeepHash-pytorch forms them from outputs cut to
[-1, 1], where the same gradients pass.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import StrictModel, later


class DbdhSettings(StrictModel):
    """DBDH's own hyperparameters."""

    straight_through: bool = True
    """Binary codes in training, as in the paper, not DeepHash-pytorch's outputs in [-1, 1]."""
    pairs: Literal["batch", "training"] = later("batch")
    """V: the batch; or all training images' latest codes, as constants (DeepHash-pytorch)."""
    balance: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the balance term (DeepHash-pytorch's alpha)."""
    balance_power: Literal[1, 2] = 2
    """The balance term is this power of the absolute mean bit (DeepHash-pytorch's p)."""


class Method(HashingMethod[DbdhSettings]):
    """DBDH."""

    title = "DBDH"
    Settings = DbdhSettings
    memory: Tensor

    def __init__(
        self, settings: DbdhSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        if settings.pairs == "training":
            self.register_buffer("memory", torch.zeros(len(labels), bits).to(labels))

    def relax(self, outputs: Tensor) -> Tensor:
        """Outputs cut to [-1, 1]; with ``straight_through`` their signs, sign(0) = +1.

        The gradient is that of the cut in both cases: 1 inside [-1, 1] and 0 outside.
        """
        cut = outputs.clamp(-1.0, 1.0)
        if not self.settings.straight_through:
            return cut
        signs = torch.where(outputs < 0, -1.0, 1.0).to(outputs.dtype)
        return signs + (cut - cut.detach())

    def before_batch(self, codes: Tensor, rows: Tensor) -> None:
        """Remember the batch's codes, where V is of all training images."""
        if self.settings.pairs == "training":
            self.memory[rows] = codes.to(self.memory)

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """V; a training image that was not seen yet has the code 0 and no label."""
        if self.settings.pairs == "batch":
            return super().references(codes, labels)
        seen = self.memory.any(dim=1, keepdim=True)
        # Cloned: the memory changes before the next gradients are computed.
        return References(self.memory.clone(), self.labels * seen)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of the negative log-likelihood of each pair.

        A target t between -1 and 1 is the probability (t + 1) / 2 of the pair being similar. A
        target of 0 is then cheapest for orthogonal codes.
        """
        logits = codes @ references.codes.T / 2
        probability = (target + 1) / 2
        cost = binary_cross_entropy_with_logits(logits, probability, reduction="none")
        return cost.mean(dim=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """The balance term: a power of each code's mean bit."""
        imbalance = codes.mean(dim=1).abs()
        return self.settings.balance * imbalance**self.settings.balance_power
