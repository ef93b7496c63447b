import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from retrieval_reference import (
    distance,
    flattened,
    make_codes,
    random_arrays,
    random_codes,
    scores_of_list,
    shared_labels,
    stable_list,
    tied_lists,
)
from sklearn.metrics import average_precision_score, ndcg_score

from medhash.retrieval import blocks, hamming, kernels
from medhash.retrieval.codes import Codes
from medhash.retrieval.counting import count
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.hamming import pack
from medhash.retrieval.metrics import _RangeSums, tie_range

SMALL_CASES = [
    # seed, bits, queries, items, classes, multi-label
    (0, 1, 6, 6, 2, False),
    (1, 2, 6, 6, 3, False),
    (2, 3, 6, 6, 4, False),
    (3, 1, 6, 6, 3, True),
    (4, 2, 6, 6, 4, True),
    (5, 3, 6, 6, 5, True),
    (6, 1, 4, 7, 4, True),
    (7, 2, 4, 1, 2, False),
    (15, 1, 5, 7, 2, False),
    (16, 1, 5, 7, 5, True),
]


def distances_and_shared(query, database, query_labels, database_labels):
    """For each query, its list of distances and its list of shared labels."""
    for code, labels in zip(query, query_labels, strict=True):
        yield (
            [distance(code, other) for other in database],
            [shared_labels(labels, other) for other in database_labels],
        )


def mean_of(dictionaries):
    listed = list(dictionaries)
    return {key: float(np.mean([d[key] for d in listed])) for key in listed[0]}


def single_tie(*case):
    """As random_arrays, but every code is the same: the whole database is one tie."""
    query, database, query_labels, database_labels = random_arrays(*case)
    return np.ones_like(query), np.ones_like(database), query_labels, database_labels


SMALL_DATA = [random_arrays(*case) for case in SMALL_CASES] + [
    single_tie(17, 3, 3, 6, 2, False),
    single_tie(18, 3, 3, 6, 4, True),
]


@pytest.mark.parametrize("data", SMALL_DATA, ids=range(len(SMALL_DATA)))
def test_expectations_are_means_over_every_order_of_ties(data):
    cutoffs = list(range(1, len(data[1]) + 1))
    expected = mean_of(
        mean_of(scores_of_list(order, cutoffs) for order in tied_lists(*query))
        for query in distances_and_shared(*data)
    )
    evaluation = evaluate(make_codes(*data), "tie-aware", cutoffs)
    assert flattened(evaluation.metrics) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("data", SMALL_DATA, ids=range(len(SMALL_DATA)))
def test_tie_range_is_the_range_over_every_order_of_ties(data):
    least, greatest = tie_range(count(make_codes(*data)))
    for i, query in enumerate(distances_and_shared(*data)):
        orders = [scores_of_list(order, [])["map"] for order in tied_lists(*query)]
        assert least[i] == pytest.approx(min(orders), abs=1e-13)
        assert greatest[i] == pytest.approx(max(orders), abs=1e-13)


@pytest.mark.parametrize("case", [*SMALL_CASES, (8, 4, 9, 40, 5, True)], ids=str)
def test_stable_protocol_is_a_plain_loop_over_the_sorted_list(case):
    data = random_arrays(*case)
    cutoffs = list(range(1, len(data[1]) + 1, 3))
    per_query = [
        scores_of_list(stable_list(*query), cutoffs) for query in distances_and_shared(*data)
    ]
    evaluation = evaluate(make_codes(*data), "stable", cutoffs)
    assert flattened(evaluation.metrics) == pytest.approx(mean_of(per_query), abs=1e-13)
    assert evaluation.per_query_ap == pytest.approx([q["map"] for q in per_query], abs=1e-13)


@pytest.mark.parametrize("case", [(9, 4, 9, 40, 3, False), (10, 6, 9, 40, 5, True)], ids=str)
def test_stable_and_expected_map_lie_in_the_tie_range(case):
    codes = random_codes(*case)
    least, greatest = tie_range(count(codes))
    for protocol in ("tie-aware", "stable"):
        values = evaluate(codes, protocol).per_query_ap
        assert np.all(least <= values + 1e-13)
        assert np.all(values <= greatest + 1e-13)


def thermometer_codes(seed: int, items: int, classes: int) -> tuple[Codes, np.ndarray]:
    """Codes without ties: item i has i leading ones, the queries are all zeros and all ones."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(items)
    database = (np.arange(items - 1)[None, :] < order[:, None]).astype(int)
    query = np.array([[0] * (items - 1), [1] * (items - 1)])
    query_labels = np.ones((2, classes), dtype=int)
    database_labels = (rng.random((items, classes)) < 0.2).astype(int)
    codes = make_codes(query, database, query_labels, database_labels)
    return codes, np.stack([order, items - 1 - order])


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
@pytest.mark.parametrize("seed", range(3))
def test_without_ties_scikit_learn_agrees(protocol, seed):
    codes, distances = thermometer_codes(seed, 120, 4)
    shared = np.tile(codes.database_labels.sum(axis=1), (2, 1))
    evaluation = evaluate(codes, protocol, [5, 50, 120])
    expected = [average_precision_score(s > 0, -d) for s, d in zip(shared, distances, strict=True)]
    assert evaluation.per_query_ap == pytest.approx(expected, abs=1e-12)
    for k in (5, 50, 120):
        expected_ndcg = ndcg_score(2.0**shared - 1, -distances, k=k)
        assert evaluation.metrics["ndcg_at"][str(k)] == pytest.approx(expected_ndcg, abs=1e-12)


@pytest.mark.parametrize("case", [(11, 4, 30, 200, 6, True), (12, 8, 30, 200, 3, False)], ids=str)
def test_expected_ndcg_is_that_of_scikit_learn_with_ties(case):
    # scikit-learn averages over ties too (McSherry and Najork 2008).
    query, database, query_labels, database_labels = random_arrays(*case)
    distances = hamming.distances(pack(query), pack(database)).astype(float)
    shared = query_labels @ database_labels.T
    metrics = evaluate(make_codes(query, database, query_labels, database_labels)).metrics
    for k in (1, 10, 100):
        expected = ndcg_score(2.0**shared - 1, -distances, k=k)
        assert metrics["ndcg_at"][str(k)] == pytest.approx(expected, abs=1e-12)


def test_counting_equals_sorting_on_a_large_case_without_ties():
    codes, _ = thermometer_codes(3, 5000, 3)
    cutoffs = [1, 10, 100, 1000, 5000]
    counting = evaluate(codes, "tie-aware", cutoffs).metrics
    sorting = evaluate(codes, "stable", cutoffs).metrics
    assert flattened(counting) == pytest.approx(flattened(sorting), rel=1e-12)


@st.composite
def shuffled_codes(draw):
    """Codes, and the same codes with the database in another order."""
    bits, items = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    zero_one = st.integers(0, 1)
    query = draw(arrays(np.int8, (3, bits), elements=zero_one))
    database = draw(arrays(np.int8, (items, bits), elements=zero_one))
    query_labels = draw(arrays(np.uint8, (3, 3), elements=zero_one))
    database_labels = draw(arrays(np.uint8, (items, 3), elements=zero_one))
    order = draw(st.permutations(range(items)))
    return (
        make_codes(query, database, query_labels, database_labels),
        make_codes(query, database[order], query_labels, database_labels[order]),
    )


@given(shuffled_codes())
@settings(max_examples=150, deadline=None)
def test_no_order_of_the_database_moves_a_tie_aware_metric(both):
    first, second = (evaluate(codes, "tie-aware", range(1, 13)) for codes in both)
    assert first.metrics == second.metrics
    assert first.per_query_ap.tolist() == second.per_query_ap.tolist()


def test_an_order_of_the_database_does_move_the_stable_metrics():
    query, database = [[0, 0]], [[0, 1], [1, 0], [1, 1]]
    labels = np.array([[1], [0], [0]])
    forwards = evaluate(make_codes(query, database, [[1]], labels), "stable").metrics
    backwards = evaluate(
        make_codes(query, [database[1], database[0], database[2]], [[1]], labels[[1, 0, 2]]),
        "stable",
    ).metrics
    assert (forwards["map"], backwards["map"]) == (1.0, 0.5)
    assert forwards["tie_range"] == backwards["tie_range"] == [0.5, 1.0]


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
@pytest.mark.parametrize("classes", [1, 7])
def test_perfect_lists_score_one_and_never_more(protocol, classes):
    # Records refuse fractions above 1, so not even the last bit of a float may exceed it.
    rng = np.random.default_rng(classes)
    for items in range(1, 80):
        database = rng.integers(0, 2, (items, 9))
        labels = np.ones((items, classes))
        codes = make_codes(rng.integers(0, 2, (4, 9)), database, np.ones((4, classes)), labels)
        evaluation = evaluate(codes, protocol, range(1, items + 1))
        scores = flattened(evaluation.metrics)
        for name in ("map", "map_at", "precision_at", "ndcg_at"):
            values = [value for key, value in scores.items() if key.split()[0] == name]
            assert max(values) <= 1.0
            assert min(values) == pytest.approx(1.0, abs=1e-13)
        assert evaluation.per_query_ap.max() <= 1.0
        assert evaluation.metrics["tie_range"] == [1.0, 1.0]
        assert max(scores[f"recall_at {k}"] for k in range(1, items + 1)) <= 1.0


def test_values_by_hand():
    # Distances 0 | 1 1 | 2: relevant at 0, one of the two at 1, none at 2.
    codes = make_codes(
        [[0, 0]], [[0, 0], [0, 1], [1, 0], [1, 1]], [[1, 0]], [[1, 0], [1, 0], [0, 1], [0, 1]]
    )
    metrics = evaluate(codes, cutoffs=[2]).metrics
    assert metrics["map"] == pytest.approx((1 + (2 / 2 + 2 / 3) / 2) / 2)
    assert metrics["map_at"]["2"] == pytest.approx((1 + 0.5) / 2)
    assert metrics["precision_at"]["2"] == pytest.approx(0.75)
    assert metrics["recall_at"]["2"] == pytest.approx(0.75)
    assert metrics["tie_range"] == pytest.approx([5 / 6, 1.0])
    assert metrics["pr_curve"] == {
        "radius": [0, 1, 2],
        "precision": [1.0, pytest.approx(2 / 3), 0.5],
        "recall": [0.5, 1.0, 1.0],
    }


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
def test_query_without_relevant_item_counts_as_zero_and_is_counted(protocol):
    codes = make_codes([[0], [0]], [[0], [1]], [[1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]])
    evaluation = evaluate(codes, protocol, cutoffs=[1])
    assert evaluation.per_query_ap.tolist() == [1.0, 0.0]
    assert evaluation.metrics["queries_without_relevant"] == 1
    assert evaluation.metrics["map"] == 0.5
    assert evaluation.metrics["ndcg_at"] == {"1": 0.5}
    assert evaluation.metrics["tie_range"] == [0.5, 0.5]
    assert evaluation.metrics["pr_curve"]["recall"] == [0.5, 0.5]


def test_precision_within_a_radius_is_over_the_queries_that_retrieve_something():
    # Query 0 finds its one relevant item at distance 1, query 1 an irrelevant one at 3.
    codes = make_codes([[0, 0, 0], [1, 1, 1]], [[0, 0, 1]] * 2, [[1, 0], [0, 1]], [[1, 0]] * 2)
    curve = evaluate(codes).metrics["pr_curve"]
    assert curve["precision"] == [None, 1.0, 0.5, 0.5]
    assert curve["recall"] == [0.0, 0.5, 0.5, 0.5]


def test_single_label_weighted_map_is_map():
    metrics = evaluate(random_codes(13, 6, 20, 100, 4, False)).metrics
    assert metrics["map_weighted"] == pytest.approx(metrics["map"], abs=1e-15)
    assert metrics["acg_at"] == metrics["precision_at"]


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
def test_size_of_blocks_does_not_matter(protocol, monkeypatch):
    codes = random_codes(14, 10, 23, 50, 4, True)
    whole = evaluate(codes, protocol).metrics
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 120)
    assert evaluate(codes, protocol).metrics == whole


def test_range_sums_keep_their_digits_at_high_ranks():
    terms = 1.0 / np.arange(1, 1_000_001)
    running = _RangeSums(terms)
    ranges = [[999_990, 999_993], [0, 1_000_000], [5, 5], [500_000, 500_100]]
    sums = [kernels._between(running.totals, running.errors, *each) for each in ranges]
    expected = [math.fsum(terms[start:stop]) for start, stop in ranges]
    assert sums == pytest.approx(expected, rel=1e-15, abs=0)


# The mAP that CalcTopMap of https://github.com/swuxyj/DeepHash-pytorch (utils/tools.py, commit
# ab14068) gives over the whole database on random_arrays(...). Its np.argsort leaves the order of
# ties to the sorting algorithm, so the first of the two values is the code's own, and the second
# is with the argument kind="stable" added there.
PUBLIC_CODE = [
    ((1, 8, 50, 300, 4, False), 0.2598039966843569, 0.262028661661542),
    ((2, 32, 50, 300, 4, False), 0.26170354818906344, 0.26038638370330514),
    ((3, 8, 50, 300, 6, True), 0.4153432189730715, 0.41484561054031593),
]


@pytest.mark.parametrize(("case", "unstable", "stable"), PUBLIC_CODE)
def test_public_deep_hashing_code_agrees(case, unstable, stable):
    metrics = evaluate(random_codes(*case), "stable").metrics
    assert metrics["map"] == pytest.approx(stable, abs=1e-14)
    least, greatest = metrics["tie_range"]
    assert least < unstable < greatest


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
def test_public_deep_hashing_code_agrees_without_ties(protocol):
    # As above; with this seed no two items are at the same distance from a query.
    codes = random_codes(47, 2048, 6, 12, 3, False)
    assert evaluate(codes, protocol).metrics["map"] == pytest.approx(0.5499641396962826, abs=1e-14)
