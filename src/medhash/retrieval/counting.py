"""Count, for each query, what lies at each Hamming distance: all that the metrics need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import as_words, query_blocks, word_distances, word_overlaps

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Small = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Counts:
    """How the database falls around each query.

    Attributes:
        table: int64 (queries, q + 1, most + 1); ``table[i, d, s]`` items lie at distance d from
            query i and share s labels with it. An item is relevant if s is at least 1.
    """

    table: Whole

    @cached_property
    def items(self) -> Whole:
        """Items at each distance, (queries, q + 1)."""
        return self.table.sum(axis=2)

    @cached_property
    def relevant(self) -> Whole:
        """Relevant items at each distance, (queries, q + 1)."""
        return self.table[:, :, 1:].sum(axis=2)

    @cached_property
    def shared(self) -> Whole:
        """Labels shared with the items at each distance, summed, (queries, q + 1)."""
        return self.table @ np.arange(self.table.shape[2])

    @cached_property
    def gains(self) -> Numbers:
        """NDCG's gains 2^s - 1 of the items at each distance, summed, (queries, q + 1)."""
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


def count(codes: Codes) -> Counts:
    """Count the items at each distance by the number of labels that they share with the query.

    Time grows with queries x items; memory with queries x (q + 1) x shared labels only.
    """
    distances, kinds = codes.bits + 1, most_shared(codes) + 1
    table = np.empty((len(codes.query_codes), distances * kinds), dtype=np.int64)
    for block, distance, shared in pair_blocks(codes):
        # One number for each (query, distance, shared labels), then one pass that counts them.
        cell = distance * np.int64(kinds)
        cell += shared
        cell += np.arange(len(cell))[:, None] * table.shape[1]
        counted = np.bincount(cell.ravel(), minlength=len(cell) * table.shape[1])
        table[block] = counted.reshape(len(cell), -1)
    return Counts(table.reshape(-1, distances, kinds))


def pair_blocks(codes: Codes) -> Iterator[tuple[slice, Small, Small]]:
    """Walk over the queries in blocks that fit in little memory.

    Yields:
        Which queries; their Hamming distances, uint16 (queries, items); and the labels that they
        share with each item, uint16 (queries, items).
    """
    query_codes, database_codes = as_words(codes.query_codes), as_words(codes.database_codes)
    # Labels are bits too: those that both have are shared.
    query_labels = as_words(np.packbits(codes.query_labels, axis=1))
    database_labels = as_words(np.packbits(codes.database_labels, axis=1))
    for block in query_blocks(len(query_codes), len(database_codes)):
        distances = word_distances(query_codes[block], database_codes)
        yield block, distances, word_overlaps(query_labels[block], database_labels)


def most_shared(codes: Codes) -> int:
    """An upper bound on the labels that a query and an item share."""
    return int(min(codes.query_labels.sum(axis=1).max(), codes.database_labels.sum(axis=1).max()))
