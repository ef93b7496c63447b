"""Losses on vectors and the classes of a batch: one value a sample.

Shapes: B samples of L numbers, C classes; ``alike`` is what :func:`alike` gives of labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus


def alike(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which other samples share a label with each, and which do not.

    Args:
        labels: float (B, C), 0/1.

    Returns:
        positives and negatives, bool (B, B); no sample is a positive of itself.
    """
    shared = labels @ labels.T >= 1
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return shared & ~itself, ~shared & ~itself


def the_same(vectors: Tensor, others: Tensor) -> Tensor:
    """Which of the others each sample is: the diagonal where both are one batch, else none.

    (B, L), (M, L) to bool (B, M).
    """
    one_batch = len(vectors) == len(others)
    size = len(vectors), len(others)
    return torch.eye(*size, dtype=torch.bool, device=vectors.device) & one_batch


def circle_loss(
    vectors: Tensor,
    labels: Tensor,
    *,
    scale: float,
    margin: float,
    pairs: str = "anchor",
    detach: bool = True,
) -> Tensor:
    """Circle loss on cosines (Sun et al., CVPR 2020, Eq. 6).

    Args:
        vectors: float (B, L).
        labels: float (B, C), 0/1.
        scale: gamma.
        margin: m.
        pairs: ``anchor``: the pairs of each sample by themselves; ``batch``: all pairs of the
            batch, once each, together, which every sample then has as its value.
        detach: whether the weights alpha are constants, as in the paper.

    Returns:
        float (B,); 0 for a sample (of a batch) without a positive or without a negative pair.
    """
    directions = normalize(vectors, dim=1)
    cosines = directions @ directions.T
    positives, negatives = alike(labels)
    if pairs == "batch":
        above = torch.ones_like(positives).triu(diagonal=1)
        cosines = cosines.flatten()[None]
        positives, negatives = ((each & above).flatten()[None] for each in (positives, negatives))
    weighing = cosines.detach() if detach else cosines
    alpha_p, alpha_n = (1 + margin - weighing).relu(), (weighing + margin).relu()
    logits_p = -scale * alpha_p * (cosines - (1 - margin))
    logits_n = scale * alpha_n * (cosines - margin)
    exponents = _log_sum(logits_n, negatives) + _log_sum(logits_p, positives)
    return softplus(exponents).expand(len(vectors))


def triplet_loss(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The mean over all triplets of a sample in the batch of how far the margin is missed.

    Args:
        distances: float (B, B), of each sample to each.
        labels: float (B, C), 0/1.
        margin: by which every negative is to be farther than every positive.

    Returns:
        float (B,); 0 for a sample without a positive or without a negative.
    """
    return missed_margins(distances, *alike(labels), margin)


def missed_margins(
    distances: Tensor, positives: Tensor, negatives: Tensor, margin: float
) -> Tensor:
    """:func:`triplet_loss` with other samples than the batch's, M of them.

    Args:
        distances: float (B, M).
        positives: bool (B, M).
        negatives: bool (B, M).
        margin: by which every negative is to be farther than every positive.

    Returns:
        float (B,); 0 for a sample without a positive or without a negative.
    """
    triplets = (positives[:, :, None] & negatives[:, None, :]).to(distances)
    missed = (distances[:, :, None] - distances[:, None, :] + margin).relu()
    return (missed * triplets).sum(dim=(1, 2)) / triplets.sum(dim=(1, 2)).clamp(min=1)


def second_order_loss(distances: Tensor, labels: Tensor) -> Tensor:
    """How differently a sample and its positives see the negatives (SOLAR; Tian et al. 2019).

    Args:
        distances: float (B, B), squared.
        labels: float (B, C), 0/1.

    Returns:
        float (B,): for each positive p of a sample a the root of the sum, over the negatives n of
        a, of (d(a, n) - d(p, n))^2, averaged over its positives; 0 without positive or negative.
    """
    positives, negatives = alike(labels)
    differences = (distances[:, None, :] - distances[None, :, :]).square()
    seen = (differences * negatives[:, None, :]).sum(dim=2)
    # The root's slope is infinite at 0.
    roots = torch.where(seen > 0, seen, 1.0).sqrt() * (seen > 0)
    return (roots * positives).sum(dim=1) / positives.sum(dim=1).clamp(min=1)


def squared_distances(vectors: Tensor) -> Tensor:
    """Of each to each, float (B, L) to (B, B)."""
    return (vectors[:, None] - vectors[None]).square().sum(dim=2)


def _log_sum(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log of the sum of exponentials of the chosen of each row, (n, m) to (n,).

    Where none is chosen it is as small as a number can be: not infinite, so that gradients stay 0.
    """
    least = torch.finfo(logits.dtype).min / 4
    return torch.where(chosen, logits, least).logsumexp(dim=1)
