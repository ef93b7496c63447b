"""CSQ: central similarity quantisation (Yuan et al., CVPR 2020).

Each class has a hash centre; a code is pulled towards its class's centre by the binary
cross-entropy of its bits (the paper's Eq. 4) and towards -1 or +1 by a quantisation term (Eq. 6).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from scipy.linalg import hadamard
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from medhash.methods.families.hashing import Coded, HashingMethod, References, similarity
from medhash.schema.base import Count, StrictModel, later


class CsqSettings(StrictModel):
    """CSQ's own hyperparameters."""

    quantisation: Annotated[float, Field(ge=0)] = 1e-4
    """lambda of the quantisation term (DeepHash-pytorch's; 0.05 in the authors' code)."""
    pairwise: Annotated[float, Field(ge=0)] = later(0.0)
    """Weight of a pairwise term that the authors' code has (0.2 there)."""
    draws: Count = 200
    """Random sets of centres to choose from where no Hadamard matrix serves."""


class Method(HashingMethod[CsqSettings]):
    """CSQ."""

    title = "CSQ"
    Settings = CsqSettings
    centres: Tensor

    def __init__(
        self, settings: CsqSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        draws = settings.draws
        centres = hash_centres(labels.shape[1], bits, draws, generator)
        self.register_buffer("centres", centres.to(labels))

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """V are the centres; each has its own class as label."""
        return References(self.centres, torch.eye(len(self.centres)).to(self.centres))

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over bits of the cross-entropy with the centre that the target describes."""
        centre = wished_centre(references.codes, target)
        probability = ((codes + 1) / 2).clamp(0.0, 1.0)
        cost = binary_cross_entropy(probability, (centre + 1) / 2, reduction="none")
        return cost.mean(dim=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Quantisation: how far each bit is from -1 or +1."""
        weight = self.settings.quantisation
        return weight * (codes.abs() - 1).pow(2).mean(dim=1)

    def further_terms(self, coded: Coded) -> dict[str, Tensor]:
        """Quantisation and, where it has a weight, the pairwise term."""
        terms = super().further_terms(coded)
        if self.settings.pairwise:
            terms["pairwise"] = self.settings.pairwise * pairwise_cost(coded.codes, coded.labels)
        return terms


def pairwise_cost(codes: Tensor, labels: Tensor) -> Tensor:
    """What pairs of the batch's two halves cost: (B, q), (B, C) to (B,).

    The likelihood of a similar pair has the logit 10 / q times the inner product, as in HashNet,
    with equal weights. A sample costs its mean over the other half, so that the mean over samples
    is the mean over pairs. A sample alone costs nothing.
    """
    half = len(codes) // 2
    if not half:
        return codes.new_zeros(len(codes))
    logits = 10 / codes.shape[1] * codes[:half] @ codes[half:].T
    similar = (similarity(labels[:half], labels[half:]) + 1) / 2
    cost = binary_cross_entropy_with_logits(logits, similar, reduction="none")
    return torch.cat([cost.mean(dim=1), cost.mean(dim=0)])


def wished_centre(centres: Tensor, target: Tensor) -> Tensor:
    """The code in [-1, 1]^q that a sample should have: (C, q), (B, C) to (B, q).

    The centres, weighted by the positive part of the target and added. For one label it is that
    label's centre. For several labels it is the sign of their sum, as in the paper, with 0
    where they disagree evenly (the paper draws that bit). For the counterfactual targets of ACH
    Eq. 21 it lies between the other classes' centres, the nearer to 0 the less alike the
    counterfactual code and its old class still are.
    """
    weights = target.clamp(min=0.0)
    total = weights @ centres
    several = (target >= 1).sum(dim=1, keepdim=True) > 1
    return torch.where(several, total.sign(), total.clamp(-1.0, 1.0))


def hash_centres(classes: int, bits: int, draws: int, generator: torch.Generator) -> Tensor:
    """Centres in {-1, +1}, float (classes, bits): the paper's Algorithm 1.

    Rows of a Hadamard matrix and its negative where ``bits`` is a power of two and they
    suffice; else balanced random centres, of ``draws`` sets the one whose two nearest centres
    are farthest apart.
    """
    power_of_two = bits & (bits - 1) == 0
    if power_of_two and classes <= 2 * bits:
        rows = torch.from_numpy(hadamard(bits)).to(torch.float32)
        return torch.cat([rows, -rows])[:classes]
    candidates = [_random_centres(classes, bits, generator) for _ in range(draws)]
    return max(candidates, key=_least_distance)


def _random_centres(classes: int, bits: int, generator: torch.Generator) -> Tensor:
    """Centres with half of the bits +1, at random places."""
    places = torch.rand(classes, bits, generator=generator).argsort(dim=1)
    return torch.where(places < bits // 2, 1.0, -1.0)


def _least_distance(centres: Tensor) -> float:
    """Hamming distance of the two nearest centres."""
    distances = (centres.shape[1] - centres @ centres.T) / 2
    distances.fill_diagonal_(float("inf"))
    return distances.min().item()
