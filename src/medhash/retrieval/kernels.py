"""The loops of retrieval, compiled: over pairs of query and item, and over a query's levels.

They release Python's lock, so that blocks of queries run side by side in threads. To import this
module is to load numba, which takes most of a second; what counts imports it where it counts.
numba keeps the machine code in ``__pycache__`` beside this file, or in the user's cache. All loops
stand in this one file, because numba notices no change of another that a loop calls.

Nothing is checked here: the arrays are those of representations, which are checked when they are
made. Operations are in the order, and sums add up in the order, that NumPy has for the same
formulas on whole arrays, so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Words = NDArray[np.uint64]

_TILE = 4096
"""Items of a database whose pairs are counted together: they stay in the innermost cache."""

_FLOAT_TILE = 128
"""Items whose distances are summed together, likewise."""

_IN_ONE_SUM = 128
"""NumPy halves a longer sum, and adds up the halves."""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep that where a folder can be written."""
    try:
        return njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # numba found no place for its cache
        return njit(function, nogil=True, error_model="numpy")


@_compiled
def _bits_set(word: np.uint64) -> np.uint64:
    """Bits of a word that are 1; LLVM makes the processor's own instruction of this."""
    pairs = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    low = pairs & np.uint64(0x3333333333333333)
    fours = low + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (eights * np.uint64(0x0101010101010101)) >> np.uint64(56)


@_compiled
def count_pairs(
    query_words: Words,
    database_words: Words,
    query_labels: Words,
    database_labels: Words,
    table: Whole,
) -> None:
    """Count pairs by the bits in which their codes differ and the labels that they share.

    Args:
        query_words: codes as 64-bit words, uint64 (queries, words).
        database_words: the same, (words, items): word by word, for whole vectors of items.
        query_labels: labels as bits, uint64 (queries, label words).
        database_labels: the same, (label words, items).
        table: int64 (queries, q + 1, most shared + 1) of zeros; the counts are added to it.
    """
    items = database_words.shape[1]
    kinds = table.shape[2]
    cells = np.empty(_TILE, np.uint32)
    for start in range(0, items, _TILE):
        size = min(_TILE, items - start)
        for query in range(len(query_words)):
            for i in range(size):
                cells[i] = 0
            for place in range(len(database_words)):
                word, words = query_words[query, place], database_words[place, start : start + size]
                for i in range(size):
                    cells[i] += _bits_set(word ^ words[i])
            for i in range(size):
                cells[i] *= kinds
            for place in range(len(database_labels)):
                word = query_labels[query, place]
                words = database_labels[place, start : start + size]
                for i in range(size):
                    cells[i] += _bits_set(word & words[i])
            counts = table[query].reshape(-1)
            for i in range(size):
                counts[cells[i]] += 1


@_compiled
def squared_distances(queries: Numbers, others: Numbers) -> Numbers:
    """Squared Euclidean distances; each pair's sum begins at the first number and goes on in turn.

    Args:
        queries: float64 (queries, L).
        others: float64 (L, items).

    Returns:
        float64 (queries, items).
    """
    items = others.shape[1]
    distances = np.zeros((len(queries), items))
    for start in range(0, items, _FLOAT_TILE):
        stop = min(start + _FLOAT_TILE, items)
        for place in range(len(others)):
            numbers = others[place, start:stop]
            for query in range(len(queries)):
                number, sums = queries[query, place], distances[query, start:stop]
                for i in range(stop - start):
                    difference = number - numbers[i]
                    sums[i] += difference * difference
    return distances


@_compiled
def count_levels(distances: Numbers, order: Whole, shared: NDArray[np.uint16], kinds: int) -> Whole:
    """Count the items of each query by distance and shared labels.

    Args:
        distances: float64 (queries, items).
        order: int64 (queries, items), the items of each query by their distance.
        shared: uint16 (queries, items), labels that they share.
        kinds: more than the most of them.

    Returns:
        int64 (queries, levels, kinds): level l is the l-th distance that occurs at the query.
    """
    queries, items = distances.shape
    levels = np.zeros((queries, items), np.int64)
    most = 0
    for query in range(queries):
        level = 0
        for rank in range(1, items):
            nearer, item = order[query, rank - 1], order[query, rank]
            level += distances[query, item] > distances[query, nearer]
            levels[query, rank] = level
        most = max(most, level)
    table = np.zeros((queries, most + 1, kinds), np.int64)
    for query in range(queries):
        for rank in range(items):
            table[query, levels[query, rank], shared[query, order[query, rank]]] += 1
    return table


@_compiled
def weighed(table: Whole, weights: NDArray[Any]) -> NDArray[Any]:
    """``table @ weights`` in the type of the weights: (queries, levels, n) and (n,)."""
    queries, levels, kinds = table.shape
    sums = np.empty((queries, levels), weights.dtype)
    for query in range(queries):
        for level in range(levels):
            total = table[query, level, 0] * weights[0]
            for kind in range(1, kinds):
                total += table[query, level, kind] * weights[kind]
            sums[query, level] = total
    return sums


@_compiled
def over_levels(table: Whole) -> Whole:
    """``table.sum(axis=1)``: (queries, levels, n) to (queries, n)."""
    queries, levels, kinds = table.shape
    sums = np.zeros((queries, kinds), np.int64)
    for query in range(queries):
        for level in range(levels):
            for kind in range(kinds):
                sums[query, kind] += table[query, level, kind]
    return sums


@_compiled
def _sum(terms: Numbers, used: int) -> float:
    """``terms.sum()`` where those from number ``used`` on are 0, in NumPy's order of additions."""
    size = len(terms)
    if used <= 0:
        return 0.0
    if size > _IN_ONE_SUM:
        half = size // 2
        half -= half % 8
        return _sum(terms[:half], used) + _sum(terms[half:], used - half)
    whole = size - size % 8
    total = 0.0
    if whole:
        sums = terms[:8].copy()
        for start in range(8, whole, 8):
            for i in range(8):
                sums[i] += terms[start + i]
        total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + (
            (sums[4] + sums[5]) + (sums[6] + sums[7])
        )
    for i in range(whole, size):
        total += terms[i]
    return total


@_compiled
def cumulative_gains(
    items: Whole, relevant: Whole, gains: Whole, depth: int, totals: Numbers, errors: Numbers
) -> Numbers:
    """The sum that ``medhash.retrieval.metrics._expected_cumulative_gains`` explains.

    Args:
        items: int64 (queries, levels), as are the others.
        relevant: those of them that are relevant.
        gains: their gains, summed.
        depth: the last rank that counts.
        totals: running totals of 1 / rank, float64 (ranks + 1,).
        errors: their rounding errors.

    Returns:
        float64 (queries,).
    """
    queries, levels = items.shape
    sums, terms, filled = np.empty(queries), np.zeros(levels), 0
    for query in range(queries):
        before = gained = level = 0
        while level < levels and before < depth:
            tied, wanted, gain = items[query, level], relevant[query, level], gains[query, level]
            inside = min(depth - before, tied)
            reciprocals = _between(totals, errors, before, before + inside)
            own_and_earlier = (gain + wanted * gained) / max(tied, 1)
            pairs = gain * max(wanted - 1, 0) / max(tied * (tied - 1.0), 1.0)
            later = inside - (before + 1) * reciprocals
            terms[level] = own_and_earlier * reciprocals + pairs * later
            before += tied
            gained += gain
            level += 1
        terms[level:filled] = 0.0
        filled = level
        sums[query] = _sum(terms, level)
    return sums


@_compiled
def gains_inside(items: Whole, gains: Whole, depth: int) -> Numbers:
    """Expected gains of the first ``depth`` ranks, (queries,), of arrays (queries, levels)."""
    queries, levels = items.shape
    sums, terms, filled = np.empty(queries), np.zeros(levels), 0
    for query in range(queries):
        before = level = 0
        while level < levels and before < depth:
            tied = items[query, level]
            terms[level] = gains[query, level] * min(depth - before, tied) / max(tied, 1)
            before += tied
            level += 1
        terms[level:filled] = 0.0
        filled = level
        sums[query] = _sum(terms, level)
    return sums


@_compiled
def discounted_gains(
    items: Whole, gains: Numbers, depth: int, totals: Numbers, errors: Numbers
) -> Numbers:
    """Expected discounted gains of the first ``depth`` ranks, (queries,).

    As :func:`gains_inside`; ``totals`` and ``errors`` are those of the ranks' discounts.
    """
    queries, levels = items.shape
    sums, terms, filled = np.empty(queries), np.zeros(levels), 0
    for query in range(queries):
        before = level = 0
        while level < levels and before < depth:
            tied = items[query, level]
            stop = before + min(depth - before, tied)
            discounts = _between(totals, errors, before, stop)
            terms[level] = gains[query, level] / max(tied, 1) * discounts
            before += tied
            level += 1
        terms[level:filled] = 0.0
        filled = level
        sums[query] = _sum(terms, level)
    return sums


@_compiled
def first_relevant(items: Whole, relevant: Whole, depth: int) -> tuple[Numbers, Numbers]:
    """What ``medhash.retrieval.metrics._first_relevant`` explains, (queries,) each.

    Args:
        items: int64 (queries, levels).
        relevant: those of them that are relevant, likewise.
        depth: the last rank that counts.
    """
    queries, levels = items.shape
    hits, reciprocals = np.zeros(queries), np.zeros(queries)
    for query in range(queries):
        before = level = 0
        while level < levels and relevant[query, level] == 0:
            before += items[query, level]
            level += 1
        if level == levels:
            continue
        tied, wanted, none_yet = items[query, level], relevant[query, level], 1.0
        for place in range(min(depth - before, tied - wanted + 1)):
            left = tied - place
            reciprocals[query] += none_yet * wanted / left / (before + place + 1)
            none_yet *= (left - wanted) / left
        hits[query] = 1.0 - none_yet
    return hits, reciprocals


@_compiled
def ordered_precisions(
    items: Whole, relevant: Whole, first: bool, totals: Numbers, errors: Numbers
) -> Numbers:
    """Sum of the precisions at all relevant items, (queries,), if these come first in each tie.

    Or last. Relevant items at ranks start + j for j = 1 .. r have precision
    (found + j) / (start + j) = 1 - (start - found) / (start + j).
    """
    queries, levels = items.shape
    sums, terms = np.empty(queries), np.empty(levels)
    for query in range(queries):
        before = found = 0
        for level in range(levels):
            tied, wanted = items[query, level], relevant[query, level]
            start = before if first else before + tied - wanted
            reciprocals = _between(totals, errors, start, start + wanted)
            terms[level] = wanted - (start - found) * reciprocals
            before += tied
            found += wanted
        sums[query] = _sum(terms, levels)
    return sums


@_compiled
def _between(totals: Numbers, errors: Numbers, start: int, stop: int) -> float:
    """As ``medhash.retrieval.metrics._RangeSums.between``."""
    return (totals[stop] - totals[start]) + (errors[stop] - errors[start])
