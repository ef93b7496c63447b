"""DDMH: deep disentangled momentum hashing (Yang et al., MICCAI 2020).

The Hamming distance of two codes of K bits is K (1 - cos) / 2, so that a margin between cosines is
one between Hamming distances, whatever the length of the vectors that become codes: the triplet
loss looks at directions alone, and the length is left to the quantisation. The batch is too small
for many triplets, so that positives and negatives come from a queue of latest codes, which a
slowly following copy of the network gives (the momentum encoder of He et al., CVPR 2020). Of its
paper only abstract and introduction could be read: docs/fidelity.md, C11.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Distance, Start
from medhash.models.metric_losses import missed_margins
from medhash.schema.base import Count, Fraction, StrictModel

Weight = Annotated[float, Field(ge=0)]


class DdmhSettings(StrictModel):
    """DDMH's own hyperparameters; the values are ours, and those of He et al. for the momentum."""

    margin: Fraction = Field(0.5, description="of cosines: half of it, times K, in bits")
    momentum: Fraction = Field(0.999, description="share of its weights that the slow copy keeps")
    queue: Count = Field(512, description="latest codes that triplets are made with")
    quantisation: Weight = 0.1
    """The weight of the regulariser."""


class DdmhOutputs(NamedTuple):
    """Numbers whose signs are the code (B, K), and in training those of the slow copy."""

    numbers: Tensor
    keys: Tensor | None


class Method(DescriptorMethod[DdmhSettings]):
    """DDMH."""

    title: ClassVar[str] = "DDMH"
    Settings: ClassVar[type[DdmhSettings]] = DdmhSettings
    distance: ClassVar[Distance] = "hamming"
    start: ClassVar[Start] = "scratch"
    queue: Tensor
    queue_labels: Tensor

    def stand_on(self, classes: int) -> None:
        """The hash layer, the slow copy, and an empty queue."""
        width = self.network.pooled_width(self.network.settings)
        self.hashing = nn.Linear(width, self.length)
        self.slow = deepcopy(nn.ModuleList([self.network, self.hashing])).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(self.settings.queue, self.length))
        self.register_buffer("queue_labels", torch.zeros(self.settings.queue, classes))

    def look(self, pixels: Tensor) -> DdmhOutputs:
        """Normalised images (B, 3, S, S) through the network, and in training the slow copy."""
        keys = None
        if self.training:
            self._follow()
            network, hashing = self.slow
            with torch.no_grad():
                keys = _coded(network, hashing, pixels).float().tanh()
        return DdmhOutputs(_coded(self.network, self.hashing, pixels).float(), keys)

    def losses(
        self, outputs: DdmhOutputs, labels: Tensor, masks: Tensor | None
    ) -> dict[str, Tensor]:
        """Triplets with the queue, which the batch has joined, and quantisation."""
        codes = outputs.numbers.tanh()
        if outputs.keys is not None:
            self._remember(outputs.keys, labels)
        known = self.queue_labels.any(dim=1)
        shared = labels @ self.queue_labels.T >= 1
        # The batch stands first: no sample is a positive of itself.
        itself = torch.eye(*shared.shape, dtype=torch.bool, device=shared.device)
        cosines = normalize(codes, dim=1) @ normalize(self.queue, dim=1).T
        negatives = ~shared & known
        cost = missed_margins(-cosines, shared & ~itself, negatives, self.settings.margin)
        drawn = (codes.abs() - 1).square().mean(dim=1)
        return {"triplet": cost, "quantisation": self.settings.quantisation * drawn}

    def aggregate(self, outputs: DdmhOutputs) -> Tensor:
        """The numbers (B, K)."""
        return outputs.numbers

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the slow copy towards the network; the first time, to where it is."""
        kept = self.settings.momentum if self.queue_labels.any() else 0.0
        own = (*self.network.parameters(), *self.hashing.parameters())
        for slow, fast in zip(self.slow.parameters(), own, strict=True):
            slow.lerp_(fast, 1 - kept)

    def _remember(self, keys: Tensor, labels: Tensor) -> None:
        """Put a batch's keys before the others; the oldest fall out."""
        size = self.settings.queue
        self.queue = torch.cat([keys.to(self.queue), self.queue])[:size]
        self.queue_labels = torch.cat([labels.to(self.queue), self.queue_labels])[:size]


def _coded(network: Any, hashing: nn.Module, pixels: Tensor) -> Tensor:
    """Pixels (B, 3, S, S) to the hash layer's outputs (B, K)."""
    outputs: Tensor = hashing(network.pool(network.encode(network.embed(pixels))))
    return outputs
