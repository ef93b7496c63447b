"""Debiased weighting (ACH Section IV-B, Eq. 9-12): a reduction of any method's loss.

A sample that lies far from the other codes of its class shows a rare confounder, and counts for
more.
"""

from __future__ import annotations

from torch import Tensor

from medhash.causal.class_codes import ClassCodes, class_softmax, intraclass_distances
from medhash.schema.settings import DbwSettings


def mean_reduction(per_sample: Tensor) -> Tensor:
    """The reduction without DBW: every sample counts the same. (B,) to a scalar."""
    return per_sample.mean()


class DebiasedWeighting:
    """Weigh each sample's loss by the softmax of its intra-class distance."""

    def __init__(self, settings: DbwSettings, class_codes: ClassCodes) -> None:
        self.settings = settings
        self.class_codes = class_codes

    def reduce(self, per_sample: Tensor, codes: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """The weighted loss of a batch (Eq. 12), divided by the number of classes.

        Args:
            per_sample: float (B,), any method's loss.
            codes: float (B, q), the batch's relaxed codes.
            labels: float (B, C), 0/1.
            rows: int64 (B,), places in the training set; their codes were just remembered.

        Returns:
            A scalar. Its expectation over batches is Eq. 12 divided by the number of classes, so
            that equal weights in classes of equal size give the plain mean.
        """
        if self.settings.population == "batch":
            weights = batch_weights(codes.detach(), labels)
        else:
            weights = self._train_weights(rows)
        return (weights * per_sample).sum()

    def _train_weights(self, rows: Tensor) -> Tensor:
        """Eq. 10-11 over the training set; the batch stands for all that was seen."""
        memory = self.class_codes
        members = memory.members()
        softmax = class_softmax(memory.distances(memory.codes), members)
        classes = (members.sum(dim=0) > 0).sum()
        batch_share = len(rows) / memory.seen.sum()
        return softmax[rows].sum(dim=1) / (classes * batch_share)


def batch_weights(codes: Tensor, labels: Tensor) -> Tensor:
    """Eq. 10-11 with the batch as the whole population: (B, q), (B, C) to (B,).

    The weights of each class that is present add up to 1 over the number of such classes.
    """
    softmax = class_softmax(intraclass_distances(codes, codes, labels), labels)
    return softmax.sum(dim=1) / (labels.sum(dim=0) > 0).sum()
