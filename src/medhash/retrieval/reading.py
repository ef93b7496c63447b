"""Codes or descriptors from a file: whichever it holds, a cell's own or anybody's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.arrays import array_names, read_arrays
from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors, distance_name
from medhash.retrieval.foreign import (
    Array,
    bit_length,
    check_signs,
    float_vectors,
    label_matrices,
    packed_codes,
)
from medhash.retrieval.representation import Representation, naming

KINDS: tuple[type[Representation], ...] = (Codes, Descriptors)


def load(path: Path) -> Representation:
    """Read what a cell's training wrote: codes or descriptors, as the arrays' names say.

    Raises:
        MedhashError: the file is missing, damaged, or not of medhash's own form.
    """
    return (Descriptors if _holds_descriptors(path) else Codes).load(path)


def read_foreign(path: Path) -> Representation:
    """Read anybody's codes or descriptors from an ``.npz`` file.

    It needs the arrays ``query_codes`` and ``database_codes``, or ``query_descriptors`` and
    ``database_descriptors``, and ``query_labels`` and ``database_labels``; which forms they may
    have is said in ``medhash.retrieval.foreign``. Rows are numbered in the order of the file.
    medhash's own files are read as well.

    Args:
        path: the file.

    Raises:
        MedhashError: the file or an array in it cannot be read, the arrays do not fit together,
            or they can be understood in more than one way.
    """
    kind = Descriptors if _holds_descriptors(path) else Codes
    scalar = "distance" if kind is Descriptors else "bits"
    names = [name for name in kind.array_names() if not name.endswith("_rows")]
    arrays = read_arrays(path, names, optional=(scalar,))
    with naming(path):
        return _descriptors(arrays) if kind is Descriptors else _codes(arrays)


def _holds_descriptors(path: Path) -> bool:
    names = array_names(path)
    held = [kind.NOUN for kind in KINDS if {f"query_{kind.NOUN}"} & names]
    if len(held) > 1:
        raise MedhashError(f"{path}: holds codes and descriptors; save them in two files")
    return held == [Descriptors.NOUN]


def _codes(arrays: dict[str, Array]) -> Codes:
    bits = bit_length(arrays["bits"]) if "bits" in arrays else None
    query, query_bits = packed_codes("query_codes", arrays["query_codes"], bits)
    database, database_bits = packed_codes("database_codes", arrays["database_codes"], bits)
    check_signs(arrays["query_codes"], arrays["database_codes"])
    if query_bits != database_bits:
        raise MedhashError(f"query_codes has {query_bits} bits, database_codes {database_bits}")
    labels = _labels("codes", arrays, query, database)
    return Codes(query, database, query_bits, *labels, *_numbered(query, database))


def _descriptors(arrays: dict[str, Array]) -> Descriptors:
    distance = distance_name(arrays["distance"]) if "distance" in arrays else "euclidean"
    query = float_vectors("query_descriptors", arrays["query_descriptors"])
    database = float_vectors("database_descriptors", arrays["database_descriptors"])
    if query.shape[1] != database.shape[1]:
        raise MedhashError(
            f"query_descriptors is {query.shape[1]} long, database_descriptors {database.shape[1]}"
        )
    labels = _labels("descriptors", arrays, query, database)
    return Descriptors(query, database, distance, *labels, *_numbered(query, database))


def _labels(
    noun: str, arrays: dict[str, Array], *vectors: Array
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    labels = label_matrices(arrays["query_labels"], arrays["database_labels"])
    for side, own, items in zip(("query", "database"), labels, vectors, strict=True):
        if len(own) != len(items):
            raise MedhashError(f"{side}_{noun} has {len(items)} items, {side}_labels {len(own)}")
    return labels


def _numbered(*vectors: Array) -> list[NDArray[np.int64]]:
    return [np.arange(len(each)) for each in vectors]
