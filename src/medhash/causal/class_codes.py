"""The codes of the whole training set, as last seen, and distances to the codes of a class.

ACH Eq. 10 and 17 average over all samples of a class. Their codes change with every step, so a
memory keeps the latest code of each training sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassCodes(nn.Module):
    """A memory of the training samples' latest relaxed codes.

    Args:
        labels: float (n, C), 0/1, of the training samples.
        bits: q.
    """

    labels: Tensor
    codes: Tensor
    seen: Tensor

    def __init__(self, labels: Tensor, bits: int) -> None:
        super().__init__()
        self.register_buffer("labels", labels, persistent=False)
        self.register_buffer("codes", torch.zeros(len(labels), bits).to(labels))
        self.register_buffer("seen", torch.zeros(len(labels)).to(labels))

    def remember(self, rows: Tensor, codes: Tensor) -> None:
        """Keep codes, float (B, q), of the training samples ``rows``, int64 (B,)."""
        self.codes[rows] = codes.detach().to(self.codes.dtype)
        self.seen[rows] = 1.0

    def members(self) -> Tensor:
        """Float (n, C): 1 where a sample that was seen belongs to the class."""
        return self.labels * self.seen[:, None]

    def distances(self, codes: Tensor) -> Tensor:
        """Mean squared distance of each code to the seen codes of each class (Eq. 10).

        Args:
            codes: float (B, q).

        Returns:
            float (B, C): ``r`` of each code if it belonged to each class; 0 for a class of
            which nothing was seen yet.
        """
        return intraclass_distances(codes, self.codes, self.members())

    def own_distances(self, codes: Tensor, labels: Tensor) -> Tensor:
        """``r`` of codes (B, q) within their own class: (B,).

        A sample with several labels gets the mean over its classes.
        """
        return (self.distances(codes) * labels).sum(dim=1) / labels.sum(dim=1)


def intraclass_distances(codes: Tensor, class_codes: Tensor, members: Tensor) -> Tensor:
    """Eq. 10 for every pair of code and class, without forming the pairs of codes.

    ``mean_j (b.b_j / q - 1)^2 = b'Mb / q^2 - 2 b.m / q + 1`` with the class's second moment M
    and mean m, so that the cost is linear in the number of class codes.

    Args:
        codes: b, float (B, q).
        class_codes: b_j, float (n, q).
        members: float (n, C), 1 where b_j belongs to the class.

    Returns:
        float (B, C); 0 for a class without members.
    """
    bits = codes.shape[1]
    counts = members.sum(dim=0)
    shares = members / counts.clamp(min=1.0)
    mean = shares.T @ class_codes
    second_moment = torch.einsum("nc,np,nq->cpq", shares, class_codes, class_codes)
    quadratic = torch.einsum("bp,cpq,bq->bc", codes, second_moment, codes)
    distances = quadratic / bits**2 - 2 * codes @ mean.T / bits + 1
    return torch.where(counts > 0, distances, 0.0)


def class_softmax(scores: Tensor, members: Tensor) -> Tensor:
    """Softmax of scores within each class: (n,) or (n, C), members (n, C), to (n, C).

    Each class's column adds up to 1 over its members and is 0 elsewhere (Eq. 11); the column of
    an empty class is 0.
    """
    columns = scores if scores.ndim == 2 else scores[:, None].expand_as(members)
    excluded = torch.where(members > 0, columns, float("-inf"))
    weights = torch.softmax(excluded, dim=0)
    return torch.where(members > 0, weights, 0.0)
