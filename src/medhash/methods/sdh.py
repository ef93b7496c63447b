"""SDH: supervised deep hashing (Liong, Lu, Wang, Moulin and Zhou, CVPR 2015).

DH (:mod:`medhash.methods.dh`) with labels: instead of the variance of codes alone it maximises
``lambda_1 / 2 (tr(H H') / n + alpha tr(Sigma_B - Sigma_W))``, where Sigma_W and Sigma_B are the
mean outer products of the differences of two codes, over the pairs that share a label and those
that do not. Not supervised *discrete* hashing (Shen et al. 2015), which has the same initials.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medhash.methods.dh import DeepHashing, DhSettings, Weight
from medhash.methods.families.fitted import Numbers
from medhash.schema.base import Count


class SdhSettings(DhSettings):
    """SDH's own hyperparameters."""

    discrimination_weight: Weight = 1.0
    """alpha."""
    batch_size: Count | None = 256
    """n, images of a step, at most, whose pairs are compared; None is all of them."""


class Method(DeepHashing[SdhSettings]):
    """SDH."""

    title: ClassVar[str] = "SDH"
    Settings: ClassVar[type[SdhSettings]] = SdhSettings

    def supervision(self, relaxed: Numbers, labels: NDArray[np.uint8]) -> tuple[float, Numbers]:
        """``-lambda_1 alpha tr(Sigma_B - Sigma_W) / 2`` and its slope.

        A sum of ``p_ij |h_i - h_j|^2`` is ``2 tr(H' L H)`` with the Laplacian L of p.
        """
        pairs = pair_weights(labels)
        laplacian = np.diag(pairs.sum(axis=1)) - pairs
        weight = self.settings.variance_weight * self.settings.discrimination_weight
        pulled = laplacian @ relaxed
        return -weight * float((relaxed * pulled).sum()), -2 * weight * pulled


def pair_weights(labels: NDArray[np.uint8]) -> Numbers:
    """p: over the number of their kind, + for dissimilar and - for similar pairs; (n, n)."""
    shared = labels.astype(np.int64) @ labels.T
    others = ~np.eye(len(labels), dtype=bool)
    similar, dissimilar = others & (shared > 0), others & (shared == 0)
    return dissimilar / max(dissimilar.sum(), 1) - similar / max(similar.sum(), 1)
