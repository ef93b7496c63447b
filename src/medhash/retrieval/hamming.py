"""Hamming distances between packed binary codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BITS = np.iinfo(np.uint16).max
"""The longest code: distances are counted in 16 bits."""


def packed_width(bits: int) -> int:
    """Bytes that one packed code of ``bits`` bits takes."""
    return (bits + 7) // 8


def pack(codes: NDArray[Any]) -> NDArray[np.uint8]:
    """Pack codes (n, q) into uint8 (n, ceil(q / 8)); a bit is 1 where the value is above 0."""
    return np.packbits(codes > 0, axis=1)


def padding_is_clear(codes: NDArray[np.uint8], bits: int) -> bool:
    """Whether the bits that fill up each code's last byte are 0."""
    padding = packed_width(bits) * 8 - bits
    return not np.any(codes[:, -1] & np.uint8((1 << padding) - 1))


def distances(
    query_codes: NDArray[np.uint8], database_codes: NDArray[np.uint8]
) -> NDArray[np.uint16]:
    """Hamming distance of every query to every database item.

    Args:
        query_codes: packed codes as numpy.packbits makes them, uint8 (queries, bytes).
        database_codes: the same for the database, uint8 (items, bytes).

    Returns:
        uint16 (queries, items).
    """
    return word_distances(as_words(query_codes), as_words(database_codes))


def as_words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Packed codes, uint8 (n, bytes), as 64-bit words, uint64 (n, ceil(bytes / 8)).

    Codes are padded with zero bits, which add nothing to any distance.
    """
    padding = -codes.shape[1] % 8
    padded = np.pad(codes, ((0, 0), (0, padding)))
    return np.ascontiguousarray(padded).view(np.uint64)


def word_distances(
    query_words: NDArray[np.uint64], database_words: NDArray[np.uint64]
) -> NDArray[np.uint16]:
    """Bits that differ: as :func:`distances`, on what :func:`as_words` returns."""
    return _count_bits(np.bitwise_xor, query_words, database_words)


def word_overlaps(
    query_words: NDArray[np.uint64], database_words: NDArray[np.uint64]
) -> NDArray[np.uint16]:
    """Bits that both have, uint16 (queries, items), on what :func:`as_words` returns."""
    return _count_bits(np.bitwise_and, query_words, database_words)


def _count_bits(
    operation: np.ufunc, query_words: NDArray[np.uint64], database_words: NDArray[np.uint64]
) -> NDArray[np.uint16]:
    total = np.zeros((len(query_words), len(database_words)), dtype=np.uint16)
    for query_word, database_word in zip(query_words.T, database_words.T, strict=True):
        total += np.bitwise_count(operation(query_word[:, None], database_word[None, :]))
    return total
