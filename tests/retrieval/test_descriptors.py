import math
from dataclasses import replace

import numpy as np
import pytest
from retrieval_reference import (
    flattened,
    make_codes,
    make_descriptors,
    random_arrays,
    random_vectors,
    scores_of_list,
    shared_labels,
    stable_list,
    tied_lists,
)

from medhash.errors import MedhashError
from medhash.retrieval import blocks, hamming
from medhash.retrieval.codes import Codes
from medhash.retrieval.counting import count, with_counts
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.evaluation import evaluate, evaluate_file, summary_text
from medhash.retrieval.reading import load, read_foreign


def slow_distance(distance, first, second):
    """Of two vectors, exact enough that equal distances are equal."""
    if distance == "euclidean":
        squares = math.fsum((float(a) - float(b)) ** 2 for a, b in zip(first, second, strict=True))
        return round(math.sqrt(squares), 9)
    inner = math.fsum(float(a) * float(b) for a, b in zip(first, second, strict=True))
    lengths = [math.sqrt(math.fsum(float(a) ** 2 for a in v)) for v in (first, second)]
    return round(1 - inner / lengths[0] / lengths[1], 9)


def slow_queries(descriptors):
    """For each query, its list of distances and its list of shared labels."""
    for vector, labels in zip(descriptors.query_descriptors, descriptors.query_labels, strict=True):
        yield (
            [
                slow_distance(descriptors.distance, vector, v)
                for v in descriptors.database_descriptors
            ],
            [shared_labels(labels, other) for other in descriptors.database_labels],
        )


def means(dictionaries):
    listed = list(dictionaries)
    return {key: float(np.mean([d[key] for d in listed])) for key in listed[0]}


CASES = [
    # seed, length, queries, items, classes, multi-label, tied
    (0, 5, 5, 6, 3, False, False),
    (1, 2, 6, 6, 2, False, True),
    (2, 2, 5, 7, 4, True, True),
    (3, 1, 4, 1, 2, False, False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_stable_scores_are_those_of_a_loop_over_the_sorted_list(case, distance):
    descriptors = make_descriptors(*random_vectors(*case), distance)
    cutoffs = list(range(1, len(descriptors.database_rows) + 1))
    if distance == "cosine" and case[-1]:
        pytest.skip("rounding orders equal angles")
    expected = means(
        scores_of_list(stable_list(*query), cutoffs) for query in slow_queries(descriptors)
    )
    metrics = evaluate(descriptors, "stable", cutoffs).metrics
    assert flattened(metrics) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_expectations_are_means_over_every_order_of_equal_distances(case):
    descriptors = make_descriptors(*random_vectors(*case))
    cutoffs = list(range(1, len(descriptors.database_rows) + 1))
    queries = [
        [scores_of_list(order, cutoffs) for order in tied_lists(*query)]
        for query in slow_queries(descriptors)
    ]
    metrics = evaluate(descriptors, "tie-aware", cutoffs).metrics
    assert flattened(metrics) == pytest.approx(means(map(means, queries)), abs=1e-12)
    for place, pick in enumerate((min, max)):
        expected = np.mean([pick(order["map"] for order in orders) for orders in queries])
        assert metrics["tie_range"][place] == pytest.approx(expected, abs=1e-12)
    curve = metrics["pr_curve"]
    assert curve["rank"] == cutoffs
    assert curve["precision"] == pytest.approx([metrics["precision_at"][str(k)] for k in cutoffs])
    assert curve["recall"] == pytest.approx([metrics["recall_at"][str(k)] for k in cutoffs])


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
def test_signs_as_descriptors_score_exactly_as_codes(protocol):
    # At each query every Hamming distance occurs: both count the same levels.
    arrays = random_arrays(0, 4, 12, 400, 5, True)
    codes, descriptors = make_codes(*arrays), make_descriptors(*arrays)
    assert len(np.unique(hamming.distances(codes.query_codes[:1], codes.database_codes))) == 5
    ours, theirs = (evaluate(each, protocol, [1, 7, 400]) for each in (descriptors, codes))
    assert flattened(ours.metrics) == flattened(theirs.metrics)
    assert ours.metrics["tie_range"] == theirs.metrics["tie_range"]
    assert np.array_equal(ours.per_query_ap, theirs.per_query_ap)


@pytest.mark.parametrize("bits", [1, 16, 48])
def test_signs_as_descriptors_are_tied_exactly_as_codes(bits):
    arrays = random_arrays(1, bits, 20, 300, 4, False)
    codes, descriptors = make_codes(*arrays), make_descriptors(*arrays)
    for own, row in zip(count(codes).table, levels_by_query(descriptors), strict=True):
        assert np.array_equal(own[own.sum(axis=1) > 0], row)
    own, other = (evaluate(each) for each in (codes, descriptors))
    assert own.per_query_ap == pytest.approx(other.per_query_ap, abs=1e-14)
    assert flattened(own.metrics) == pytest.approx(flattened(other.metrics), abs=1e-14)


def levels_by_query(descriptors):
    """The rows of the counts' tables without the empty levels that come last."""
    for table in with_counts(lambda counts: counts.table, descriptors):
        for row in table:
            used = row.sum(axis=1) > 0
            assert not used[np.count_nonzero(used) :].any()
            yield row[used]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_equal_vectors_are_tied_wherever_they_stand(distance):
    rng = np.random.default_rng(0)
    database = np.tile(rng.normal(size=(5, 67)), (41, 1))
    labels = np.eye(2, dtype=int)[rng.integers(0, 2, len(database))]
    descriptors = make_descriptors(
        rng.normal(size=(33, 67)), database, labels[:33], labels, distance
    )
    distances = descriptors.distances(descriptors.query_descriptors)
    assert all(len(np.unique(row)) == 5 for row in distances)
    assert [len(row) for row in levels_by_query(descriptors)] == [5] * 33


def test_cosine_knows_directions_alone():
    arrays = random_vectors(4, 6, 5, 40, 3, False, False)
    lengths = np.random.default_rng(1).uniform(0.5, 2, (40, 1))
    own = make_descriptors(*arrays, "cosine")
    other = make_descriptors(arrays[0], arrays[1] * lengths, *arrays[2:], "cosine")
    own_distances = own.distances(own.query_descriptors)
    assert other.distances(own.query_descriptors) == pytest.approx(own_distances, abs=1e-6)
    slow = [[slow_distance("cosine", q, v) for v in arrays[1]] for q in arrays[0]]
    assert own_distances == pytest.approx(np.array(slow), abs=1e-6)


def test_blocks_of_queries_do_not_change_anything(monkeypatch):
    descriptors = make_descriptors(*random_vectors(5, 3, 20, 50, 4, True, True))
    whole = evaluate(descriptors, cutoffs=[5, 50])
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 150)
    assert len(with_counts(id, descriptors)) == 7
    cut = evaluate(descriptors, cutoffs=[5, 50])
    assert cut.per_query_ap == pytest.approx(whole.per_query_ap, abs=1e-15)
    assert flattened(cut.metrics) == pytest.approx(flattened(whole.metrics), abs=1e-14)
    assert cut.metrics["tie_range"] == pytest.approx(whole.metrics["tie_range"], abs=1e-14)


class TestDenominatorOfMapAt:
    """AP@K of one list: relevant at ranks 2 and 3 of four, with three relevant in all."""

    @pytest.fixture
    def descriptors(self):
        labels = [[0, 1], [1, 0], [1, 0], [0, 1], [1, 0]]
        return make_descriptors([[0.0]], [[1], [2], [3], [4], [5]], [[1, 0]], labels)

    @pytest.mark.parametrize(
        ("map_at", "expected"),
        [
            ("reachable", {"1": 0, "2": 0.5 / 2, "4": (1 / 2 + 2 / 3) / 3}),
            ("k", {"1": 0, "2": 0.5 / 2, "4": (1 / 2 + 2 / 3) / 4}),
            ("found", {"1": 0, "2": 0.5 / 1, "4": (1 / 2 + 2 / 3) / 2}),
        ],
    )
    def test_each_reading(self, descriptors, map_at, expected):
        for protocol in ["tie-aware", "stable"][map_at == "found" :]:
            metrics = evaluate(descriptors, protocol, [1, 2, 4], map_at).metrics
            assert metrics["map_at"] == pytest.approx(expected)

    def test_found_needs_one_order(self, descriptors):
        with pytest.raises(MedhashError, match="it needs the protocol stable"):
            evaluate(descriptors, map_at="found")

    def test_unknown_reading_is_named(self, descriptors):
        with pytest.raises(MedhashError, match="reachable, found, k, not 'all'"):
            evaluate(descriptors, map_at="all")

    def test_random_order_of_y_net_s_fundus_set(self):
        """152 + 433 images, 16 + 49 queries, all tied: the closed form of a random order."""
        labels = np.repeat(np.eye(2, dtype=int), [152, 433], axis=0)
        queries = np.repeat(np.eye(2, dtype=int), [16, 49], axis=0)
        tied = make_descriptors(np.zeros((65, 1)), np.zeros((585, 1)), queries, labels)
        found = evaluate(tied, cutoffs=[5, 10, 20, 50], map_at="k").metrics["map_at"]
        expected = {"5": 0.5173, "10": 0.4857, "20": 0.4639, "50": 0.4466}
        assert found == pytest.approx(expected, abs=5e-5)


class TestFile:
    @pytest.fixture
    def descriptors(self):
        return make_descriptors(*random_vectors(6, 4, 5, 9, 3, True, False), "cosine")

    def test_comes_back_and_is_the_same_bytes(self, descriptors, tmp_path):
        paths = tmp_path / "descriptors.npz", tmp_path / "again.npz"
        for path in paths:
            descriptors.save(path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
        read = load(paths[0])
        assert isinstance(read, Descriptors)
        assert (read.distance, read.length) == ("cosine", 4)
        for name in Descriptors.array_names():
            assert np.array_equal(getattr(read, name), getattr(descriptors, name))

    def test_codes_come_back_as_codes(self, tmp_path):
        make_codes(*random_arrays(0, 9, 3, 4, 2, False)).save(tmp_path / "codes.npz")
        assert isinstance(load(tmp_path / "codes.npz"), Codes)

    def test_anybodys_file_is_scored(self, descriptors, tmp_path):
        path = tmp_path / "theirs.npz"
        np.savez(
            path,
            query_descriptors=descriptors.query_descriptors.astype(np.float64),
            database_descriptors=descriptors.database_descriptors,
            query_labels=descriptors.query_labels,
            database_labels=descriptors.database_labels.astype(bool),
            distance="cosine",
        )
        metrics = evaluate_file(path, cutoffs=[3])
        assert metrics == evaluate(descriptors, cutoffs=[3]).metrics
        text = summary_text(metrics)
        assert "5 queries, 9 database items, 4 numbers, cosine distance" in text

    def test_without_a_distance_it_is_euclidean(self, descriptors, tmp_path):
        arrays = {n: getattr(descriptors, n) for n in Descriptors.array_names()}
        np.savez(tmp_path / "theirs.npz", **arrays)
        assert read_foreign(tmp_path / "theirs.npz").distance == "euclidean"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"distance": np.array("manhattan")}, "distance must be one of euclidean, cosine"),
            ({"distance": np.array(1)}, "distance must be one of euclidean, cosine"),
            ({"query_descriptors": np.zeros((5, 3))}, "is 3 long, database_descriptors 4"),
            ({"query_descriptors": np.zeros(5)}, "filled array of numbers"),
            ({"query_descriptors": np.full((5, 4), np.nan)}, "NaN or infinite"),
            ({"query_descriptors": np.full((5, 4), "a")}, "filled array of numbers"),
            ({"query_labels": np.zeros((4, 3))}, "query_descriptors has 5 items, query_labels 4"),
            ({"query_codes": np.zeros((5, 4))}, "holds codes and descriptors"),
        ],
        ids=range(8),
    )
    def test_what_does_not_fit_is_named(self, descriptors, tmp_path, change, message):
        arrays = {n: getattr(descriptors, n) for n in Descriptors.array_names()}
        np.savez(tmp_path / "theirs.npz", **(arrays | change))
        with pytest.raises(MedhashError, match=message) as error:
            read_foreign(tmp_path / "theirs.npz")
        assert "theirs.npz" in str(error.value)

    def test_zeros_have_no_direction(self, descriptors):
        zeros = np.zeros_like(descriptors.query_descriptors)
        with pytest.raises(MedhashError, match="vector of zeros, which has no direction"):
            replace(descriptors, query_descriptors=zeros)
        replace(descriptors, query_descriptors=zeros, distance="euclidean")

    def test_own_files_are_checked(self, descriptors):
        with pytest.raises(MedhashError, match="query_descriptors is float64"):
            replace(descriptors, query_descriptors=descriptors.query_descriptors.astype(float))
        with pytest.raises(MedhashError, match="distance is one of"):
            replace(descriptors, distance="hamming")
        with pytest.raises(MedhashError, match="values other than 0 and 1"):
            replace(descriptors, query_labels=descriptors.query_labels + 1)
