"""The binary codes of a query set and a database, and the file that they are kept in.

A code of q bits is packed by ``numpy.packbits`` (first bit highest) into ceil(q / 8) bytes; bit 1
stands for +1 and bit 0 for -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.foreign import bit_length
from medhash.retrieval.hamming import (
    MAX_BITS,
    as_words,
    distances,
    packed_width,
    padding_is_clear,
    word_distances,
)
from medhash.retrieval.representation import Array, Representation


@dataclass(frozen=True, eq=False)
class Codes(Representation):
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

    NOUN: ClassVar[str] = "codes"
    distance: ClassVar[str] = "hamming"

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
        self._check(np.uint8, packed_width(self.bits))
        for side in ("query", "database"):
            if not padding_is_clear(getattr(self, f"{side}_codes"), self.bits):
                raise MedhashError(f"{side}_codes has bits set beyond bit {self.bits}")

    @property
    def length(self) -> int:
        """Q."""
        return self.bits

    def distances(self, vectors: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Hamming distances of packed codes, uint8 (n, ceil(q / 8)), to the database."""
        return word_distances(as_words(vectors), self._database_words)

    def between(self, vectors: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Hamming distances between packed codes."""
        return distances(vectors, others)

    def written(self, vector: NDArray[np.uint8]) -> str:
        """The bits, first one first: ``01101001``."""
        return "".join(map(str, np.unpackbits(vector, count=self.bits)))

    @classmethod
    def scalar_readers(cls) -> dict[str, Any]:
        """The file holds ``bits``."""
        return {"bits": bit_length}

    def _scalars(self) -> dict[str, Array]:
        return {"bits": np.array(self.bits, dtype=np.int64)}

    @cached_property
    def _database_words(self) -> NDArray[np.uint64]:
        return as_words(self.database_codes)
