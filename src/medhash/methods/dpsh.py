"""DPSH: deep pairwise-supervised hashing (Li, Wang and Kang, IJCAI 2016).

With s in {0, 1} and Theta = <u_i, u_j> / 2, each pair costs log(1 + exp(Theta)) - s Theta (the
paper's Eq. 2 and 3), plus how far each output is from its sign (Eq. 4). Pairs are those of a
sample with the latest outputs of all training samples, as in the authors' code and
DeepHash-pytorch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import StrictModel


class DpshSettings(StrictModel):
    """DPSH's own hyperparameters."""

    quantisation: Annotated[float, Field(ge=0)] = 0.1
    """eta, the weight of the regulariser (DeepHash-pytorch's alpha)."""
    activation: Literal["linear", "tanh"] = "linear"
    """The paper leaves outputs free, for the regulariser; tanh keeps them in [-1, 1]."""


class Method(HashingMethod[DpshSettings]):
    """DPSH."""

    title = "DPSH"
    Settings = DpshSettings
    memory: Tensor

    def __init__(
        self, settings: DpshSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.register_buffer("memory", torch.zeros(len(labels), bits))

    def relax(self, outputs: Tensor) -> Tensor:
        """The outputs themselves, or tanh."""
        return outputs if self.settings.activation == "linear" else outputs.tanh()

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """The latest outputs of all training samples; 0 for those that were not seen yet."""
        # Cloned: the memory changes before gradients are computed.
        return References(self.memory.clone(), self.labels)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of the negative log-likelihood of each pair.

        A target t between -1 and 1 is the probability (t + 1) / 2 of the pair being similar.
        """
        logits = codes @ references.codes.T / 2
        probability = (target + 1) / 2
        cost = binary_cross_entropy_with_logits(logits, probability, reduction="none")
        return cost.mean(dim=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Eta times the mean squared distance of an output's numbers to their signs."""
        return self.settings.quantisation * (codes - codes.sign()).square().mean(dim=1)

    def after_batch(self, codes: Tensor, rows: Tensor) -> None:
        """Remember the batch's outputs."""
        self.memory[rows] = codes.to(self.memory)
