"""The ``stable`` protocol: sort by distance, ties in database order, and walk down the list.

This is how the papers' public codes score. The order of ties is the order in which the database
happens to be stored. The metrics are those of ``medhash.retrieval.metrics``, on that one order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medhash.retrieval.counting import Distances, Numbers, Small, Whole, gain, with_pairs
from medhash.retrieval.metrics import MapAt, QueryScores, joined
from medhash.retrieval.representation import Representation


def stable_scores(
    vectors: Representation, cutoffs: Sequence[int], map_at: MapAt = "reachable"
) -> QueryScores:
    """Scores of each query on the database sorted stably by distance.

    Args:
        vectors: of the queries and the database.
        cutoffs: the K of the metrics at K, at least 1 and at most the database's size.
        map_at: see :data:`~medhash.retrieval.metrics.MapAt`.
    """

    def score(distances: Distances, shared: Small) -> QueryScores:
        order = np.argsort(distances, axis=1, kind="stable")
        ranked = np.take_along_axis(shared, order, axis=1).astype(np.int64)
        return score_ranked(ranked, cutoffs, map_at)

    return joined(with_pairs(score, vectors))


def score_ranked(shared: Whole, cutoffs: Sequence[int], map_at: MapAt = "reachable") -> QueryScores:
    """Scores of lists that are in order.

    Args:
        shared: int64 (queries, items), labels shared with the query, nearest item first.
        cutoffs: the K of the metrics at K.
        map_at: see :data:`~medhash.retrieval.metrics.MapAt`.
    """
    ranks = np.arange(1, shared.shape[1] + 1)
    relevant = shared > 0
    found = relevant.cumsum(axis=1)
    precision = np.where(relevant, found / ranks, 0.0)
    weighted = np.where(relevant, shared.cumsum(axis=1) / ranks, 0.0)
    total = np.maximum(found[:, -1], 1)
    best = -np.sort(-shared, axis=1)
    first = relevant & (found == 1)
    return QueryScores(
        average_precision=precision.sum(axis=1) / total,
        weighted_average_precision=weighted.sum(axis=1) / total,
        average_precision_at={
            k: precision[:, :k].sum(axis=1) / _denominator(map_at, k, found, total) for k in cutoffs
        },
        precision_at={k: found[:, k - 1] / k for k in cutoffs},
        recall_at={k: found[:, k - 1] / total for k in cutoffs},
        ndcg_at={k: _ratio(_dcg(shared[:, :k]), _dcg(best[:, :k])) for k in cutoffs},
        acg_at={k: shared[:, :k].mean(axis=1) for k in cutoffs},
        hit_ratio_at={k: (found[:, k - 1] > 0).astype(float) for k in cutoffs},
        reciprocal_rank_at={k: (first[:, :k] / ranks[:k]).sum(axis=1) for k in cutoffs},
    )


def _dcg(shared: Whole) -> Numbers:
    """Discounted cumulative gain of the whole of each list, (queries,)."""
    discounts = 1.0 / np.log2(1.0 + np.arange(1, shared.shape[1] + 1))
    return np.asarray((gain(shared) * discounts).sum(axis=1))


def _ratio(value: Numbers, best: Numbers) -> Numbers:
    return np.divide(value, best, out=np.zeros_like(best), where=best > 0)


def _denominator(map_at: MapAt, k: int, found: Whole, total: Whole) -> Whole:
    choices = {
        "reachable": np.minimum(total, k),
        "found": np.maximum(found[:, k - 1], 1),
        "k": np.full_like(total, k),
    }
    return choices[map_at]
