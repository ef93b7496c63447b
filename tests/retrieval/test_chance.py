"""What is known by chance, against orders that are really drawn and lists that are really made."""

import numpy as np
import pytest

from medhash.retrieval.chance import chance
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate

CUTOFFS = (1, 3, 10, 24)


def labels_of(count, seed, classes=3):
    draw = np.random.default_rng(seed)
    labels = (draw.random((count, classes)) < 0.4).astype(np.uint8)
    labels[np.arange(count), draw.integers(0, classes, count)] = 1
    return labels


def ranked(query_labels, database_labels, order):
    """Metrics of one list for all queries: each item at a distance of its own."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    bits = len(order)
    database = np.packbits(np.arange(bits) < places[:, None], axis=1)
    codes = Codes(
        query_codes=np.zeros((len(query_labels), database.shape[1]), np.uint8),
        database_codes=database,
        bits=bits,
        query_labels=query_labels,
        database_labels=database_labels,
        query_rows=np.arange(len(query_labels)),
        database_rows=np.arange(len(query_labels), len(query_labels) + bits),
    )
    return evaluate(codes, cutoffs=CUTOFFS).metrics


def mean_over(orders, queries, database):
    found = [ranked(queries, database, order) for order in orders]
    names = ("map", "map_weighted")
    means = {name: np.mean([each[name] for each in found]) for name in names}
    for name in ("map_at", "precision_at", "ndcg_at", "acg_at"):
        means |= {(name, k): np.mean([each[name][k] for each in found]) for k in found[0][name]}
    return means


def test_a_random_order_is_the_mean_over_many_orders():
    queries, database = labels_of(6, 0), labels_of(24, 1)
    draw = np.random.default_rng(2)
    means = mean_over([draw.permutation(24) for _ in range(1500)], queries, database)
    exact = chance(queries, database, CUTOFFS)["random"]
    for name, mean in means.items():
        value = exact[name[0]][name[1]] if isinstance(name, tuple) else exact[name]
        assert value == pytest.approx(mean, abs=0.02), name


def test_precision_of_a_random_order_is_the_relevant_share():
    queries, database = labels_of(6, 3), labels_of(24, 4)
    share = np.mean([(query & item).any() for query in queries for item in database])
    random = chance(queries, database, CUTOFFS)["random"]
    assert random["precision_at"] == pytest.approx(dict.fromkeys(map(str, CUTOFFS), share))


def test_the_most_frequent_class_comes_first():
    queries = np.eye(3, dtype=np.uint8)[[0, 0, 1, 2]]
    database = np.eye(3, dtype=np.uint8)[[1, 0, 1, 1, 2, 0, 1]]
    draw = np.random.default_rng(5)
    orders = []
    for _ in range(1500):
        order = draw.permutation(7)
        orders.append([*order[database[order, 1] == 1], *order[database[order, 1] == 0]])
    means = mean_over(map(np.array, orders), queries, database)
    majority = chance(queries, database, (1, 3))["majority"]
    assert majority["map"] == pytest.approx(means["map"], abs=0.01)
    assert majority["precision_at"] == {"1": 0.25, "3": 0.25}


def test_cutoffs_beyond_the_database_are_left_out():
    assert set(chance(labels_of(2, 0), labels_of(5, 1), (5, 6))["random"]["map_at"]) == {"5"}


def test_the_ideal_order_is_the_best_of_each_query():
    queries, database = labels_of(6, 0), labels_of(24, 1)
    shared = queries.astype(int) @ database.T
    orders = np.argsort(-shared, axis=1, kind="stable")
    own = [ranked(queries[[i]], database, order) for i, order in enumerate(orders)]
    ideal = chance(queries, database, CUTOFFS)["ideal"]
    assert ideal["map"] == pytest.approx(1)
    assert ideal["map_weighted"] == pytest.approx(np.mean([each["map_weighted"] for each in own]))
    for k in map(str, CUTOFFS):
        assert ideal["ndcg_at"][k] == pytest.approx(1)
        assert ideal["acg_at"][k] == pytest.approx(np.mean([each["acg_at"][k] for each in own]))
    best = np.sort(shared, axis=1)[:, ::-1]
    assert ideal["acg_at"]["3"] == pytest.approx(best[:, :3].mean())


def test_with_one_label_an_image_there_is_no_ideal_to_tell():
    labels = np.eye(3, dtype=np.uint8)[[0, 1, 2, 0]]
    assert set(chance(labels, labels, CUTOFFS)) == {"random", "majority"}


def test_no_order_scores_more_than_the_ideal_one():
    queries, database = labels_of(1, 8, 5), labels_of(24, 9, 5)
    best, draw = chance(queries, database, CUTOFFS)["ideal"], np.random.default_rng(10)
    for _ in range(300):
        found = ranked(queries, database, draw.permutation(24))
        assert found["map_weighted"] <= best["map_weighted"] + 1e-12
        assert all(found["acg_at"][k] <= best["acg_at"][k] + 1e-12 for k in best["acg_at"])
