"""The descriptors (float vectors) of a query set and a database, and the file they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.representation import Array, Representation

Distance = Literal["euclidean", "cosine"]
DISTANCES: tuple[str, ...] = get_args(Distance)

_WRITTEN = 8


@dataclass(frozen=True, eq=False)
class Descriptors(Representation):
    """Float vectors and labels of one cell, or of anybody's method.

    Attributes:
        query_descriptors: float32 (queries, L).
        database_descriptors: float32 (items, L).
        distance: ``euclidean``, or ``cosine``: 1 minus the cosine of the angle.
        query_labels: uint8 0/1 (queries, classes).
        database_labels: uint8 0/1 (items, classes).
        query_rows: int64 (queries,), the row of each query in the dataset's index.csv.
        database_rows: int64 (items,), the same for the database.

    Raises:
        MedhashError: an array has another type or shape, a set is empty, a label is neither 0 nor
            1, a number is not finite, the distance is unknown, or a vector of zeros meets
            ``cosine``.
    """

    NOUN: ClassVar[str] = "descriptors"

    query_descriptors: NDArray[np.float32]
    database_descriptors: NDArray[np.float32]
    distance: str
    query_labels: NDArray[np.uint8]
    database_labels: NDArray[np.uint8]
    query_rows: NDArray[np.int64]
    database_rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise MedhashError(f"distance is one of {', '.join(DISTANCES)}, not {self.distance!r}")
        if self.database_descriptors.ndim != 2 or not self.database_descriptors.size:
            shape = self.database_descriptors.shape
            raise MedhashError(f"database_descriptors must be filled (items, L), not {shape}")
        self._check(np.float32, self.length)
        for side in ("query", "database"):
            vectors = getattr(self, f"{side}_descriptors")
            if not np.isfinite(vectors).all():
                raise MedhashError(f"{side}_descriptors holds NaN or infinite values")
            if self.distance == "cosine" and not vectors.any(axis=1).all():
                raise MedhashError(
                    f"{side}_descriptors holds a vector of zeros, which has no direction: "
                    "its cosine distance is undefined"
                )

    @property
    def length(self) -> int:
        """L."""
        return self.database_descriptors.shape[1]

    def distances(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distances of float32 (n, L) to the database, each pair's summed by itself in float64.

        A matrix product would be faster, but rounds by the place in the matrix: equal vectors
        would not be tied.
        """
        return self._compared(vectors, self._database)

    def between(
        self, vectors: NDArray[np.float32], others: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The same distances of float32 (n, L) to float32 (m, L)."""
        return self._compared(vectors, np.ascontiguousarray(self._comparable(others).T))

    def written(self, vector: NDArray[np.float32]) -> str:
        """Its first numbers."""
        first = " ".join(f"{number:.4g}" for number in vector[:_WRITTEN])
        return first if self.length <= _WRITTEN else f"{first} …"

    @classmethod
    def scalar_readers(cls) -> dict[str, Any]:
        """The file holds ``distance``."""
        return {"distance": distance_name}

    def _scalars(self) -> dict[str, Array]:
        return {"distance": np.array(self.distance)}

    @cached_property
    def _database(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self._comparable(self.database_descriptors).T)

    def _compared(
        self, vectors: NDArray[np.float32], others: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        from medhash.retrieval.kernels import squared_distances

        squares = squared_distances(self._comparable(vectors), others)
        if self.distance == "cosine":  # |u - v|^2 / 2 of unit vectors
            return np.asarray(squares / 2)
        return np.asarray(np.sqrt(squares))

    def _comparable(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        exact = vectors.astype(np.float64)
        if self.distance == "cosine":
            exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        return exact


def distance_name(value: Array) -> str:
    """The scalar ``distance`` as text.

    Raises:
        MedhashError: it is not the name of a distance of descriptors.
    """
    if value.size != 1 or value.dtype.kind != "U" or value.item() not in DISTANCES:
        raise MedhashError(
            f"distance must be one of {', '.join(DISTANCES)}, not {value.tolist()!r}"
        )
    return str(value.item())
