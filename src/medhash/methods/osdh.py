"""OSDH: order-sensitive deep hashing (Chen et al., MICCAI 2018).

Images have several labels; two of them are the more alike the more labels they share. Each image
is the query of a short list, of which a triplet loss keeps the order (the paper's Eq. 2), and a
linear classifier reads the labels off the codes (Eq. 3). Codes are ``tanh(alpha z)`` with growing
alpha (Section 2.3). Eq. 2 is the surrogate loss of DSRH (Zhao et al., CVPR 2015), whose public
code has the same constants and says how lists are drawn and what Z is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from medhash.methods.families.companions import draw
from medhash.methods.families.hashing import Coded, HashingMethod, References
from medhash.schema.base import Count, StrictModel
from medhash.schema.later import later

LIST = 3
"""Images of a list: M of Eq. 2."""

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
    normaliser: Literal["ideal-dcg", "binary-ideal-dcg", "length"] = "ideal-dcg"
    """Z of Eq. 2: the list's ideal DCG with the natural logarithm, with the binary one (the base
    cancels out in NDCG, but not here), or the number of its items."""
    lists: Literal["three", "batch"] = "three"
    """A list of three for each query, or all other images of the batch."""
    query_in_list: bool = False
    """Whether the query may be drawn as the image that shares all of its labels."""
    distance: Literal["inner_product", "squared"] = "inner_product"
    """D of Eq. 2: (q - <g, g'>) / 2 as in DSRH's code, or |g - g'|^2 / 4; equal for signs."""
    scales: Annotated[tuple[Scale, ...], Field(min_length=1)] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    """alpha, stage by stage. The paper's tenth, infinity, is the sign and passes no gradient."""
    first_bias: Literal["random", "frequencies"] = later("random")
    """Where the classifier's biases start: at torch's small numbers, or each label's log-odds."""
    stage_epochs: Count = 62
    """Epochs of a stage: 10,000 iterations of 64 queries from 10,400 images."""


class Method(HashingMethod[OsdhSettings]):
    """OSDH."""

    title = "OSDH"
    Settings = OsdhSettings
    start = "scratch"
    plugs = frozenset({"dbw"})
    companions_each = LIST
    alpha: Tensor

    def __init__(
        self, settings: OsdhSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.register_buffer("alpha", torch.tensor(settings.scales[0], dtype=torch.float32))
        self.classifier = nn.Linear(bits, labels.shape[1])
        if settings.first_bias == "frequencies":
            with torch.no_grad():
                self.classifier.bias.copy_(labels.float().mean(dim=0).logit(eps=1e-3))
        # Lists are drawn on the CPU, wherever the method is.
        self.listed_labels = labels.cpu()
        if settings.lists == "batch":
            self.companions_each = 0

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
        query itself only if no other image has them all, or if the settings let it. Where no image
        has some of them but not all, as with a single label, *some* is any image, and so is *none*
        where every image shares a label: the loss sees by their levels that they are not what is
        missing.
        """
        levels = self.listed_labels[rows] @ self.listed_labels.T
        itself = torch.zeros_like(levels, dtype=torch.bool)
        itself[torch.arange(len(rows)), rows] = True
        most = levels == self.listed_labels[rows].sum(dim=1, keepdim=True)
        others = most if self.settings.query_in_list else most & ~itself
        some, none = (levels > 0) & ~most & ~itself, levels == 0
        wished = (torch.where(others.any(dim=1, keepdim=True), others, most), some, none)
        return torch.cat([draw(mask, generator) for mask in wished], dim=1)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Eq. 2 of each query over its list: (A, q), V of B codes, levels (A, B) to (A,)."""
        places = self._places(len(codes)).to(codes.device)
        levels = target.gather(1, places)
        counts = torch.ones_like(levels, dtype=torch.bool)
        if self.companions_each:
            first, second, third = levels.unbind(dim=1)
            counts[:, 1] = (second < first) & (second > third)
        distance = self._distance(codes[:, None], references.codes[places])
        cost = ranking_loss(distance, levels, counts, self.settings.margin, self._normaliser)
        return self.settings.ranking_weight * cost

    def further_terms(self, coded: Coded) -> dict[str, Tensor]:
        """Eq. 3, of every image of the batch."""
        scores = self.classifier(coded.codes)
        cost = binary_cross_entropy_with_logits(scores, coded.labels, reduction="none")
        return {"classification": self.settings.classification_weight * cost.sum(dim=1)}

    def _places(self, queries: int) -> Tensor:
        """Where in the batch the items of each query's list stand, int64 (A, M)."""
        if self.companions_each:
            return queries + torch.arange(LIST * queries).view(queries, LIST)
        others = ~torch.eye(queries, dtype=torch.bool)
        return others.nonzero()[:, 1].view(queries, queries - 1)

    def _distance(self, codes: Tensor, others: Tensor) -> Tensor:
        """D of relaxed codes (A, 1, q), (A, M, q): (A, M); the Hamming distance of binary ones."""
        if self.settings.distance == "squared":
            return (codes - others).pow(2).sum(dim=2) / 4
        return (self.bits - (codes * others).sum(dim=2)) / 2

    def _normaliser(self, levels: Tensor, counts: Tensor) -> Tensor:
        """Z of Eq. 2: (A, M), (A, M) to (A,)."""
        if self.settings.normaliser == "length":
            return counts.sum(dim=1).to(levels)
        gains = torch.where(counts, 2**levels - 1, 0.0).sort(dim=1, descending=True).values
        rank = torch.arange(1, gains.shape[1] + 1, device=levels.device)
        binary = self.settings.normaliser == "binary-ideal-dcg"
        discount = (rank + 1).log2() if binary else (rank + 1).log()
        return (gains / discount).sum(dim=1)


def ranking_loss(
    distance: Tensor,
    levels: Tensor,
    counts: Tensor,
    margin: float,
    normaliser: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Eq. 2 for a list of each query.

    Args:
        distance: D of the query and each item, float (A, M).
        levels: r of each item, float (A, M).
        counts: which items the list has, bool (A, M).
        margin: rho.
        normaliser: Z of levels and counts, float (A,).

    Returns:
        float (A,); 0 for a list whose items are all of one level.
    """
    gains, both = 2**levels, counts[:, :, None] & counts[:, None]
    weight = torch.where(both, gains[:, :, None] - gains[:, None], 0.0).clamp(min=0.0)
    cost = weight * (distance[:, :, None] - distance[:, None] + margin).clamp(min=0.0)
    ideal = normaliser(levels, counts)
    return cost.sum(dim=(1, 2)) / torch.where(ideal > 0, ideal, 1.0)
