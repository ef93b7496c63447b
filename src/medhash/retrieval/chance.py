"""What answers that look at no image score: the floor, and the ceiling where labels are shared."""

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
    """Score answers that look at no image, exactly.

    Args:
        query_labels: uint8 (queries, C).
        database_labels: uint8 (items, C).
        cutoffs: the K of the metrics at K; those beyond the database's size are left out.
        map_at: what mAP@K is divided by. The expectation of a ratio has no closed form: with
            ``found`` there is no ``map_at``.

    Returns:
        ``random``: the expectation of a random order, in which all items are one tie;
        ``majority``: the same list for every query, first all items of the class that is most
        frequent in the database, then the others; and where two images can share several labels
        ``ideal``: the most shared first, for what ACG and weighted mAP can reach. Of each the
        means over the queries, keyed as by :func:`~medhash.retrieval.evaluation.evaluate` (``map``,
        ``map_weighted``, ``map_at``, …).
    """
    reached = [k for k in sorted(set(cutoffs)) if k <= len(database_labels)]
    most_frequent = database_labels[:, database_labels.sum(axis=0).argmax()] > 0
    counted = _counter(query_labels, database_labels)
    every = counted(np.ones(len(database_labels), bool))
    majority = np.stack([counted(most_frequent), counted(~most_frequent)], axis=1)
    answers = {"random": every[:, None], "majority": majority}
    if every.shape[1] > 2:
        answers["ideal"] = every[:, ::-1, None] * np.eye(every.shape[1], dtype=np.int64)[::-1]
    of_answers = {}
    for name, table in answers.items():
        scored = means(tie_aware_scores(Counts(table), reached, map_at))
        of_answers[name] = scored | ({"map_at": {}} if map_at == "found" else {})
    return of_answers


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
