"""DRH: deep residual hashing (Conjeti, Roy, Katouzian and Navab, MICCAI 2017).

A residual network whose codes keep neighbours of a class together: the probability that a sample
picks another of its class as its neighbour, under the softmax of negative squared distances
(neighbourhood component analysis), is to be 1. Outputs are drawn to -1 and +1 by log cosh(|h| - 1).
The paper's terms for balanced and independent bits could not be read with their weights and are
left out.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from medhash.methods.dsh import squared_distances
from medhash.methods.families.hashing import HashingMethod, References
from medhash.models.metric_losses import the_same
from medhash.schema.base import StrictModel


class DrhSettings(StrictModel):
    """DRH's own hyperparameters; the values are ours."""

    quantisation: Annotated[float, Field(ge=0)] = 0.1
    """The weight of the regulariser."""


class Method(HashingMethod[DrhSettings]):
    """DRH. Neighbours are samples with labels: counterfactual targets have none."""

    title = "DRH"
    Settings = DrhSettings
    plugs = frozenset({"dbw"})

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """The probability of a neighbour of another class among the batch, which V is.

        0 for a sample that has none of its own class there.
        """
        itself = the_same(codes, references.codes)
        logits = -squared_distances(codes, references.codes)
        least = torch.finfo(logits.dtype).min
        neighbour = logits.masked_fill(itself, least).softmax(dim=1)
        similar = (target > 0) & ~itself
        missed = 1 - (neighbour * similar).sum(dim=1)
        return torch.where(similar.any(dim=1), missed, 0.0)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """The mean over bits of log cosh(|h| - 1), weighted."""
        return self.settings.quantisation * (codes.abs() - 1).cosh().log().mean(dim=1)
