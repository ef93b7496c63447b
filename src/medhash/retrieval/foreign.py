"""Make sense of codes, descriptors and labels that anybody saved.

Accepted codes, an array (n, q): -1/+1, 0/1, booleans, or floats whose sign is the code; in all of
them a bit is 1 where the value is greater than 0, so an exact 0 is read as -1. Or packed bytes,
uint8 (n, ceil(q / 8)) in ``numpy.packbits`` order, with a scalar ``bits``.

Accepted descriptors, an array (n, L): any real numbers, which are taken as float32.

Accepted labels: class ids (n,), whole numbers or text; or a 0/1 matrix (n, classes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.hamming import MAX_BITS, pack, packed_width, padding_is_clear

Array = NDArray[Any]
LabelMatrices = tuple[NDArray[np.uint8], NDArray[np.uint8]]

# A one-hot matrix of this many cells takes two gigabytes; beyond it the ids are hardly classes.
_MOST_LABEL_CELLS = 1 << 31


def bit_length(bits: Array) -> int:
    """The scalar ``bits`` as a number.

    Raises:
        MedhashError: it is not one whole number from 1 to 65535.
    """
    if bits.size != 1 or bits.dtype.kind not in "iu" or not 1 <= bits.item() <= MAX_BITS:
        raise MedhashError(
            f"bits must be one whole number from 1 to {MAX_BITS}, not {bits.tolist()!r}"
        )
    return int(bits.item())


def packed_codes(name: str, codes: Array, bits: int | None) -> tuple[NDArray[np.uint8], int]:
    """Any accepted form of codes as packed bytes.

    Args:
        name: what the array is called, for messages.
        codes: shape (n, q) unpacked or (n, ceil(q / 8)) packed.
        bits: q where the file says it; packed codes are recognised only with it.

    Returns:
        uint8 (n, ceil(q / 8)), and q.

    Raises:
        MedhashError: no accepted form fits, or more than one does.
    """
    if codes.ndim != 2 or not codes.size:
        raise MedhashError(f"{name} must be a filled array (items, bits), not {codes.shape}")
    if bits is not None and _is_packed(codes, bits):
        if not padding_is_clear(codes, bits):
            raise MedhashError(
                f"{name} has bits set beyond bit {bits}: wrong bits, or not numpy.packbits order"
            )
        return np.ascontiguousarray(codes), bits
    if bits is not None and codes.shape[1] != bits:
        raise MedhashError(
            f"{name} is {codes.shape[1]} wide: with bits = {bits} it must be uint8 of width "
            f"{packed_width(bits)} (packed) or have {bits} columns"
        )
    if codes.shape[1] > MAX_BITS:
        raise MedhashError(f"{name} has {codes.shape[1]} bits; at most {MAX_BITS} can be read")
    _check_unpacked(name, codes)
    return pack(codes), codes.shape[1]


def float_vectors(name: str, vectors: Array) -> NDArray[np.float32]:
    """Descriptors of any real type as float32 (n, L).

    Raises:
        MedhashError: they are no filled matrix of numbers.
    """
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "biuf":
        raise MedhashError(
            f"{name} must be a filled array of numbers (items, L), "
            f"not {vectors.dtype} {vectors.shape}"
        )
    return vectors.astype(np.float32)


def check_signs(query_codes: Array, database_codes: Array) -> None:
    """Refuse floats that look like probabilities: their signs would all be +1.

    Raises:
        MedhashError: no value is negative, and some lie between 0 and 1 or above 1.
    """
    both = (query_codes, database_codes)
    floats = [codes for codes in both if codes.dtype.kind == "f"]
    unsigned = all(codes.min() >= 0 for codes in both)
    if unsigned and not all(np.isin(codes, (0, 1)).all() for codes in floats):
        raise MedhashError(
            "query_codes and database_codes hold floats and none is negative, so they cannot "
            "be signed; subtract the threshold (0.5 for probabilities) or save 0/1"
        )


def label_matrices(query_labels: Array, database_labels: Array) -> LabelMatrices:
    """Any accepted form of labels as two 0/1 matrices with the same classes.

    Args:
        query_labels: class ids (queries,) or a 0/1 matrix (queries, classes).
        database_labels: the same for the database.

    Returns:
        uint8 (queries, classes) and uint8 (items, classes). Class ids become columns in sorted
        order of all ids that occur.

    Raises:
        MedhashError: no accepted form fits, more than one does, or the two sides differ.
    """
    _check_labels("query_labels", query_labels)
    _check_labels("database_labels", database_labels)
    query, database = _flat_where_columns(query_labels, database_labels)
    if query.ndim != database.ndim:
        raise MedhashError(
            f"query_labels {query.shape} and database_labels {database.shape} differ in kind: "
            "both must be class ids, or both a 0/1 matrix"
        )
    if query.ndim == 1:
        return _one_hot(query, database)
    if query.shape[1] != database.shape[1]:
        raise MedhashError(
            f"query_labels has {query.shape[1]} classes, database_labels {database.shape[1]}"
        )
    return _zero_one("query_labels", query), _zero_one("database_labels", database)


def _is_packed(codes: Array, bits: int) -> bool:
    if codes.dtype != np.uint8 or codes.shape[1] != packed_width(bits):
        return False
    # One bit in one column can be packed (0, 128) or not (0, 1); both read zeros alike.
    return bits != 1 or int(codes.max()) > 1


def _check_unpacked(name: str, codes: Array) -> None:
    if codes.dtype.kind == "f":
        if not np.isfinite(codes).all():
            raise MedhashError(f"{name} holds NaN or infinite values")
    elif codes.dtype.kind in "iu":
        if not np.isin(codes, (-1, 0, 1)).all():
            packed = codes.dtype == np.uint8
            hint = "; packed codes need the scalar bits in the file" if packed else ""
            raise MedhashError(f"{name} holds whole numbers other than -1, 0 and 1{hint}")
    elif codes.dtype.kind != "b":
        raise MedhashError(f"{name} is of type {codes.dtype}; codes are numbers or booleans")


def _check_labels(name: str, labels: Array) -> None:
    if labels.ndim not in (1, 2) or not labels.size:
        raise MedhashError(
            f"{name} must be filled: class ids (items,) or 0/1 (items, classes), not {labels.shape}"
        )
    if labels.dtype.kind not in "biufUS":
        raise MedhashError(f"{name} is of type {labels.dtype}; labels are numbers or text")
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.round(labels))).all():
        raise MedhashError(f"{name} holds NaN, infinite or fractional values")


def _flat_where_columns(query: Array, database: Array) -> tuple[Array, Array]:
    """Class ids saved as one column (n, 1) become flat; a column of 0 and 1 could be either."""
    both = (query, database)
    if not all(labels.ndim == 1 or labels.shape[1] == 1 for labels in both):
        return both
    if all(labels.ndim == 2 and _only_zero_one(labels) for labels in both):
        raise MedhashError(
            "query_labels and database_labels are one column of 0 and 1: class ids or one class? "
            "save class ids as a flat array (items,), or a column for each class"
        )
    return query.reshape(-1), database.reshape(-1)


def _only_zero_one(labels: Array) -> bool:
    return labels.dtype.kind not in "US" and bool(np.isin(labels, (0, 1)).all())


def _zero_one(name: str, labels: Array) -> NDArray[np.uint8]:
    if not _only_zero_one(labels):
        raise MedhashError(
            f"{name} is a matrix {labels.shape} with values other than 0 and 1; "
            "class ids must be a flat array (items,)"
        )
    return labels.astype(np.uint8)


def _one_hot(query: Array, database: Array) -> LabelMatrices:
    if (query.dtype.kind in "US") != (database.dtype.kind in "US"):
        raise MedhashError("query_labels and database_labels differ in kind: numbers and text")
    query_ids, query_index = np.unique(query, return_inverse=True)
    database_ids, database_index = np.unique(database, return_inverse=True)
    # As Python values: numpy would join int64 and uint64 ids as floats and mix up large ones.
    names = [_plain(query_ids), _plain(database_ids)]
    column = {name: place for place, name in enumerate(sorted({*names[0], *names[1]}))}
    if (query.size + database.size) * len(column) > _MOST_LABEL_CELLS:
        raise MedhashError(f"query_labels and database_labels name {len(column)} classes: too many")
    places = [np.array([column[name] for name in side]) for side in names]
    return (
        _mark(places[0][query_index], len(column)),
        _mark(places[1][database_index], len(column)),
    )


def _plain(ids: Array) -> list[Any]:
    values = ids.tolist()
    if ids.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in values]
    return values


def _mark(columns: NDArray[np.int64], classes: int) -> NDArray[np.uint8]:
    matrix = np.zeros((columns.size, classes), dtype=np.uint8)
    matrix[np.arange(columns.size), columns] = 1
    return matrix
