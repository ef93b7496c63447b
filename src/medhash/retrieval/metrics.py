"""Retrieval metrics from counts at each distance, exact for ties.

Items at the same distance from a query are tied. A metric's value here is its expectation over
all orders within the ties, each as likely as any other (McSherry and Najork 2008, "Computing
information retrieval performance measures efficiently in the presence of tied scores"). It has a
closed form in sums over ranks, so nothing is sorted and no order of the database can move it.

Notation of the code: a *tie* is the set of items at one distance. It has ``items``, of which some
are ``relevant``, and starts after rank ``before`` (the items nearer to the query). ``inside`` of
its ranks are within a cutoff. A query without any relevant item scores 0 in every metric, as in
the public deep hashing codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.retrieval.counting import Counts, Numbers, Whole, gain

MapAt = Literal["reachable", "found", "k"]
"""What average precision down to rank K is divided by.

``reachable``: min(K, relevant items in the database), so that a perfect list has 1. ``k``: K
itself (Y-Net's notebooks, see docs/fidelity.md). ``found``: the relevant items among the first K,
as in public deep hashing codes; it rewards finding few, and needs one order of the items: the
expectation of a ratio has no closed form. Over the whole database the first and the last agree.
"""


@dataclass(frozen=True, eq=False)
class QueryScores:
    """One value for each query, shape (queries,), float64; those at a cutoff are keyed by K.

    Attributes:
        average_precision: mean of the precision at the rank of each relevant item.
        weighted_average_precision: the same with ACG in the place of precision (OSDH, mAP_w);
            above 1 where more than one label is shared, equal to the former with one label each.
        average_precision_at: the former down to rank K, over what :data:`MapAt` says.
        precision_at: relevant share of the first K.
        recall_at: share of the relevant items that is among the first K.
        ndcg_at: discounted gains 2^s - 1 of the first K over those of the best possible order
            (OSDH section 3); the discount of rank i is 1 / log2(1 + i).
        acg_at: mean number of shared labels of the first K (OSDH section 3).
        hit_ratio_at: 1 where any of the first K is relevant, else 0.
        reciprocal_rank_at: 1 over the rank of the first relevant item, 0 where it is beyond K.
    """

    average_precision: Numbers
    weighted_average_precision: Numbers
    average_precision_at: dict[int, Numbers]
    precision_at: dict[int, Numbers]
    recall_at: dict[int, Numbers]
    ndcg_at: dict[int, Numbers]
    acg_at: dict[int, Numbers]
    hit_ratio_at: dict[int, Numbers]
    reciprocal_rank_at: dict[int, Numbers]


def tie_aware_scores(
    counts: Counts, cutoffs: Sequence[int], map_at: MapAt = "reachable"
) -> QueryScores:
    """Expected scores of each query over all orders within its ties.

    Args:
        counts: of some queries.
        cutoffs: the K of the metrics at K, at least 1 and at most the database's size.
        map_at: see :data:`MapAt`; not ``found``.
    """
    size = int(counts.items[0].sum())
    ranks = np.arange(1, size + 1)
    harmonic, discount = _RangeSums(1.0 / ranks), _RangeSums(1.0 / np.log2(1.0 + ranks))
    relevant = np.maximum(counts.total_relevant, 1)

    def gains_at_relevant(gains: Whole, depth: int) -> Numbers:
        return _expected_cumulative_gains(counts, gains, depth, harmonic)

    def average_precision(depth: int, denominator: Whole | int) -> Numbers:
        mean = gains_at_relevant(counts.relevant, depth) / denominator
        return np.minimum(mean, 1.0)  # the last bit of a perfect list may round up

    def first(gains: Whole, depth: int) -> Numbers:
        return _gains_inside(counts, gains, depth)

    found = {k: first(counts.relevant, k) for k in cutoffs}
    firsts = {k: _first_relevant(counts, k) for k in cutoffs}
    return QueryScores(
        average_precision=average_precision(size, relevant),
        weighted_average_precision=gains_at_relevant(counts.shared, size) / relevant,
        average_precision_at={
            k: average_precision(k, k if map_at == "k" else np.minimum(relevant, k))
            for k in cutoffs
        },
        precision_at={k: found[k] / k for k in cutoffs},
        recall_at={k: found[k] / relevant for k in cutoffs},
        ndcg_at={k: _ndcg(counts, k, discount) for k in cutoffs},
        acg_at={k: first(counts.shared, k) / k for k in cutoffs},
        hit_ratio_at={k: hits for k, (hits, _) in firsts.items()},
        reciprocal_rank_at={k: reciprocals for k, (_, reciprocals) in firsts.items()},
    )


def tie_range(counts: Counts) -> tuple[Numbers, Numbers]:
    """Least and greatest average precision of each query over all orders within its ties.

    Least: in each tie the relevant items come last; greatest: first. Ties of different queries
    are ordered on their own, so one order of the database moves a mean at most this far.

    Returns:
        Least and greatest, each (queries,).
    """
    from medhash.retrieval.kernels import ordered_precisions

    harmonic = _RangeSums(1.0 / np.arange(1, int(counts.items[0].sum()) + 1))
    relevant = np.maximum(counts.total_relevant, 1)

    def average_precision(first: bool) -> Numbers:
        arrays = (counts.items, counts.relevant)
        precisions = ordered_precisions(*arrays, first, harmonic.totals, harmonic.errors)
        return np.asarray(precisions / relevant)

    return average_precision(first=False), average_precision(first=True)


def precision_recall(counts: Counts) -> tuple[list[float | None], list[float]]:
    """Mean precision and mean recall of what lies within each Hamming radius 0 .. q.

    Every query weighs the same (macro average). The precision of an empty result is undefined:
    the mean is over the queries that retrieve something within the radius, and ``None`` where
    none does. The recall of an empty result is 0, as is that of a query without relevant items.

    Returns:
        Precision and recall at each radius, q + 1 values each.
    """
    retrieved, found = counts.items.cumsum(axis=1), counts.relevant.cumsum(axis=1)
    answered = (retrieved > 0).sum(axis=0)
    precision = (found / np.maximum(retrieved, 1)).sum(axis=0)
    recall = (found / np.maximum(counts.total_relevant, 1)[:, None]).mean(axis=0)
    means = [float(p / n) if n else None for p, n in zip(precision, answered, strict=True)]
    return means, [float(value) for value in recall]


def precision_recall_at(counts: Counts, ranks: Sequence[int]) -> tuple[Numbers, Numbers]:
    """Expected precision and recall of the first K of each query, (queries, ranks) each.

    The recall of a query without relevant items is 0.
    """
    found = [_gains_inside(counts, counts.relevant, k) for k in ranks]
    expected = np.stack(found, axis=1)
    return expected / np.array(ranks), expected / np.maximum(counts.total_relevant, 1)[:, None]


def joined(blocks: Sequence[QueryScores]) -> QueryScores:
    """The scores of the queries of all blocks, one after the other."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    values: dict[str, Any] = {}
    for name, value in vars(first).items():
        own = [getattr(block, name) for block in blocks]
        if isinstance(value, dict):
            values[name] = {k: np.concatenate([each[k] for each in own]) for k in value}
        else:
            values[name] = np.concatenate(own)
    return QueryScores(**values)


def _expected_cumulative_gains(
    counts: Counts, gains: Whole, depth: int, harmonic: _RangeSums
) -> Numbers:
    """Expected sum, over the relevant items down to a rank, of ACG at their ranks, (queries,).

    With the number of relevant items as gains, ACG is precision. Take rank p = before + i of a
    tie with n items, r of them relevant, of total gain g, and let G be the gains before the tie.
    The item at p is relevant and each item's gain is counted up to p, so the expectation of
    [relevant at p] * (gains up to p) is

        g / n                              its own gain,
        + (r / n) G                        the gains before the tie,
        + (i - 1) g (r - 1) / (n (n - 1))  the i - 1 items of the tie that precede it,

    to be divided by p and summed over i. The sums are harmonic: sum of 1 / p, called h, and sum of
    (i - 1) / p = inside - (before + 1) h.
    """
    from medhash.retrieval.kernels import cumulative_gains

    arrays = (counts.items, counts.relevant, gains)
    return np.asarray(cumulative_gains(*arrays, depth, harmonic.totals, harmonic.errors))


def _ndcg(counts: Counts, depth: int, discount: _RangeSums) -> Numbers:
    """Expected NDCG down to a rank, (queries,)."""
    gained = _discounted(counts.gains, counts.items, depth, discount)
    # The best order puts items that share most first: ties again, by shared labels.
    best_first = np.ascontiguousarray(counts.by_shared[:, ::-1])
    best_gains = best_first * gain(np.arange(best_first.shape[1]))[::-1]
    best = _discounted(best_gains, best_first, depth, discount)
    ratio = np.divide(gained, best, out=np.zeros_like(best), where=best > 0)
    return np.minimum(ratio, 1.0)  # the last bit of a perfect list may round up


def _discounted(gains: Numbers, items: Whole, depth: int, discount: _RangeSums) -> Numbers:
    """Each tie's gains over its items, times the discounts of its ranks within ``depth``."""
    from medhash.retrieval.kernels import discounted_gains

    return np.asarray(discounted_gains(items, gains, depth, discount.totals, discount.errors))


def _gains_inside(counts: Counts, gains: Whole, depth: int) -> Numbers:
    """Expected part of each tie's gains that falls within the first ``depth`` ranks, summed."""
    from medhash.retrieval.kernels import gains_inside

    return np.asarray(gains_inside(counts.items, gains, depth))


def _first_relevant(counts: Counts, depth: int) -> tuple[Numbers, Numbers]:
    """Expected hit and reciprocal rank of the first relevant item within a depth, (queries,) each.

    It lies in the first tie that has relevant items. Of n items with r relevant ones, none of the
    first i - 1 is relevant with probability s = (n - r) (n - r - 1) … / (n (n - 1) …), i - 1
    factors each; then the i-th is with probability r / (n - i + 1), at rank before + i.
    """
    from medhash.retrieval.kernels import first_relevant

    hits, reciprocals = first_relevant(counts.items, counts.relevant, depth)
    return np.asarray(hits), np.asarray(reciprocals)


class _RangeSums:
    """Running totals of a sequence, which give the sum over a range to about one rounding.

    A difference of two running totals loses the digits that the totals have in common, and the
    metrics multiply it by the rank. So the rounding error of each addition (Knuth's TwoSum) is
    summed beside the totals. The sum of the terms number start + 1 to stop, counted from 1, is
    (totals[stop] - totals[start]) + (errors[stop] - errors[start]).

    Attributes:
        totals: float64 (terms + 1,), beginning with 0.
        errors: the same of their rounding errors.
    """

    def __init__(self, terms: NDArray[np.float64]) -> None:
        totals = np.concatenate([[0.0], np.cumsum(terms)])
        added = totals[1:] - totals[:-1]
        errors = (totals[:-1] - (totals[1:] - added)) + (terms - added)
        self.totals = totals
        self.errors = np.concatenate([[0.0], np.cumsum(errors)])
