"""How far a number of the first retrieved images is from the query's: Y-Net's CDR gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medhash.retrieval.blocks import in_blocks
from medhash.retrieval.counting import Distances, Numbers
from medhash.retrieval.representation import Representation


def gaps_at(
    vectors: Representation,
    numbers: tuple[Numbers, Numbers],
    cutoffs: Sequence[int],
    *,
    stable: bool = False,
) -> dict[int, Numbers]:
    """Mean absolute difference between a query's number and those of its first K, by K.

    Args:
        vectors: of queries and database.
        numbers: of the queries, float64 (queries,), and of the database, (items,).
        cutoffs: the K, at least 1 and at most the database's size.
        stable: leave ties in database order; else the expectation over all orders within ties.

    Returns:
        float64 (queries,) each. A random order has the mean of the whole database, whatever K is.
    """
    queries, items = numbers
    vectors.distances(vectors.query_vectors[:1])  # what it prepares and keeps, before the threads

    def of_block(block: slice) -> Numbers:
        distances = vectors.distances(vectors.query_vectors[block])
        gaps = np.abs(queries[block, None] - items)
        return np.stack([mean_of_first(distances, gaps, k, stable=stable) for k in cutoffs])

    if not cutoffs:
        return {}
    found = np.concatenate(in_blocks(of_block, len(queries), len(items)), axis=1)
    return dict(zip(cutoffs, found, strict=True))


def mean_of_first(
    distances: Distances, values: Numbers, k: int, *, stable: bool = False
) -> Numbers:
    """Mean of a value of the K nearest items, (queries,).

    Of a tie that K cuts, each item counts by the share of the tie that is inside, which is its
    chance of being among the first K.

    Args:
        distances: (queries, items).
        values: float64 (queries, items), of each item for each query.
        k: at least 1 and at most the number of items.
        stable: leave ties in database order instead.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    if stable:
        return np.asarray(ranked[:, :k].mean(axis=1))
    sorted_distances = np.take_along_axis(distances, order, axis=1)
    last = sorted_distances[:, k - 1 : k]
    before = (sorted_distances < last).sum(axis=1, keepdims=True)
    tied = sorted_distances == last
    share = (k - before) / tied.sum(axis=1, keepdims=True)
    weights = (sorted_distances < last) + tied * share
    return np.asarray((weights * ranked).sum(axis=1) / k)
