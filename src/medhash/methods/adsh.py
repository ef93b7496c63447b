"""ADSH: asymmetric deep supervised hashing (Jiang and Li, AAAI 2018).

The network codes the queries, u = tanh(z); the codes V of the database are learned directly, bit
by bit. The two alternate: some epochs of gradient steps on u with V fixed (the paper's Eq. 3),
then one pass over the bits of V with U fixed (Eq. 7-10).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from medhash.methods.families.hashing import HashingMethod, References, similarity
from medhash.schema.base import Count, StrictModel


class AdshSettings(StrictModel):
    """ADSH's own hyperparameters."""

    quantisation: Annotated[float, Field(ge=0)] = 200.0
    """gamma, the weight of (v_i - u_i)^2 for training images, which are in the database."""
    alternation_epochs: Count = 3
    """Epochs of gradient steps between two discrete steps (T_in of the authors' code)."""
    balanced: bool = True
    """Weigh the -1 of dissimilar pairs by the number of similar over dissimilar pairs."""
    learned_database: bool = False
    """Retrieve from the learned V (the ADSH paper), not from the network's codes (ACH Alg. 1)."""


class Method(HashingMethod[AdshSettings]):
    """ADSH."""

    title = "ADSH"
    Settings = AdshSettings
    database_codes: Tensor
    query_codes: Tensor

    def __init__(
        self, settings: AdshSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        start = torch.randn(len(labels), bits, generator=generator)
        self.register_buffer("database_codes", torch.where(start < 0, -1.0, 1.0).to(labels))
        self.register_buffer("query_codes", torch.zeros(len(labels), bits).to(labels))
        self.dissimilar_target = _dissimilar_target(labels) if self.settings.balanced else -1.0

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """V is the whole database as learned so far."""
        return References(self.database_codes, self.labels)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of (u_i . v_j - q s_ij)^2 (Eq. 3), with the balanced s."""
        wished = self.bits * self.balance(target)
        return (codes @ references.codes.T - wished).pow(2).mean(dim=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Add gamma (v_i - u_i)^2, over n as the similarity term is."""
        distance = (self.database_codes[rows] - codes).pow(2).sum(dim=1)
        return self.settings.quantisation * distance / len(self.database_codes)

    def balance(self, target: Tensor) -> Tensor:
        """Keep what is positive, stretch what is negative so that both kinds weigh the same."""
        return torch.where(target < 0, -self.dissimilar_target * target, target)

    def after_batch(self, codes: Tensor, rows: Tensor) -> None:
        """Remember U for the discrete step."""
        self.query_codes[rows] = codes.to(self.query_codes.dtype)

    def after_epoch(self, epoch: int) -> None:
        """Every ``alternation_epochs``, learn V (Eq. 7-10)."""
        if (epoch + 1) % self.settings.alternation_epochs == 0:
            target = self.balance(similarity(self.labels, self.labels))
            self.database_codes.copy_(
                discrete_step(
                    self.database_codes, self.query_codes, target, self.settings.quantisation
                )
            )

    def learned_codes(self) -> Tensor | None:
        """V, if it is asked for."""
        return self.database_codes if self.settings.learned_database else None


def discrete_step(
    database_codes: Tensor, query_codes: Tensor, target: Tensor, quantisation: float
) -> Tensor:
    """One pass over the bits of V, each set to its optimum with the others fixed (Eq. 8-10).

    Minimises ``||U V' - q S||^2 + gamma ||V - U||^2`` over V in {-1, +1}, bit by bit.

    Args:
        database_codes: V, float (n, q) in {-1, +1}.
        query_codes: U, float (n, q); here every database image is a training image.
        target: S, float (n, n), rows are queries.
        quantisation: gamma.

    Returns:
        The new V, float (n, q). A bit whose two values cost the same keeps its value.
    """
    updated = database_codes.clone()
    bits = updated.shape[1]
    # -Q/2 of the paper's Eq. 8.
    gain = bits * target.T @ query_codes + quantisation * query_codes
    for bit in range(bits):
        others = [other for other in range(bits) if other != bit]
        overlap = query_codes[:, others].T @ query_codes[:, bit]
        decision = gain[:, bit] - updated[:, others] @ overlap
        updated[:, bit] = torch.where(decision == 0, updated[:, bit], decision.sign())
    return updated


def _dissimilar_target(labels: Tensor) -> float:
    """Minus the number of similar over dissimilar pairs, as in the authors' soft similarity."""
    similar = (similarity(labels, labels) > 0).sum().item()
    dissimilar = len(labels) ** 2 - similar
    return -similar / max(dissimilar, 1)
