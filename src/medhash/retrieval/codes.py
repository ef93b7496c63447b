"""The binary codes of a query set and a database, and the files that they are kept in.

A code of q bits is packed by ``numpy.packbits`` (first bit highest) into ceil(q / 8) bytes; bit 1
stands for +1 and bit 0 for -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.arrays import read_arrays, write_arrays
from medhash.retrieval.foreign import bit_length, check_signs, label_matrices, packed_codes
from medhash.retrieval.hamming import MAX_BITS, packed_width, padding_is_clear


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes and labels of one cell, or of anybody's method.

    Attributes:
        query_codes: packed, uint8 (queries, ceil(bits / 8)).
        database_codes: packed, uint8 (items, ceil(bits / 8)).
        bits: q, the length of a code.
        query_labels: uint8 0/1 (queries, classes).
        database_labels: uint8 0/1 (items, classes).
        query_rows: int64 (queries,), the row of each query in the dataset's index.csv.
        database_rows: int64 (items,), the same for the database.

    Raises:
        MedhashError: an array has another type or shape, a set is empty, a label is neither 0 nor
            1, or the bits that fill up a code's last byte are not 0.
    """

    query_codes: NDArray[np.uint8]
    database_codes: NDArray[np.uint8]
    bits: int
    query_labels: NDArray[np.uint8]
    database_labels: NDArray[np.uint8]
    query_rows: NDArray[np.int64]
    database_rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise MedhashError(f"bits must be from 1 to {MAX_BITS}, not {self.bits}")
        for side in ("query", "database"):
            self._check_side(side)
        classes = self.query_labels.shape[1], self.database_labels.shape[1]
        if classes[0] != classes[1]:
            raise MedhashError(
                f"query_labels has {classes[0]} classes, database_labels {classes[1]}"
            )

    def save(self, path: Path) -> None:
        """Write ``codes.npz``, whole or not at all; equal codes give equal bytes."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        write_arrays(path, arrays | {"bits": np.array(self.bits, dtype=np.int64)})

    @classmethod
    def load(cls, path: Path) -> Codes:
        """Read what :meth:`save` wrote.

        Raises:
            MedhashError: the file is missing, damaged, or not of medhash's own form.
        """
        arrays = read_arrays(path, [*_ARRAYS, "bits"])
        with _naming(path):
            bits = bit_length(arrays.pop("bits"))
            return cls(**arrays, bits=bits)

    def _check_side(self, side: str) -> None:
        codes, labels = getattr(self, f"{side}_codes"), getattr(self, f"{side}_labels")
        if labels.ndim != 2 or not labels.size:
            raise MedhashError(f"{side}_labels must be filled (items, classes), not {labels.shape}")
        items = len(labels)
        _check_array(f"{side}_codes", codes, np.uint8, (items, packed_width(self.bits)))
        _check_array(f"{side}_labels", labels, np.uint8, labels.shape)
        _check_array(f"{side}_rows", getattr(self, f"{side}_rows"), np.int64, (items,))
        if labels.max() > 1:
            raise MedhashError(f"{side}_labels has values other than 0 and 1")
        if not padding_is_clear(codes, self.bits):
            raise MedhashError(f"{side}_codes has bits set beyond bit {self.bits}")


_ARRAYS = (
    "query_codes",
    "database_codes",
    "query_labels",
    "database_labels",
    "query_rows",
    "database_rows",
)


def read_foreign(path: Path) -> Codes:
    """Read anybody's codes from an ``.npz`` file.

    It needs the arrays ``query_codes``, ``query_labels``, ``database_codes`` and
    ``database_labels``; which forms they may have is said in ``medhash.retrieval.foreign``. Rows
    are numbered in the order of the file. medhash's own files are read as well.

    Args:
        path: the file.

    Raises:
        MedhashError: the file or an array in it cannot be read, the arrays do not fit together,
            or they can be understood in more than one way.
    """
    names = ("query_codes", "query_labels", "database_codes", "database_labels")
    arrays = read_arrays(path, names, optional=("bits",))
    with _naming(path):
        bits = bit_length(arrays["bits"]) if "bits" in arrays else None
        query, query_bits = packed_codes("query_codes", arrays["query_codes"], bits)
        database, database_bits = packed_codes("database_codes", arrays["database_codes"], bits)
        check_signs(arrays["query_codes"], arrays["database_codes"])
        if query_bits != database_bits:
            raise MedhashError(f"query_codes has {query_bits} bits, database_codes {database_bits}")
        labels = label_matrices(arrays["query_labels"], arrays["database_labels"])
        _check_counts("query", query, labels[0])
        _check_counts("database", database, labels[1])
        rows = np.arange(len(query)), np.arange(len(database))
        return Codes(query, database, query_bits, *labels, *rows)


def _check_counts(side: str, codes: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    if len(codes) != len(labels):
        raise MedhashError(f"{side}_codes has {len(codes)} items, {side}_labels {len(labels)}")


def _check_array(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise MedhashError(
            f"{name} is {array.dtype} {array.shape}; {np.dtype(dtype)} {shape} is needed"
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before an error about what is in it."""
    try:
        yield
    except MedhashError as error:
        raise MedhashError(f"{path}: {error}") from error
