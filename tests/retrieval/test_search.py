"""One query's ranking against loops over the definition."""

from itertools import permutations

import numpy as np
import pytest

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import pack
from medhash.retrieval.search import drawn_order, nearest


def make_codes(draw, items, bits, classes=3):
    signs = draw.choice([-1, 1], (items + 1, bits))
    labels = (draw.random((items + 1, classes)) < 0.5).astype(np.uint8)
    rows = np.arange(items + 1)
    sides = pack(signs[:1]), pack(signs[1:]), bits, labels[:1], labels[1:], rows[:1], rows[1:]
    return signs, Codes(*sides)


def slow_ranking(signs):
    """Places sorted by the number of differing signs, in database order where that is equal."""
    query, database = signs[0].tolist(), signs[1:].tolist()
    distances = [sum(a != b for a, b in zip(query, item, strict=True)) for item in database]
    return distances, sorted(range(len(database)), key=lambda place: (distances[place], place))


@pytest.mark.parametrize(("items", "bits", "count"), [(1, 1, 1), (40, 3, 12), (60, 24, 60)])
def test_nearest_is_the_sorted_list(items, bits, count):
    signs, codes = make_codes(np.random.default_rng(items), items, bits)
    ranking = nearest(codes.query_codes[0], codes, count)
    distances, order = slow_ranking(signs)
    assert ranking.distances.tolist() == distances
    assert ranking.places.tolist() == order[:count]
    assert ranking.shown_distances.tolist() == [distances[place] for place in order[:count]]
    assert ranking.last_distance == distances[order[count - 1]]


def test_another_order_of_ties_moves_nothing_else():
    draw = np.random.default_rng(1)
    signs, codes = make_codes(draw, 40, 3)
    keys = draw.permutation(40)
    ranking = nearest(codes.query_codes[0], codes, 12, keys)
    distances, _ = slow_ranking(signs)
    expected = sorted(range(40), key=lambda place: (distances[place], keys[place]))
    assert ranking.places.tolist() == expected[:12]


def test_a_drawn_order_is_any_order_and_always_the_same_one():
    first = drawn_order(b"image", 300)
    assert sorted(first.tolist()) == list(range(300))
    assert first.tolist() == drawn_order(b"image", 300).tolist()
    assert first.tolist() != drawn_order(b"other", 300).tolist()
    assert drawn_order(b"image", 4).tolist() == [3, 0, 2, 1]
    halves = np.mean([drawn_order(bytes([lot]), 50)[:25].mean() for lot in range(200)])
    assert halves == pytest.approx(24.5, abs=1)


def test_ranks_are_those_that_some_order_of_ties_gives():
    signs, codes = make_codes(np.random.default_rng(3), 30, 4)
    ranking = nearest(codes.query_codes[0], codes, 10)
    distances, order = slow_ranking(signs)
    ordered = [distances[place] for place in order]
    for distance in set(distances):
        ranks = [rank for rank, value in enumerate(ordered, start=1) if value == distance]
        assert ranking.ranks(distance) == (ranks[0], ranks[-1])
        assert ranking.items_at(distance) == len(ranks)


def test_expected_votes_are_the_mean_over_all_orders_of_the_database():
    draw = np.random.default_rng(7)
    signs, codes = make_codes(draw, 6, 2)
    distances, _ = slow_ranking(signs)
    labels = codes.database_labels
    for count in range(1, 7):
        ranking = nearest(codes.query_codes[0], codes, count)
        votes = []
        for order in permutations(range(6)):
            first = sorted(order, key=lambda place: distances[place])[:count]
            votes.append(sum(labels[place].astype(int) for place in first))
        np.testing.assert_allclose(ranking.expected_votes(labels), np.mean(votes, axis=0))
        first = slow_ranking(signs)[1][:count]
        assert ranking.votes(labels).tolist() == sum(labels[p].astype(int) for p in first).tolist()


@pytest.mark.parametrize("count", [0, 6])
def test_more_results_than_items_are_refused(count):
    _, codes = make_codes(np.random.default_rng(0), 5, 8)
    with pytest.raises(MedhashError, match=f"{count} results are asked for; the database has 5"):
        nearest(codes.query_codes[0], codes, count)
