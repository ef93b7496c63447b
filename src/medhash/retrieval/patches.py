"""Codes of lesion patches in the place of those of whole query images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes


def patch_scores(
    codes: Codes,
    rows: NDArray[np.int64],
    patch_codes: NDArray[np.uint8],
    classes: Sequence[str],
    score: Callable[[Codes], float],
) -> dict[str, Any]:
    """Score patches and their whole images: over all, and over the patches of each class.

    Args:
        codes: of whole images.
        rows: int64 (n,), the patches' images as rows of the dataset's index.
        patch_codes: packed, uint8 (n, ceil(q / 8)).
        classes: names of the C classes.
        score: of codes, over all their queries.

    Returns:
        ``precision_at_10`` with ``patches`` and ``images``; ``by_class`` with the same and
        ``count`` of each class, which has no scores without a patch; ``relevant_share``, the mean
        share of the database that is relevant to a patch.

    Raises:
        MedhashError: an image is no query of the codes.
    """
    whole = _queries_at(codes, rows)
    queries = {"patches": replace(whole, query_codes=patch_codes), "images": whole}
    by_class = {}
    for name, column in zip(classes, whole.query_labels.T, strict=True):
        own = np.flatnonzero(column)
        values = {k: score(_take(each, own)) for k, each in queries.items() if len(own)}
        by_class[name] = {"count": len(own), **values}
    shared = whole.query_labels.astype(np.int64) @ whole.database_labels.T
    return {
        "precision_at_10": {name: score(each) for name, each in queries.items()},
        "by_class": by_class,
        "relevant_share": float((shared > 0).mean()),
    }


def _queries_at(codes: Codes, rows: NDArray[np.int64]) -> Codes:
    """The codes with these query images alone, once for each patch."""
    places = {int(row): place for place, row in enumerate(codes.query_rows)}
    for row in rows.tolist():
        if row not in places:
            raise MedhashError(f"codes: lack the query in row {row}; train the cell again")
    return _take(codes, np.array([places[row] for row in rows.tolist()]))


def _take(codes: Codes, places: NDArray[Any]) -> Codes:
    return replace(
        codes,
        query_codes=codes.query_codes[places],
        query_labels=codes.query_labels[places],
        query_rows=codes.query_rows[places],
    )
