"""The floor and the ceiling of every measure: what answers score that look at no image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.retrieval.counting import Counts
from medhash.retrieval.evaluation import means
from medhash.retrieval.metrics import MapAt, tie_aware_scores

Labels = NDArray[np.uint8]


def chance(
    query_labels: Labels,
    database_labels: Labels,
    cutoffs: Sequence[int],
    map_at: MapAt = "reachable",
) -> dict[str, dict[str, Any]]:
    """Score two answers that look at no image, exactly.

    Args:
        query_labels: uint8 (queries, C).
        database_labels: uint8 (items, C).
        cutoffs: the K of the metrics at K; those beyond the database's size are left out.
        map_at: what mAP@K is divided by. The expectation of a ratio has no closed form: with
            ``found`` there is no ``map_at``.

    Returns:
        ``random``: the expectation of a random order, in which all items are one tie;
        ``majority``: the same list for every query, first all items of the class that is most
        frequent in the database, then the others. Of each the means over the queries, keyed as by
        :func:`~medhash.retrieval.evaluation.evaluate` (``map``, ``map_weighted``, ``map_at``, …).
    """
    reached = [k for k in sorted(set(cutoffs)) if k <= len(database_labels)]
    most_frequent = database_labels[:, database_labels.sum(axis=0).argmax()] > 0
    answers: dict[str, list[NDArray[np.bool_]]] = {
        "random": [np.ones(len(database_labels), bool)],
        "majority": [most_frequent, ~most_frequent],
    }
    counted = _counter(query_labels, database_labels)
    of_answers = {}
    for name, ties in answers.items():
        counts = Counts(np.stack([*map(counted, ties)], axis=1))
        scored = means(tie_aware_scores(counts, reached, map_at))
        of_answers[name] = scored | ({"map_at": {}} if map_at == "found" else {})
    return of_answers


def ideal(
    query_labels: Labels,
    database_labels: Labels,
    cutoffs: Sequence[int],
    map_at: MapAt = "reachable",
) -> dict[str, Any]:
    """Score the ideal order: what shares more labels with the query comes first.

    No order has a higher NDCG (1) or ACG. Arguments and result are those of one answer of
    :func:`chance`.
    """
    reached = [k for k in sorted(set(cutoffs)) if k <= len(database_labels)]
    by_shared = _counter(query_labels, database_labels)(np.ones(len(database_labels), bool))
    # One tie for each number of shared labels, most of them first.
    ties = by_shared[:, ::-1, None] * np.eye(by_shared.shape[1], dtype=np.int64)[::-1]
    scored = means(tie_aware_scores(Counts(ties), reached, "k" if map_at == "k" else "reachable"))
    return scored | ({"map_at": {}} if map_at == "found" else {})


def _counter(
    query_labels: Labels, database_labels: Labels
) -> Callable[[NDArray[np.bool_]], NDArray[np.int64]]:
    """Counts a part of the database by the labels shared with each query: (queries, most + 1)."""
    kinds, kind_of = np.unique(query_labels, axis=0, return_inverse=True)
    sets, set_of = np.unique(database_labels, axis=0, return_inverse=True)
    shared = kinds.astype(np.int64) @ sets.T.astype(np.int64)

    def counted(part: NDArray[np.bool_]) -> NDArray[np.int64]:
        sizes = np.bincount(set_of.ravel()[part], minlength=len(sets))
        table = np.zeros((len(kinds), shared.max() + 1), np.int64)
        np.add.at(table, (np.arange(len(kinds))[:, None], shared), sizes[None, :])
        return np.asarray(table[kind_of.ravel()])

    return counted
