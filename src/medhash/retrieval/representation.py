"""What codes and descriptors have in common: vectors of a query set and a database, with labels.

Ranking and scoring ask nothing else of them than distances; only :class:`~.codes.Codes` and
:class:`~.descriptors.Descriptors` know how their vectors are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.arrays import read_arrays, write_arrays

Array = NDArray[Any]


class Representation(ABC):
    """Vectors and labels of one cell, or of anybody's method.

    Attributes:
        NOUN: what the vectors are called: ``codes``; their arrays are ``query_codes`` and
            ``database_codes``, a cell's file is ``codes.npz``.
        query_labels: uint8 0/1 (queries, classes).
        database_labels: uint8 0/1 (items, classes).
        query_rows: int64 (queries,), the row of each query in the dataset's index.csv.
        database_rows: int64 (items,), the same for the database.
        distance: the name of the distance: ``hamming``, ``euclidean`` or ``cosine``.
    """

    NOUN: ClassVar[str]
    query_labels: NDArray[np.uint8]
    database_labels: NDArray[np.uint8]
    query_rows: NDArray[np.int64]
    database_rows: NDArray[np.int64]

    if TYPE_CHECKING:
        # A field of descriptors, a constant of codes.
        @property
        def distance(self) -> str:  # noqa: D102
            ...

    @property
    @abstractmethod
    def length(self) -> int:
        """Length of a vector: bits of a code, numbers of a descriptor."""

    @property
    def length_text(self) -> str:
        """``32 bits``, or ``512 numbers, euclidean distance``."""
        return length_text(self.length, self.distance)

    @abstractmethod
    def distances(self, vectors: Array) -> Array:
        """Distance of some vectors, kept as those of the queries are, to every database item.

        Args:
            vectors: (n, width), of the type and width of the query set's.

        Returns:
            (n, items): uint16 Hamming distances, float64 others. Equal vectors have exactly
            equal distances, wherever they stand.
        """

    @abstractmethod
    def between(self, vectors: Array, others: Array) -> Array:
        """The same distances of vectors (n, width) to others than the database's, (n, m)."""

    @abstractmethod
    def written(self, vector: Array) -> str:
        """A vector (width,) as text."""

    @abstractmethod
    def _scalars(self) -> dict[str, Array]:
        """What beside the arrays goes into the file, by the name of the attribute."""

    @property
    def query_vectors(self) -> Array:
        """The query set's vectors, (queries, width)."""
        vectors: Array = getattr(self, f"query_{self.NOUN}")
        return vectors

    @property
    def database_vectors(self) -> Array:
        """The database's vectors, (items, width)."""
        vectors: Array = getattr(self, f"database_{self.NOUN}")
        return vectors

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        """The arrays that belong to one image each, in the order of the file."""
        names = (cls.NOUN, "labels", "rows")
        return tuple(f"{side}_{name}" for name in names for side in ("query", "database"))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; equal vectors and labels give equal bytes."""
        arrays = {name: getattr(self, name) for name in self.array_names()}
        write_arrays(path, arrays | self._scalars())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            MedhashError: the file is missing, damaged, or not of medhash's own form.
        """
        scalars = cls.scalar_readers()
        arrays = read_arrays(path, [*cls.array_names(), *scalars])
        with naming(path):
            read = {name: reader(arrays.pop(name)) for name, reader in scalars.items()}
            return cls(**arrays, **read)

    @classmethod
    @abstractmethod
    def scalar_readers(cls) -> dict[str, Any]:
        """Attribute -> what makes it of the scalar array in the file, or refuses it."""

    def _check(self, dtype: Any, width: int) -> None:
        """Check types and shapes of all arrays.

        Raises:
            MedhashError: one does not fit; the message names it.
        """
        for side in ("query", "database"):
            labels = getattr(self, f"{side}_labels")
            if labels.ndim != 2 or not labels.size:
                raise MedhashError(
                    f"{side}_labels must be filled (items, classes), not {labels.shape}"
                )
            shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
                self.NOUN: (dtype, (len(labels), width)),
                "labels": (np.uint8, labels.shape),
                "rows": (np.int64, (len(labels),)),
            }
            for name, (wanted, shape) in shapes.items():
                _check_array(f"{side}_{name}", getattr(self, f"{side}_{name}"), wanted, shape)
            if labels.max() > 1:
                raise MedhashError(f"{side}_labels has values other than 0 and 1")
        classes = self.query_labels.shape[1], self.database_labels.shape[1]
        if classes[0] != classes[1]:
            raise MedhashError(
                f"query_labels has {classes[0]} classes, database_labels {classes[1]}"
            )


def length_text(length: int, distance: str) -> str:
    """``32 bits``, or ``512 numbers, euclidean distance``."""
    if distance == "hamming":
        return f"{length} bit{'s' * (length != 1)}"
    return f"{length} number{'s' * (length != 1)}, {distance} distance"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before an error about what is in it."""
    try:
        yield
    except MedhashError as error:
        raise MedhashError(f"{path}: {error}") from error


def _check_array(name: str, array: Array, dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise MedhashError(
            f"{name} is {array.dtype} {array.shape}; {np.dtype(dtype)} {shape} is needed"
        )
