"""MTH: multi-scale triplet hashing (Chen, Tang, Huang, Xiong; Comput. Biol. Med. 155, 2023).

Each training image is the anchor of a triplet. The triplet's order is asked of the relaxed codes
and of the deep features, the activations of the network's fully connected layer (the hierarchical
similarity term); a projection of the codes and a class layer on the features each read the class
(the semantic and the category-level term). The equations of the text that we have are lost; they
are restored from its words (Section 3.3), and every reading is a setting.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from medhash.methods.families.companions import draw
from medhash.methods.families.hashing import Coded, HashingMethod, References
from medhash.schema.base import StrictModel

POSITIVE_AND_NEGATIVE = 2

Weight = Annotated[float, Field(ge=0)]


class MthSettings(StrictModel):
    """MTH's own hyperparameters."""

    code_margin: Weight | None = None
    """eta, of relaxed codes; null: the root of q, which asks for a gap of a quarter of the bits."""
    feature_margin: Weight = 1.0
    """delta, of deep features."""
    code_weight: Weight = 1.0
    """Of the codes' half of the hierarchical similarity term."""
    feature_weight: Weight = 1.0
    """Of the features' half; 0: codes only."""
    semantic_weight: Weight = 1.0
    """alpha."""
    category_weight: Weight = 1.0
    """beta."""
    distance: Literal["norm", "squared-norm"] = "norm"
    triplets: Literal["drawn", "batch"] = "drawn"
    """A positive and a negative drawn for each anchor, or all triplets of a batch."""


class Method(HashingMethod[MthSettings]):
    """MTH."""

    title = "MTH"
    Settings = MthSettings
    backbone = "multi_scale"
    start = "scratch"
    plugs = frozenset()
    companions_each = POSITIVE_AND_NEGATIVE

    def __init__(
        self, settings: MthSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(settings, bits, labels, generator)
        self.code_margin = math.sqrt(bits) if settings.code_margin is None else settings.code_margin
        self.projection = nn.Linear(bits, labels.shape[1])
        # Triplets are drawn on the CPU, wherever the method is.
        self.drawn_labels = labels.cpu()
        if settings.triplets == "batch":
            self.companions_each = 0

    def stand_on(self, width: int) -> None:
        """The class layer, on the deep features."""
        self.category = nn.Linear(width, self.labels.shape[1])

    def companions(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """A positive and a negative of each anchor, int64 (A, 2), each of those alike in chance.

        A positive shares a label and is another image, if there is one; a negative shares none.
        """
        shared = self.drawn_labels[rows] @ self.drawn_labels.T > 0
        others = shared.clone()
        others[torch.arange(len(rows)), rows] = False
        positive = torch.where(others.any(dim=1, keepdim=True), others, shared)
        return torch.cat([draw(mask, generator) for mask in (positive, ~shared)], dim=1)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """The codes' half of L_h: (A, q), V of B codes, (A, B) to (A,)."""
        cost = self._triplet_cost(codes, references.codes, target, self.code_margin)
        return self.settings.code_weight * cost

    def further_terms(self, coded: Coded) -> dict[str, Tensor]:
        """The features' half of L_h (A,); L_s and L_c of an anchor's whole triplet (A,)."""
        settings, features = self.settings, coded.pooled
        anchored = features[: coded.anchors]
        target = self.target(coded.labels[: coded.anchors], References(features, coded.labels))
        cost = self._triplet_cost(anchored, features, target, settings.feature_margin)
        classes = coded.labels / coded.labels.sum(dim=1, keepdim=True).clamp(min=1)
        semantic = cross_entropy(self.projection(coded.codes), classes, reduction="none")
        category = cross_entropy(self.category(features), classes, reduction="none")
        return {
            "features": settings.feature_weight * cost,
            "semantic": settings.semantic_weight * self._of_triplets(semantic, coded.anchors),
            "category": settings.category_weight * self._of_triplets(category, coded.anchors),
        }

    def _triplet_cost(self, own: Tensor, others: Tensor, target: Tensor, margin: float) -> Tensor:
        """max(0, |a - p| - |a - n| + margin), of a drawn triplet or the mean over a batch's.

        Args:
            own: of the anchors, float (A, D).
            others: of the batch, which begins with the anchors, float (B, D).
            target: +1 or -1, float (A, B).
            margin: what the negative is to be farther away than the positive.

        Returns:
            float (A,); 0 for an anchor without a triplet in the batch.
        """
        anchors = len(own)
        if self.companions_each:
            positive, negative = others[anchors:].unflatten(0, (anchors, -1)).unbind(dim=1)
            return (self._apart(own, positive) - self._apart(own, negative) + margin).clamp(min=0)
        distance = self._apart(own[:, None], others[None])
        itself = torch.eye(anchors, len(others), dtype=torch.bool, device=own.device)
        positive, negative = (target > 0) & ~itself, target < 0
        counts = positive[:, :, None] & negative[:, None]
        cost = (distance[:, :, None] - distance[:, None] + margin).clamp(min=0)
        return (cost * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1)

    def _apart(self, first: Tensor, second: Tensor) -> Tensor:
        """The L2 norm of a difference, or its square: (..., D) to (...)."""
        squared = (first - second).pow(2).sum(dim=-1)
        if self.settings.distance == "squared-norm":
            return squared
        # The root has no derivative at 0, where two images are equal.
        return squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()

    def _of_triplets(self, costs: Tensor, anchors: int) -> Tensor:
        """Each image's cost (B,) to the sum over each triplet (A,); of a batch, each its own."""
        if not self.companions_each:
            return costs
        return costs[:anchors] + costs[anchors:].unflatten(0, (anchors, -1)).sum(dim=1)
