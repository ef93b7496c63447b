"""From images to codes (ACH Eq. 25) or descriptors, whatever the family of the method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.representation import Array, Representation

IMAGES_AT_ONCE = 256


class Encoder(ABC):
    """A trained method that gives each image a vector.

    Attributes:
        length: of a vector: bits of a code, numbers of a descriptor.
        distance: how vectors are compared; with ``hamming`` they are packed codes, uint8
            (n, ceil(length / 8)), bit 1 for +1 and for 0, else float32 (n, length).
    """

    length: int
    distance: str

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> Array:
        """Stored images, uint8 (n, T, T, 3), to vectors."""

    @abstractmethod
    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write all that it consists of as safetensors, with JSON-able facts."""

    @abstractmethod
    def machine(self) -> dict[str, Any]:
        """Where it encodes: ``device``, ``threads`` and ``precision``, as records say it."""

    def encode_rows(self, data_folder: Path, rows: NDArray[np.int64]) -> Array:
        """Vectors of the images at ``rows``; only ``IMAGES_AT_ONCE`` are in memory at a time."""
        images = PreparedDataset(data_folder).images
        starts = range(0, len(rows), IMAGES_AT_ONCE)
        return np.concatenate([self.encode(images[rows[s : s + IMAGES_AT_ONCE]]) for s in starts])

    def learned_codes(self) -> Array | None:
        """Codes of the training images, in their order, that the method learned by itself."""
        return None

    def packed(self, projected: Array) -> NDArray[np.uint8]:
        """The signs of numbers (n, length) as codes; sign(0) = +1."""
        return np.packbits(projected >= 0, axis=1)


def encode_split(encoder: Encoder, data_folder: Path, split: Path) -> Representation:
    """Codes or descriptors of a split's query set and database, in the order of the manifest."""
    labels = PreparedDataset(data_folder).labels
    query, database = rows_of(split, "query"), rows_of(split, "database")
    vectors = (
        encoder.encode_rows(data_folder, query),
        _database_vectors(encoder, data_folder, split, database),
    )
    shown: Any = (labels[query], labels[database], query, database)
    if encoder.distance == Codes.distance:
        return Codes(*vectors, encoder.length, *shown)
    return Descriptors(*vectors, encoder.distance, *shown)


def _database_vectors(
    encoder: Encoder, data_folder: Path, split: Path, database: NDArray[np.int64]
) -> Array:
    """The encoder's; for images whose code the method learned itself, that one."""
    vectors = encoder.encode_rows(data_folder, database)
    learned = encoder.learned_codes()
    if learned is not None:
        place = {row: index for index, row in enumerate(database)}
        for row, code in zip(rows_of(split, "train"), learned, strict=True):
            if row in place:
                vectors[place[row]] = code
    return vectors
