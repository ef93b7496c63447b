"""OSDH: order-sensitive deep hashing (Chen et al., MICCAI 2018).

Images have several labels; two of them are the more alike the more labels they share. Each image
is the query of a short list, of which a triplet loss keeps the order (the paper's Eq. 2), and a
linear classifier reads the labels off the codes (Eq. 3). Codes are ``tanh(alpha z)`` with growing
alpha (Section 2.3). Eq. 2 is the surrogate loss of DSRH (Zhao et al., CVPR 2015), whose public
code has the same constants and says how lists are drawn and what Z is.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from medhash.methods.families.companions import draw
from medhash.methods.families.hashing import Coded, HashingMethod, References
from medhash.schema.base import Count, StrictModel

Weight = Annotated[float, Field(ge=0)]
Scale = Annotated[float, Field(gt=0)]


class OsdhSettings(StrictModel):
    """OSDH's own hyperparameters."""

    ranking_weight: Weight = 0.1
    """lambda_R of Eq. 4; 0 leaves the classifier alone (OSDH-R)."""
    classification_weight: Weight = 1.0
    """lambda_C of Eq. 4; 0 leaves the ranking alone (OSDH-C)."""
    margin: Weight = 5.0
    """rho of Eq. 2, in bits."""
    logarithm: Literal["natural", "binary"] = "natural"
    """Of the ideal DCG that Z is: the base cancels out in NDCG, but not in Eq. 2."""
    distance: Literal["inner_product", "squared"] = "inner_product"
    """D of Eq. 2: (q - <g, g'>) / 2 as in DSRH's code, or |g - g'|^2 / 4; equal for signs."""
    scales: Annotated[tuple[Scale, ...], Field(min_length=1)] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    """alpha, stage by stage. The paper's tenth, infinity, is the sign and passes no gradient."""
    stage_epochs: Count = 62
    """Epochs of a stage: 10,000 iterations of 64 queries from 10,400 images."""


class Method(HashingMethod[OsdhSettings]):
    """OSDH."""

    title = "OSDH"
    Settings = OsdhSettings
    start = "scratch"
    plugs = frozenset({"dbw"})
    companions_each = 3
    alpha: Tensor

    def __init__(
        self, settings: OsdhSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.register_buffer("alpha", torch.tensor(settings.scales[0], dtype=torch.float32))
        self.classifier = nn.Linear(bits, labels.shape[1])
        # Lists are drawn on the CPU, wherever the method is.
        self.listed_labels = labels.cpu()

    def start_epoch(self, epoch: int) -> None:
        """Sharpen the activation (Section 2.3)."""
        scales = self.settings.scales
        self.alpha.fill_(scales[min(epoch // self.settings.stage_epochs, len(scales) - 1)])

    def relax(self, outputs: Tensor) -> Tensor:
        """tanh(alpha z)."""
        return (self.alpha * outputs).tanh()

    def target(self, labels: Tensor, references: References) -> Tensor:
        """Similarity levels r, the number of labels that two images share: (B, C) to (B, M)."""
        return labels @ references.labels.T

    def companions(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """A list for each query: an image that shares most labels, some, and none; int64 (A, 3).

        Each is drawn from the whole training set. *Most* is every label of the query, and the
        query itself only if no other image has them all. Where no image has some of them but not
        all, as with a single label, *some* is any image, and so is *none* where every image shares
        a label: the loss sees by their levels that they are not what is missing.
        """
        levels = self.listed_labels[rows] @ self.listed_labels.T
        itself = torch.zeros_like(levels, dtype=torch.bool)
        itself[torch.arange(len(rows)), rows] = True
        most = levels == self.listed_labels[rows].sum(dim=1, keepdim=True)
        others = most & ~itself
        some, none = (levels > 0) & ~most & ~itself, levels == 0
        wished = (torch.where(others.any(dim=1, keepdim=True), others, most), some, none)
        return torch.cat([draw(mask, generator) for mask in wished], dim=1)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Eq. 2 of each query over its own list: (A, q), V of A + 3A codes, (A, 4A) to (A,)."""
        queries = len(codes)
        places = queries + torch.arange(3 * queries, device=codes.device).view(queries, 3)
        distance = self._distance(codes[:, None], references.codes[places])
        cost = ranking_loss(
            distance, target.gather(1, places), self.settings.margin, self.settings.logarithm
        )
        return self.settings.ranking_weight * cost

    def further_terms(self, coded: Coded) -> dict[str, Tensor]:
        """Eq. 3, of every image of the batch."""
        scores = self.classifier(coded.codes)
        cost = binary_cross_entropy_with_logits(scores, coded.labels, reduction="none")
        return {"classification": self.settings.classification_weight * cost.sum(dim=1)}

    def _distance(self, codes: Tensor, others: Tensor) -> Tensor:
        """D of relaxed codes (A, 1, q), (A, 3, q): (A, 3); the Hamming distance of binary ones."""
        if self.settings.distance == "squared":
            return (codes - others).pow(2).sum(dim=2) / 4
        return (self.bits - (codes * others).sum(dim=2)) / 2


def ranking_loss(
    distance: Tensor, levels: Tensor, margin: float, logarithm: Literal["natural", "binary"]
) -> Tensor:
    """Eq. 2 for lists of three, most similar first.

    Args:
        distance: D of the query and each item, float (A, 3).
        levels: r of each item, float (A, 3). The second counts if its level lies between those of
            the first and the last.
        margin: rho.
        logarithm: of Z, the ideal DCG of the items that count.

    Returns:
        float (A,); 0 for a list whose items are all of one level.
    """
    first, second, last = levels.unbind(dim=1)
    ones = torch.ones_like(first, dtype=torch.bool)
    counts = torch.stack([ones, (second < first) & (second > last), ones], dim=1)
    gains = torch.where(counts, 2**levels, 0.0)
    # Those that count stand in decreasing order of r already.
    rank = counts.cumsum(dim=1).to(levels)
    discount = (rank + 1).log() if logarithm == "natural" else (rank + 1).log2()
    ideal = torch.where(counts, (2**levels - 1) / discount, 0.0).sum(dim=1)
    total = torch.zeros_like(first)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        weight = torch.where(counts[:, i] & counts[:, j], gains[:, i] - gains[:, j], 0.0)
        total = total + weight * (distance[:, i] - distance[:, j] + margin).clamp(min=0.0)
    return total / torch.where(ideal > 0, ideal, 1.0)
