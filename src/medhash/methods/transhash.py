"""TransHash: transformer-based Hamming hashing (Chen et al., ICMR 2022).

A global and several local features of the vision transformer become one piece of the code each
(the paper's Section 3.1). On every piece, pairs of the batch cost their weighted Cauchy likelihood
(Eq. 4-9) and codes a Cauchy quantisation term (Eq. 10); the pieces' costs are added (Eq. 11-12).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import normalize

from medhash.methods.families.hashing import HashingMethod, References
from medhash.schema.base import StrictModel
from medhash.schema.settings import VitSettings

GROUPS = 2
LEAST_LOCAL_BITS = 4


class TransHashSettings(StrictModel):
    """TransHash's own hyperparameters. The paper prints neither gamma nor lambda."""

    scale: Annotated[float, Field(gt=0)] = 0.5
    """gamma over the bits of a piece. At 0.5, orthogonal pieces are as likely similar as not."""
    quantisation: Annotated[float, Field(ge=0)] = 0.1
    """lambda (the value that DeepHash-pytorch's DCH has for the same term)."""
    least_distance: Annotated[float, Field(gt=0)] = 1e-3
    """Added to 1 - cos, so that two equal codes of different classes cost a finite amount."""


class Method(HashingMethod[TransHashSettings]):
    """TransHash."""

    title = "TransHash"
    Settings = TransHashSettings
    backbone = "vit"

    @classmethod
    def head(cls, network: VitSettings, bits: int) -> nn.Module:
        """The dual-stream head."""
        return DualStreamHead(network, bits)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """Mean over V of each pair's cost (Eq. 9), added over the pieces of the code (Eq. 11-12).

        A target t between -1 and 1 is the probability (t + 1) / 2 of the pair being similar, and
        the pair's weight the same mixture of the weights of Eq. 5.
        """
        similar = (target + 1) / 2
        weight = pair_weights(similar)
        pieces = piece_sizes(self.bits)
        split = zip(codes.split(pieces, dim=1), references.codes.split(pieces, dim=1), strict=True)
        cost = torch.stack([self._pair_cost(own, other, similar) for own, other in split])
        return (weight * cost).sum(dim=0).mean(dim=1)

    def _pair_cost(self, codes: Tensor, others: Tensor, similar: Tensor) -> Tensor:
        """Eq. 9 without its weight, ``s log(D / gamma) + log(1 + gamma / D)``: (B, M)."""
        distance = self._distance(codes, others)
        gamma = self.settings.scale * codes.shape[1]
        return similar * (distance / gamma).log() + (gamma / distance).log1p()

    def _distance(self, codes: Tensor, others: Tensor) -> Tensor:
        """Eq. 7, the Hamming distance with a cosine in place of the bits' agreement: (B, M)."""
        cosine = normalize(codes, dim=1) @ normalize(others, dim=1).T
        apart = (1 - cosine).clamp(min=0.0) + self.settings.least_distance
        return codes.shape[1] / 2 * apart

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Lambda times the quantisation term ``log(1 + D(|b|, 1) / gamma)`` (Eq. 10-12)."""
        total = codes.new_zeros(len(codes))
        for piece in codes.split(piece_sizes(self.bits), dim=1):
            agreement = normalize(piece.abs(), dim=1).sum(dim=1) / piece.shape[1] ** 0.5
            total = total + ((1 - agreement) / (2 * self.settings.scale)).log1p()
        return self.settings.quantisation * total


class DualStreamHead(nn.Module):
    """Global and local hash layers over the backbone's features (Section 3.1, Fig. 2).

    The pooled features stand for the paper's class token: ACH Eq. 3 codes them, and it is they that
    pretraining teaches. The local stream splits the patches, row by row, into ``GROUPS``
    consecutive groups. Each goes through one transformer block together with the pooled features,
    whose state after it is the group's local feature. The block is shared by the groups, the linear
    layers are not.

    The paper splits the network before its last block, which the two streams have twice; here the
    local block stands on the last one, so that the backbone stays that of the other methods.
    """

    def __init__(self, settings: VitSettings, bits: int) -> None:
        super().__init__()
        global_bits, *local_bits = piece_sizes(bits)
        width = settings.width
        self.global_layer = nn.Linear(width, global_bits)
        self.block = Block(width, settings.heads, qkv_bias=True)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.local_layers = nn.ModuleList(nn.Linear(width, count) for count in local_bits)

    def forward(self, features: Tensor, pooled: Tensor) -> Tensor:
        """Outputs before the activation, global piece first.

        Args:
            features: patch features, float (B, n, D), any n >= 1. With fewer patches than groups,
                the last groups hold the pooled features alone.
            pooled: their normalised mean, float (B, D).

        Returns:
            float (B, q).
        """
        groups = features.tensor_split(len(self.local_layers), dim=1)
        pieces = [self.global_layer(pooled)]
        for group, layer in zip(groups, self.local_layers, strict=True):
            tokens = torch.cat([pooled[:, None], group], dim=1)
            pieces.append(layer(self.norm(self.block(tokens)[:, 0])))
        return torch.cat(pieces, dim=1)


def piece_sizes(bits: int) -> list[int]:
    """Bits of the global piece and of each local one: B/2, and B/2K for K groups (Section 3.1).

    The paper sets K = 2 and reports that training fails where a local feature has fewer than 4
    bits (Table 3), so codes of less than 16 bits have one local piece. Bits that do not divide go
    to the first pieces.
    """
    local = bits // 2
    groups = max(1, min(GROUPS, local // LEAST_LOCAL_BITS))
    sizes = [local // groups + (group < local % groups) for group in range(groups)]
    return [bits - local, *sizes]


def pair_weights(similar: Tensor) -> Tensor:
    """Weights of the pairs (Eq. 5) for probabilities of being similar: (B, M) to (B, M).

    The similarity matrix is that of the batch. Without pairs of one kind, that kind counts as one
    pair, so that no weight is infinite.
    """
    pairs = float(similar.numel())
    for_similar = pairs / similar.sum().clamp(min=1.0)
    for_dissimilar = pairs / (pairs - similar.sum()).clamp(min=1.0)
    return similar * for_similar + (1 - similar) * for_dissimilar
