"""Count, for each query, what lies at each distance: all that the metrics need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import as_words, query_blocks, word_overlaps
from medhash.retrieval.representation import Representation

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Small = NDArray[np.uint16]
Distances = NDArray[Any]


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
        return self.table.sum(axis=2)

    @cached_property
    def relevant(self) -> Whole:
        """Relevant items at each level, (queries, levels)."""
        return self.table[:, :, 1:].sum(axis=2)

    @cached_property
    def shared(self) -> Whole:
        """Labels shared with the items at each level, summed, (queries, levels)."""
        return self.table @ np.arange(self.table.shape[2])

    @cached_property
    def gains(self) -> Numbers:
        """NDCG's gains 2^s - 1 of the items at each level, summed, (queries, levels)."""
        return self.table @ gain(np.arange(self.table.shape[2]))

    @cached_property
    def by_shared(self) -> Whole:
        """Items of the whole database that share s labels, (queries, most + 1)."""
        return self.table.sum(axis=1)

    @cached_property
    def total_relevant(self) -> Whole:
        """Relevant items of the whole database, (queries,)."""
        return self.relevant.sum(axis=1)


def gain(shared: Whole) -> Numbers:
    """NDCG's gain of an item, 2^s - 1 for s shared labels (OSDH section 3)."""
    return np.exp2(shared) - 1.0


def count_blocks(vectors: Representation) -> Iterator[Counts]:
    """Counts of all queries in their order, of as many at a time as fit in little memory.

    Codes have few levels and come at once. Time grows with queries x items.
    """
    if isinstance(vectors, Codes):
        yield count(vectors)
        return
    kinds = most_shared(vectors) + 1
    for _, distances, shared in pair_blocks(vectors):
        levels = levels_of(distances)
        yield Counts(_table(levels, shared, int(levels.max()) + 1, kinds))


def count(codes: Codes) -> Counts:
    """Count the items at each Hamming distance by the labels that they share with the query.

    Memory grows with queries x (q + 1) x shared labels only.
    """
    levels, kinds = codes.bits + 1, most_shared(codes) + 1
    table = np.empty((len(codes.query_codes), levels, kinds), dtype=np.int64)
    for block, distances, shared in pair_blocks(codes):
        table[block] = _table(distances, shared, levels, kinds)
    return Counts(table)


def pair_blocks(vectors: Representation) -> Iterator[tuple[slice, Distances, Small]]:
    """Walk over the queries in blocks that fit in little memory.

    Yields:
        Which queries; their distances (queries, items); and the labels that they share with each
        item, uint16 (queries, items).
    """
    # Labels are bits too: those that both have are shared.
    query_labels = as_words(np.packbits(vectors.query_labels, axis=1))
    database_labels = as_words(np.packbits(vectors.database_labels, axis=1))
    for block in query_blocks(len(query_labels), len(database_labels)):
        distances = vectors.distances(vectors.query_vectors[block])
        yield block, distances, word_overlaps(query_labels[block], database_labels)


def levels_of(distances: Distances) -> Whole:
    """The place of each distance among the different ones of its row, int64, of the same shape."""
    order = np.argsort(distances, axis=1, kind="stable")
    ordered = np.take_along_axis(distances, order, axis=1)
    steps = np.zeros(distances.shape, dtype=np.int64)
    steps[:, 1:] = ordered[:, 1:] > ordered[:, :-1]
    levels = np.empty_like(steps)
    np.put_along_axis(levels, order, steps.cumsum(axis=1), axis=1)
    return levels


def most_shared(vectors: Representation) -> int:
    """An upper bound on the labels that a query and an item share."""
    most = (labels.sum(axis=1).max() for labels in (vectors.query_labels, vectors.database_labels))
    return int(min(most))


def _table(levels: NDArray[Any], shared: Small, level_count: int, kinds: int) -> Whole:
    """:attr:`Counts.table` of some queries, from the level of each pair."""
    # One number for each (query, level, shared labels), then one pass that counts them.
    cell = levels * np.int64(kinds)
    cell += shared
    cell += np.arange(len(cell))[:, None] * (level_count * kinds)
    counted = np.bincount(cell.ravel(), minlength=len(cell) * level_count * kinds)
    return counted.reshape(len(cell), level_count, kinds)
