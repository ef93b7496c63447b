"""One query against a database: the nearest items, their ties, and how they vote."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.representation import Array, Representation


@dataclass(frozen=True, eq=False)
class Ranking:
    """The items of a database nearest to one query.

    With q bits there are q + 1 distances, and many items share one; equal descriptors share one,
    too. Some order of those decides
    which are among the k; :meth:`ranks` and :meth:`expected_votes` say what is true in any order.

    Attributes:
        places: int64 (k,), places in the database, nearest first.
        distances: (items,), the distance of every item of the database.
    """

    places: NDArray[np.int64]
    distances: Array

    @property
    def shown_distances(self) -> Array:
        """Distance of each of the k nearest items."""
        return self.distances[self.places]

    @property
    def last_distance(self) -> int | float:
        """Distance of the last of the k nearest items."""
        last: int | float = self.shown_distances[-1].item()
        return last

    def items_at(self, distance: int | float) -> int:
        """How many items of the whole database are at this distance."""
        return int(np.count_nonzero(self.distances == distance))

    def ranks(self, distance: int | float) -> tuple[int, int]:
        """First and last rank, from 1, that an item at this distance can have."""
        nearer = int(np.count_nonzero(self.distances < distance))
        return nearer + 1, nearer + self.items_at(distance)

    def votes(self, labels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Items of each class among the k nearest, int64 (classes,).

        Args:
            labels: uint8 0/1 (items, classes) of the database.
        """
        return labels[self.places].sum(axis=0, dtype=np.int64)

    def expected_votes(self, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Mean of :meth:`votes` over all orders of equal distances, float64 (classes,).

        Only the last distance is cut: each of its items is among the k nearest in the same
        share of the orders.

        Args:
            labels: uint8 0/1 (items, classes) of the database.
        """
        last = self.last_distance
        nearer = self.distances < last
        share = (len(self.places) - np.count_nonzero(nearer)) / self.items_at(last)
        return labels[nearer].sum(axis=0) + share * labels[self.distances == last].sum(axis=0)


def nearest(
    vector: Array, vectors: Representation, count: int, order: NDArray[np.int64] | None = None
) -> Ranking:
    """Rank a database for one query.

    Args:
        vector: a packed code, uint8 (ceil(bits / 8),), or a descriptor, float32 (L,).
        vectors: whose database is ranked.
        count: k, how many items are wanted.
        order: int64 (items,), numbers by which items at equal distances are sorted; None for the
            order of the database (the ``stable`` protocol of the papers' codes).

    Raises:
        MedhashError: the database has fewer items, or ``count`` is below 1.
    """
    check_count(vectors, count)
    distances = vectors.distances(vector[None])[0]
    keys = np.arange(len(distances)) if order is None else order
    return Ranking(np.lexsort((keys, distances))[:count], distances)


def check_count(vectors: Representation, count: int) -> None:
    """Refuse to look for more items than a database has.

    Raises:
        MedhashError: says how many it has.
    """
    items = len(vectors.database_rows)
    if not 1 <= count <= items:
        raise MedhashError(f"{count} results are asked for; the database has {items} images")


def drawn_order(lot: bytes, items: int) -> NDArray[np.int64]:
    """A random order of a database, always the same for the same ``lot``.

    Databases are mostly stored class by class, so that the first of many equal items tend to be
    of one class. Hashes, and not a generator, so that it never changes.

    Args:
        lot: what the order is drawn from.
        items: how many there are.

    Returns:
        int64 (items,), each number once.
    """
    draws = [hashlib.sha256(lot + place.to_bytes(8, "big")).digest() for place in range(items)]
    order = np.empty(items, np.int64)
    order[sorted(range(items), key=draws.__getitem__)] = np.arange(items)
    return order
