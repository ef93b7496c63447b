"""DSH: deep supervised hashing (Liu et al., CVPR 2016).

A contrastive loss on pairs of the batch: similar codes are pulled together, dissimilar ones pushed
apart until their squared distance is the margin m = 2q, which for binary codes is half of the
bits (the paper's Eq. 1 and 4). An L1 term pulls each output towards -1 or +1. Both terms carry
the weights of Eq. 4, the mean over all pairs; a pair's regulariser holds both of its codes, so a
code's own share is twice alpha.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import StrictModel


class DshSettings(StrictModel):
    """DSH's own hyperparameters."""

    quantisation: Annotated[float, Field(ge=0)] = 0.01
    """alpha, the weight of the regulariser (the value of the paper and the authors' code)."""
    activation: Literal["tanh", "linear"] = "tanh"
    """ACH Eq. 3 bounds codes by tanh; the DSH paper leaves outputs free, for the regulariser."""
    soft_targets: Literal["distance", "inner-product", "mixture"] = "distance"
    """How a target between -1 and 1 is met; see :meth:`Method.similarity_loss`."""

    @model_validator(mode="after")
    def _is_the_published_loss(self) -> Self:
        if self.soft_targets == "inner-product" and self.activation == "linear":
            raise ValueError(
                "soft_targets: inner-product is the published loss for codes in [-1, 1] alone; "
                "set activation: tanh"
            )
        return self


class Method(HashingMethod[DshSettings]):
    """DSH."""

    title = "DSH"
    Settings = DshSettings

    def relax(self, outputs: Tensor) -> Tensor:
        """tanh, or the outputs themselves, which then can leave [-1, 1]."""
        return outputs if self.settings.activation == "linear" else outputs.tanh()

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of the contrastive loss of each pair (Eq. 4 without its regulariser).

        For a target of 1 a pair costs D/2, for -1 it costs max(2q - D, 0)/2, with the squared
        distance D. Between them there are three readings, equal at both ends:

        * ``distance``: codes with normalised inner product t are 2q(1 - t) apart, at most the
          margin counts. A smaller D is pushed up as for dissimilar pairs, a greater one pulled
          down as for similar pairs, the latter in proportion to the positive part of t. A target
          of 0 thus wants D to reach the margin: orthogonal codes, if they are saturated.
        * ``inner-product``: the same, with the distance |b|^2 + |v|^2 - 2qt that codes of their
          lengths have at the inner product qt, at least 0. A target of 0 wants orthogonal codes.
        * ``mixture``: the label of the pair, (1 - t)/2, goes into Eq. 4 as a fraction. A target
          of 0 then costs the same for every D below the margin and moves nothing there.
        """
        margin = 2.0 * self.bits
        distance = squared_distances(codes, references.codes)
        if self.settings.soft_targets == "mixture":
            dissimilar = (1 - target) / 2
            push = dissimilar * (margin - distance).clamp(min=0.0)
            pull = (1 - dissimilar) * distance
        else:
            wished = self._wished_distance(codes, references.codes, target)
            push = (wished - distance).clamp(min=0.0)
            pull = target.clamp(min=0.0) * (distance - wished).clamp(min=0.0)
        return (push + pull).mean(dim=1) / 2

    def _wished_distance(self, codes: Tensor, others: Tensor, target: Tensor) -> Tensor:
        """The squared distance of codes whose similarity is the target, within the margin."""
        margin = 2.0 * self.bits
        if self.settings.soft_targets == "distance":
            return (margin * (1 - target)).clamp(max=margin)
        lengths = codes.pow(2).sum(dim=1)[:, None] + others.pow(2).sum(dim=1)
        return (lengths - margin * target).clamp(0.0, margin)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """2 alpha times the L1 distance of ``|b|`` to the vector of ones (Eq. 4)."""
        return 2 * self.settings.quantisation * (codes.abs() - 1).abs().sum(dim=1)


def squared_distances(codes: Tensor, others: Tensor) -> Tensor:
    """Squared Euclidean distances: (B, q), (M, q) to (B, M).

    From differences: the binomial formula would lose the small distances of near duplicates.
    """
    return (codes[:, None] - others[None]).pow(2).sum(dim=2)
