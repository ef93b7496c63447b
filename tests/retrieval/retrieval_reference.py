"""Slow and obvious references for the retrieval tests: loops over the definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.hamming import pack


def make_codes(query, database, query_labels, database_labels) -> Codes:
    """Codes from -1/+1 or 0/1 arrays and 0/1 label matrices."""
    query, database = np.asarray(query), np.asarray(database)
    return Codes(
        pack(query),
        pack(database),
        query.shape[1],
        np.asarray(query_labels, dtype=np.uint8),
        np.asarray(database_labels, dtype=np.uint8),
        np.arange(len(query)),
        np.arange(len(database)),
    )


def random_arrays(seed, bits, queries, items, classes, multi_label):
    """Random -1/+1 codes and 0/1 labels: query, database, query labels, database labels."""
    rng = np.random.default_rng(seed)
    query = np.where(rng.random((queries, bits)) < 0.5, -1, 1)
    database = np.where(rng.random((items, bits)) < 0.5, -1, 1)
    if multi_label:
        query_labels = (rng.random((queries, classes)) < 0.3).astype(int)
        database_labels = (rng.random((items, classes)) < 0.3).astype(int)
    else:
        query_labels = np.eye(classes, dtype=int)[rng.integers(0, classes, queries)]
        database_labels = np.eye(classes, dtype=int)[rng.integers(0, classes, items)]
    return query, database, query_labels, database_labels


def make_descriptors(query, database, query_labels, database_labels, distance="euclidean"):
    """Descriptors from vectors and 0/1 label matrices."""
    query, database = np.asarray(query, np.float32), np.asarray(database, np.float32)
    return Descriptors(
        query,
        database,
        distance,
        np.asarray(query_labels, np.uint8),
        np.asarray(database_labels, np.uint8),
        np.arange(len(query)),
        np.arange(len(database)),
    )


def random_vectors(seed, length, queries, items, classes, multi_label, tied):
    """Random vectors with labels; of tied ones, many are equal or equally far."""
    rng = np.random.default_rng(seed)
    labels = random_arrays(seed, 1, queries, items, classes, multi_label)[2:]
    shapes = (queries, length), (items, length)
    if tied:
        vectors = [rng.integers(-1, 2, shape) for shape in shapes]
        return (*(v + 2 * (v == 0).all(axis=1, keepdims=True) for v in vectors), *labels)
    return (*(rng.normal(size=shape) for shape in shapes), *labels)


def random_codes(*arguments) -> Codes:
    return make_codes(*random_arrays(*arguments))


def distance(first, second) -> int:
    return sum(int(a != b) for a, b in zip(first, second, strict=True))


def shared_labels(first, second) -> int:
    return sum(int(a == 1 and b == 1) for a, b in zip(first, second, strict=True))


def tied_lists(distances: list[int], shared: list[int]) -> Iterator[list[int]]:
    """Every list of shared-label counts that sorting by distance can give."""
    ties = [
        [s for d, s in zip(distances, shared, strict=True) if d == level]
        for level in sorted(set(distances))
    ]
    for orders in itertools.product(*(itertools.permutations(tie) for tie in ties)):
        yield [s for tie in orders for s in tie]


def stable_list(distances: list[int], shared: list[int]) -> list[int]:
    return [s for _, _, s in sorted(zip(distances, range(len(shared)), shared, strict=True))]


def scores_of_list(shared: list[int], cutoffs: list[int]) -> dict[str, float]:
    """Every metric of one ranked list, from its definition."""
    relevant = sum(s > 0 for s in shared)
    scores = {"map": 0.0, "map_weighted": 0.0}
    for rank, s in enumerate(shared, start=1):
        if s > 0:
            scores["map"] += sum(x > 0 for x in shared[:rank]) / rank / relevant
            scores["map_weighted"] += sum(shared[:rank]) / rank / relevant
    for k in cutoffs:
        scores |= _scores_at(shared, k, relevant)
    return scores


def _scores_at(shared: list[int], k: int, relevant: int) -> dict[str, float]:
    found = sum(s > 0 for s in shared[:k])
    precisions = [
        sum(x > 0 for x in shared[:rank]) / rank
        for rank, s in enumerate(shared[:k], start=1)
        if s > 0
    ]
    best = _dcg(sorted(shared, reverse=True)[:k])
    return {
        f"map_at {k}": sum(precisions) / min(relevant, k) if relevant else 0.0,
        f"precision_at {k}": found / k,
        f"recall_at {k}": found / relevant if relevant else 0.0,
        f"ndcg_at {k}": _dcg(shared[:k]) / best if best else 0.0,
        f"acg_at {k}": sum(shared[:k]) / k,
        f"hit_ratio_at {k}": float(found > 0),
        f"mrr_at {k}": next((1 / rank for rank, s in enumerate(shared[:k], 1) if s > 0), 0.0),
    }


def _dcg(shared: list[int]) -> float:
    return sum((2**s - 1) / math.log2(1 + rank) for rank, s in enumerate(shared, start=1))


def flattened(metrics: dict) -> dict[str, float]:
    """The scalar metrics of an evaluation, cutoffs in the key as in :func:`scores_of_list`."""
    flat = {"map": metrics["map"], "map_weighted": metrics["map_weighted"]}
    names = ("map_at", "precision_at", "recall_at", "ndcg_at", "acg_at", "hit_ratio_at", "mrr_at")
    for name in names:
        flat |= {f"{name} {k}": value for k, value in metrics[name].items()}
    return flat
