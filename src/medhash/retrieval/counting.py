"""Count, for each query, what lies at each distance: all that the metrics need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medhash.retrieval.blocks import in_blocks
from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import as_words, word_overlaps
from medhash.retrieval.representation import Representation

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Small = NDArray[np.uint16]
Distances = NDArray[Any]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Counts:
    """How the database falls around each query.

    A *level* is one distance. With codes level d is the Hamming distance d, from 0 to q. With
    descriptors level l is the l-th distance that occurs at this query; the levels that a query
    does not have are empty and come last.

    Attributes:
        table: int64 (queries, levels, most + 1); ``table[i, l, s]`` items lie at level l of query
            i and share s labels with it. An item is relevant if s is at least 1.
    """

    table: Whole

    @cached_property
    def items(self) -> Whole:
        """Items at each level, (queries, levels)."""
        return self._weighed(np.ones(self.table.shape[2], np.int64))

    @cached_property
    def relevant(self) -> Whole:
        """Relevant items at each level, (queries, levels)."""
        return self._weighed((np.arange(self.table.shape[2]) > 0).astype(np.int64))

    @cached_property
    def shared(self) -> Whole:
        """Labels shared with the items at each level, summed, (queries, levels)."""
        return self._weighed(np.arange(self.table.shape[2]))

    @cached_property
    def gains(self) -> Numbers:
        """NDCG's gains 2^s - 1 of the items at each level, summed, (queries, levels)."""
        return self._weighed(gain(np.arange(self.table.shape[2])))

    @cached_property
    def by_shared(self) -> Whole:
        """Items of the whole database that share s labels, (queries, most + 1)."""
        from medhash.retrieval.kernels import over_levels

        return np.asarray(over_levels(self.table))

    @cached_property
    def total_relevant(self) -> Whole:
        """Relevant items of the whole database, (queries,)."""
        return self.by_shared[:, 1:].sum(axis=1)

    def _weighed(self, weights: NDArray[Any]) -> NDArray[Any]:
        from medhash.retrieval.kernels import weighed

        return np.asarray(weighed(self.table, weights))


def gain(shared: Whole) -> Numbers:
    """NDCG's gain of an item, 2^s - 1 for s shared labels (OSDH section 3)."""
    return np.exp2(shared) - 1.0


def with_counts(function: Callable[[Counts], Result], vectors: Representation) -> list[Result]:
    """What a function returns for the counts of all queries, of some at a time, in their order.

    Codes have few levels and come at once. Descriptors come in blocks of queries that fit in
    little memory, and the function runs in as many threads as there are. Time grows with
    queries x items.
    """
    if isinstance(vectors, Codes):
        return [function(count(vectors))]
    kinds = most_shared(vectors) + 1

    def count_block(distances: Distances, shared: Small) -> Result:
        return function(count_levels(distances, shared, kinds))

    return with_pairs(count_block, vectors)


def count(codes: Codes) -> Counts:
    """Count the items at each Hamming distance by the labels that they share with the query.

    Memory grows with queries x (q + 1) x shared labels only.
    """
    from medhash.retrieval.kernels import count_pairs

    queries, items = len(codes.query_codes), len(codes.database_codes)
    table = np.zeros((queries, codes.bits + 1, most_shared(codes) + 1), dtype=np.int64)
    query_words, query_labels = as_words(codes.query_codes), label_words(codes.query_labels)
    words = np.ascontiguousarray(as_words(codes.database_codes).T)
    labels = np.ascontiguousarray(label_words(codes.database_labels).T)

    def count_block(block: slice) -> None:
        count_pairs(query_words[block], words, query_labels[block], labels, table[block])

    in_blocks(count_block, queries, items)
    return Counts(table)


def count_levels(distances: Distances, shared: Small, kinds: int) -> Counts:
    """Count the items at each distance that occurs at a query by the labels that they share.

    Args:
        distances: float64 (queries, items).
        shared: uint16 (queries, items), fewer than ``kinds`` labels each.
        kinds: length of the last axis of the table.
    """
    from medhash.retrieval import kernels

    order = np.argsort(distances, axis=1)
    return Counts(kernels.count_levels(distances, order, shared, kinds))


def with_pairs(
    function: Callable[[Distances, Small], Result], vectors: Representation
) -> list[Result]:
    """What a function returns for blocks of queries, in their order; each runs in a thread.

    The function gets the block's distances, (queries, items), and the labels that its queries
    share with each item, uint16 (queries, items).
    """
    queries, items = label_words(vectors.query_labels), label_words(vectors.database_labels)
    vectors.distances(vectors.query_vectors[:1])  # what it prepares and keeps, before the threads

    def block_of_pairs(block: slice) -> Result:
        distances = vectors.distances(vectors.query_vectors[block])
        return function(distances, word_overlaps(queries[block], items))

    return in_blocks(block_of_pairs, len(queries), len(items))


def label_words(labels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Labels 0/1 (n, classes) as the bits of words, uint64 (n, words): those of both are shared."""
    return as_words(np.packbits(labels, axis=1))


def most_shared(vectors: Representation) -> int:
    """An upper bound on the labels that a query and an item share."""
    most = (labels.sum(axis=1).max() for labels in (vectors.query_labels, vectors.database_labels))
    return int(min(most))
