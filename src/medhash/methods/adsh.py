"""ADSH: asymmetric deep supervised hashing (Jiang and Li, AAAI 2018).

The network codes the queries, u = tanh(z); the codes V of the database are learned directly, bit
by bit. The two alternate: some epochs of gradient steps on u with V fixed (the paper's Eq. 3),
then one pass over the bits of V with U fixed (Eq. 7-10).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from medhash.errors import MedhashError
from medhash.methods.families.hashing import HashingMethod, References, similarity
from medhash.schema.base import Count, StrictModel, later


class AdshSettings(StrictModel):
    """ADSH's own hyperparameters."""

    quantisation: Annotated[float, Field(ge=0)] = 200.0
    """gamma, the weight of (v_i - u_i)^2 for training images, which are in the database."""
    alternation_epochs: Count = 3
    """Epochs of gradient steps between two discrete steps (T_in of the authors' code)."""
    balanced: bool = True
    """Weigh the -1 of dissimilar pairs by the number of similar over dissimilar pairs."""
    database: Literal["train", "whole"] = later("train")
    """V are the codes of the training images, or of all images of the database."""
    first_codes: Literal["random", "zeros"] = later("random")
    """What V is before the first discrete step."""
    learned_database: bool = False
    """Retrieve from the learned V (the ADSH paper), not from the network's codes (ACH Alg. 1)."""


class Method(HashingMethod[AdshSettings]):
    """ADSH."""

    title = "ADSH"
    Settings = AdshSettings
    database_codes: Tensor
    database_labels: Tensor
    query_codes: Tensor
    places: Tensor

    def __init__(
        self, settings: AdshSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.register_buffer("query_codes", torch.zeros(len(labels), bits).to(labels))
        self._begin(labels, torch.arange(len(labels)))

    def stand_among(self, labels: Tensor, rows: Tensor) -> None:
        """Let V be the whole database, if that is asked for.

        Raises:
            MedhashError: a training image is not in the database.
        """
        if self.settings.database == "train":
            return
        if (rows < 0).any():
            raise MedhashError(
                "methods.adsh.database: whole needs a split whose training images are all in the "
                "database; set database: train"
            )
        self._begin(labels.to(self.labels), rows)

    def _begin(self, labels: Tensor, places: Tensor) -> None:
        """The first V, of images with these labels; the training images are at the places."""
        codes = torch.zeros(len(labels), self.bits)
        if self.settings.first_codes == "random":
            drawn = torch.randn(len(labels), self.bits, generator=self.generator)
            codes = torch.where(drawn < 0, -1.0, 1.0)
        self.register_buffer("database_codes", codes.to(labels))
        self.register_buffer("database_labels", labels, persistent=False)
        self.register_buffer("places", places, persistent=False)
        balanced = self.settings.balanced
        self.dissimilar_target = _dissimilar_target(self.labels, labels) if balanced else -1.0

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """V is the database as learned so far."""
        return References(self.database_codes, self.database_labels)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of (u_i . v_j - q s_ij)^2 (Eq. 3), with the balanced s."""
        wished = self.bits * self.balance(target)
        return (codes @ references.codes.T - wished).pow(2).mean(dim=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Add gamma (v_i - u_i)^2, over the codes of V as the similarity term is."""
        distance = (self.database_codes[self.places[rows]] - codes).pow(2).sum(dim=1)
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
            target = self.balance(similarity(self.labels, self.database_labels))
            self.database_codes.copy_(
                discrete_step(
                    self.database_codes,
                    self.query_codes,
                    target,
                    self.settings.quantisation,
                    self.places,
                )
            )

    def learned_codes(self) -> Tensor | None:
        """V of the training samples, if it is asked for."""
        return self.database_codes[self.places] if self.settings.learned_database else None


def discrete_step(
    database_codes: Tensor, query_codes: Tensor, target: Tensor, quantisation: float, places: Tensor
) -> Tensor:
    """One pass over the bits of V, each set to its optimum with the others fixed (Eq. 8-10).

    Minimises ``||U V' - q S||^2 + gamma sum_i |v_i - u_i|^2`` over V in {-1, +1}, bit by bit; the
    sum is over the training images.

    Args:
        database_codes: V, float (m, q) in {-1, +1}, or 0 before the first step.
        query_codes: U, float (n, q).
        target: S, float (n, m), rows are queries.
        quantisation: gamma.
        places: int64 (n,), where in V the training images are.

    Returns:
        The new V, float (m, q). A bit whose two values cost the same keeps its value.
    """
    updated = database_codes.clone()
    bits = updated.shape[1]
    own = torch.zeros_like(updated)
    own[places] = query_codes
    # -Q/2 of the paper's Eq. 8.
    gain = bits * target.T @ query_codes + quantisation * own
    for bit in range(bits):
        others = [other for other in range(bits) if other != bit]
        overlap = query_codes[:, others].T @ query_codes[:, bit]
        decision = gain[:, bit] - updated[:, others] @ overlap
        updated[:, bit] = torch.where(decision == 0, updated[:, bit], decision.sign())
    return updated


def _dissimilar_target(labels: Tensor, database_labels: Tensor) -> float:
    """Minus the number of similar over dissimilar pairs, as in the authors' soft similarity."""
    similar = (similarity(labels, database_labels) > 0).sum().item()
    dissimilar = len(labels) * len(database_labels) - similar
    return -similar / max(dissimilar, 1)
