"""The mean of a number over the first K, against lists that are really walked down."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.gaps import gaps_at, mean_of_first


def labels(count):
    return np.ones((count, 1), np.uint8)


def some(kind, queries=4, items=9, seed=0):
    """Vectors of which many are equally far from a query."""
    draw = np.random.default_rng(seed)
    shown = labels(queries), labels(items), np.arange(queries), np.arange(items)
    if kind is Codes:
        bits = [draw.integers(0, 2, (count, 3), dtype=np.uint8) for count in (queries, items)]
        return Codes(*(np.packbits(each, axis=1) for each in bits), 3, *shown)
    vectors = [draw.integers(0, 2, (n, 3)).astype(np.float32) for n in (queries, items)]
    return Descriptors(*vectors, "euclidean", *shown)


def numbers(queries=4, items=9, seed=1):
    draw = np.random.default_rng(seed)
    return draw.random(queries), draw.random(items)


def walked(vectors, query, ratios, order, k):
    """Mean gap of the first K when the database stands in this order."""
    distances = vectors.distances(vectors.query_vectors[query : query + 1])[0]
    nearest = sorted(order, key=lambda item: distances[item])
    return np.mean([abs(ratios[0][query] - ratios[1][item]) for item in nearest[:k]])


@pytest.mark.parametrize("kind", [Codes, Descriptors])
def test_ties_give_the_expectation_over_all_orders(kind):
    vectors, ratios = some(kind, items=6), numbers(items=6)
    found = gaps_at(vectors, ratios, (1, 2, 4, 6))
    for k, gaps in found.items():
        for query, gap in enumerate(gaps):
            every = [walked(vectors, query, ratios, o, k) for o in permutations(range(6))]
            assert gap == pytest.approx(np.mean(every)), (k, query)
    assert any(len(set(vectors.distances(v[None])[0])) < 6 for v in vectors.query_vectors)


@pytest.mark.parametrize("kind", [Codes, Descriptors])
def test_the_stable_protocol_walks_down_the_database(kind):
    vectors, ratios = some(kind), numbers()
    for k, gaps in gaps_at(vectors, ratios, (1, 3, 9), stable=True).items():
        expected = [walked(vectors, query, ratios, range(9), k) for query in range(4)]
        assert gaps == pytest.approx(expected), k


@pytest.mark.parametrize("kind", [Codes, Descriptors])
def test_no_order_of_the_database_moves_it(kind):
    vectors, (queries, items) = some(kind), numbers()
    order = np.random.default_rng(2).permutation(9)
    name = f"database_{vectors.NOUN}"
    shuffled = replace(vectors, **{name: getattr(vectors, name)[order]})
    here, there = (
        gaps_at(each, (queries, of), (2, 5))
        for each, of in ((vectors, items), (shuffled, items[order]))
    )
    for k in (2, 5):
        assert here[k] == pytest.approx(there[k])


def test_one_tie_of_all_is_the_mean_of_the_database():
    values = np.random.default_rng(3).random((4, 9))
    for k in (1, 4, 9):
        found = mean_of_first(np.zeros((4, 9)), values, k)
        assert found == pytest.approx(values.mean(axis=1))


def test_queries_in_blocks_keep_their_order(monkeypatch):
    vectors, ratios = some(Codes, queries=11), numbers(queries=11)
    at_once = gaps_at(vectors, ratios, (3,))[3]
    monkeypatch.setattr("medhash.retrieval.blocks.PAIRS_PER_BLOCK", 18)
    assert gaps_at(vectors, ratios, (3,))[3].tolist() == at_once.tolist()


def test_without_a_cutoff_there_is_nothing():
    assert gaps_at(some(Codes), numbers(), ()) == {}
