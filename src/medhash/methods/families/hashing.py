"""The hashing family: a network, relaxed codes, a loss of one value a sample.

A method says how the hash layer's output becomes a relaxed code, against which reference codes
V a sample is compared, what a comparison costs, and what happens between epochs. It returns one
value a sample; how the values become a scalar is somebody else's business, and so are
counterfactual samples: both come from outside and work with every method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from medhash.methods.families.method import Distance, Family, MethodDeclaration
from medhash.models.heads import HashHead
from medhash.schema.base import StrictModel

OwnSettings = TypeVar("OwnSettings", bound=StrictModel)


@dataclass(frozen=True)
class References:
    """The codes V that a sample is compared with (ACH Eq. 4).

    Attributes:
        codes: float (M, q), in [-1, 1].
        labels: float (M, C), 0/1.
    """

    codes: Tensor
    labels: Tensor

    def detached(self) -> References:
        """The same references, as constants."""
        return References(self.codes.detach(), self.labels)


@dataclass(frozen=True)
class Coded:
    """A batch after the network.

    Attributes:
        codes: float (B, q), relaxed.
        pooled: float (B, D), what the hash head coded.
        labels: float (B, C), 0/1.
        rows: int64 (B,), places in the training set. A companion may repeat a row.
        anchors: A; the first A samples are the batch's own, the others their companions.
    """

    codes: Tensor
    pooled: Tensor
    labels: Tensor
    rows: Tensor
    anchors: int


def similarity(labels: Tensor, other_labels: Tensor) -> Tensor:
    """+1 where two samples share a label, else -1 (ACH Eq. 13): (B, C), (M, C) to (B, M)."""
    shared = labels @ other_labels.T
    return torch.where(shared >= 1, 1.0, -1.0).to(labels.dtype)


class HashingMethod(MethodDeclaration, nn.Module, Generic[OwnSettings]):
    """Base of all hashing methods. State that training must keep across epochs goes into buffers.

    A method compares each sample with codes V. One with companions (``companions_each`` a sample)
    gets them behind the A anchors of a batch, and costs the anchors only.

    Args:
        settings: the method's own hyperparameters, an instance of ``Settings``.
        bits: q.
        labels: float (n, C), 0/1, of all training samples.
        generator: for every random choice of the method.
    """

    family: ClassVar[Family] = "hashing"
    distance: ClassVar[Distance] = "hamming"
    plugs: ClassVar[frozenset[str]] = frozenset({"dbw", "lcr", "lfr"})
    companions_each: int = 0
    labels: Tensor

    def __init__(
        self, settings: OwnSettings, bits: int, labels: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.settings = settings
        self.bits = bits
        self.generator = generator
        self.register_buffer("labels", labels, persistent=False)

    @classmethod
    def head(cls, network: Any, bits: int) -> nn.Module:
        """The layers between features and outputs; see :class:`HashHead` for their form."""
        return HashHead(network, bits)

    def stand_on(self, width: int) -> None:
        """Build what the method itself puts on the pooled features, of ``width`` numbers.

        Called once, before weights are loaded; by default a method puts nothing there.
        """

    def stand_among(self, labels: Tensor, rows: Tensor) -> None:
        """Take the labels of the database, float (m, C), of which most methods make no use.

        Called once, before training and before a checkpoint is loaded.

        Args:
            labels: 0/1.
            rows: int64 (n,), where in the database each training sample is; -1 if it is not there.
        """

    def relax(self, outputs: Tensor) -> Tensor:
        """The hash layer's output (B, q) to relaxed codes in [-1, 1] (ACH Eq. 3)."""
        return outputs.tanh()

    def companions(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Further training samples for lists and triplets; asked if ``companions_each`` is not 0.

        Args:
            rows: int64 (A,), on the CPU, the batch's places in the training set.
            generator: the epoch's, on the CPU.

        Returns:
            int64 (A, c), on the CPU, with c = ``companions_each``. They stand behind the A
            anchors in the batch, those of one anchor together.
        """
        raise NotImplementedError

    def target(self, labels: Tensor, references: References) -> Tensor:
        """What each sample's similarity to V should be: labels (B, C) to (B, M), +1 or -1."""
        return similarity(labels, references.labels)

    def references(self, codes: Tensor, labels: Tensor) -> References:
        """V for this batch: by default the batch's own relaxed codes (B, q) and labels (B, C)."""
        return References(codes, labels)

    def similarity_loss(self, codes: Tensor, references: References, target: Tensor) -> Tensor:
        """What it costs each code that its similarities to V are not the target.

        Args:
            codes: float (B, q), relaxed codes.
            references: V, of M codes.
            target: float (B, M) in [-1, 1]; the wished normalised inner product with each code
                of V. What :meth:`target` says for real images (Eq. 13), anything between -1 and
                1 for counterfactual ones (Eq. 21).

        Returns:
            float (B,).
        """
        raise NotImplementedError

    def regularisation(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Further cost of each code, such as quantisation; (B, q), int64 (B,) to (B,).

        ``rows`` are the samples' places in the training set.
        """
        return codes.new_zeros(len(codes))

    def further_terms(self, coded: Coded) -> dict[str, Tensor]:
        """Named costs beside the similarity, one value a sample: (B,), or (A,) for anchors only.

        A method with heads of its own, or a loss on features, adds its terms here.
        """
        return {"regularisation": self.regularisation(coded.codes, coded.rows)}

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch (from 0): continuation schedules."""

    def before_batch(self, codes: Tensor, rows: Tensor) -> None:
        """Called before V is asked for, with the anchors' relaxed codes, detached."""

    def after_batch(self, codes: Tensor, rows: Tensor) -> None:
        """Called after each step with the anchors' relaxed codes, detached."""

    def after_epoch(self, epoch: int) -> None:
        """Called after each epoch: the discrete step of alternating methods."""

    def learned_codes(self) -> Tensor | None:
        """Codes in {-1, +1}, (n, q), of the training samples, if the method learns them."""
        return None
