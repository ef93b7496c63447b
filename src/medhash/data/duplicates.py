"""Duplicates: the same pixels, or perceptual hashes that are near each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medhash.errors import MedhashError

Rows = NDArray[np.int64]

# Distances computed at a time: 8 bytes each while hashes are compared.
_CHUNK = 4_000_000


def near_pairs(
    index: pd.DataFrame, first: Rows, second: Rows, distance: int
) -> tuple[Rows, Rows, Rows]:
    """Pairs of images whose perceptual hashes are at most ``distance`` bits apart.

    Equal pixels have equal hashes, so exact duplicates are among them.

    Args:
        index: the dataset's index.csv, in row order.
        first: rows of one side, int64 (n,).
        second: rows of the other side, int64 (m,).
        distance: greatest Hamming distance, 0 to 64 bits.

    Returns:
        The pairs' rows on both sides and their distances in bits, int64 (pairs,) each, in the
        order of ``first``, then of ``second``.

    Raises:
        MedhashError: a perceptual hash is not 16 hexadecimal digits.
    """
    chunks = list(_chunks(_hashes(index), first, second, distance))
    empty = np.empty(0, dtype=np.int64)
    one, other, bits = (
        np.concatenate([empty, *(chunk[side] for chunk in chunks)]) for side in range(3)
    )
    return one, other, bits


def near_groups(index: pd.DataFrame, distance: int) -> NDArray[np.int64]:
    """Each image's group, int64 (N,): those that a chain of near pairs links have one number.

    Raises:
        MedhashError: as :func:`near_pairs`.
    """
    every = np.arange(len(index))
    one, other, _ = near_pairs(index, every, every, distance)
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(index), len(index)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _hashes(index: pd.DataFrame) -> NDArray[np.uint64]:
    values = index["perceptual_hash"].astype(str)
    wrong = index["image_id"][~values.str.fullmatch(r"[0-9a-f]{16}").to_numpy()]
    if len(wrong):
        raise MedhashError(
            f"index.csv: image '{wrong.iloc[0]}' has no perceptual_hash of 16 hexadecimal digits; "
            "prepare the dataset again"
        )
    return np.array([int(value, 16) for value in values], dtype=np.uint64)


def _chunks(
    hashes: NDArray[np.uint64], first: Rows, second: Rows, distance: int
) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Near pairs, a few rows of the first side against the whole second side at a time."""
    step = max(1, _CHUNK // max(len(second), 1))
    for start in range(0, len(first), step):
        some = first[start : start + step]
        bits = np.bitwise_count(hashes[some][:, None] ^ hashes[second][None, :])
        one, other = np.nonzero(bits <= distance)
        yield some[one], second[other], bits[one, other].astype(np.int64)
