"""DTSH: deep supervised hashing with triplet labels (Wang, Shi and Kitani, ACCV 2016).

The Y-Net paper prints it as DSH. With Theta_ij the inner product of outputs, a triplet of a query
q, a similar p and a dissimilar n costs -log sigmoid(Theta_qp - Theta_qn - alpha) (the paper's Eq.
4), plus how far each output is from its sign (Eq. 5). Triplets are all of the batch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from medhash.methods.families.hashing import HashingMethod, References
from medhash.models.metric_losses import the_same
from medhash.schema.base import StrictModel

Weight = Annotated[float, Field(ge=0)]


class DtshSettings(StrictModel):
    """DTSH's own hyperparameters."""

    margin: Weight = 5.0
    """alpha (DeepHash-pytorch's)."""
    quantisation: Weight = 1.0
    """lambda, the weight of the regulariser (DeepHash-pytorch's)."""
    product: Literal["whole", "half"] = "whole"
    """Theta is the inner product, as in DeepHash-pytorch, or half of it, as in the paper."""
    activation: Literal["linear", "tanh"] = "linear"
    """The paper leaves outputs free, for the regulariser; tanh keeps them in [-1, 1]."""


class Method(HashingMethod[DtshSettings]):
    """DTSH. Its triplets are of samples with labels: counterfactual targets have none."""

    title = "DTSH"
    Settings = DtshSettings
    plugs = frozenset({"dbw"})

    def relax(self, outputs: Tensor) -> Tensor:
        """The outputs themselves, or tanh."""
        return outputs if self.settings.activation == "linear" else outputs.tanh()

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over a sample's triplets in the batch, which V is; 0 for a sample without any."""
        itself = the_same(codes, references.codes)
        theta = codes @ references.codes.T
        if self.settings.product == "half":
            theta = theta / 2
        similar, dissimilar = (target > 0) & ~itself, target < 0
        triplets = (similar[:, :, None] & dissimilar[:, None, :]).to(theta)
        cost = softplus(theta[:, None, :] - theta[:, :, None] + self.settings.margin)
        return (cost * triplets).sum(dim=(1, 2)) / triplets.sum(dim=(1, 2)).clamp(min=1)

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Lambda times the mean squared distance of an output's numbers to their signs."""
        return self.settings.quantisation * (codes - codes.sign()).square().mean(dim=1)
