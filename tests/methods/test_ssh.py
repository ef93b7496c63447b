"""SSH against loops over its paper's equations, and its first direction against its definition."""

from itertools import product

import numpy as np
import pytest

from medhash.errors import MedhashError
from medhash.methods.ssh import Method, SshSettings

BITS = 5


def clouds(seed, count=60, size=12):
    """Points with two labels each of four, in which the labels' own directions are weak."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((count, 4), np.uint8)
    for row in labels:
        row[rng.permutation(4)[: rng.integers(1, 3)]] = 1
    points = labels @ rng.normal(size=(4, size)) / 2
    return points + rng.normal(size=(count, size)) * np.linspace(2, 0.5, size), labels


def fitted(seed=0, **own):
    features, labels = clouds(seed)
    method = Method(SshSettings(**own))
    return features, labels, method.fit(features, labels, BITS, np.random.default_rng(seed))


def pair_labels(labels):
    """S, entry by entry."""
    return np.array([[1.0 if (a & b).any() else -1.0 for b in labels] for a in labels])


def centred_to_unit(features):
    centred = features - features.mean(axis=0)
    return centred / np.sqrt((centred**2).sum() / len(centred))


def weighted(features, similarity, eta=1.0):
    """``X' S X + eta' C``, by loops over pairs, and eta'."""
    size = features.shape[1]
    labelled, covariance = np.zeros((size, size)), np.zeros((size, size))
    for i, j in product(range(len(features)), repeat=2):
        labelled += similarity[i, j] * np.outer(features[i], features[j])
    for row in features:
        covariance += np.outer(row, row)
    weight = eta * np.linalg.norm(labelled) / np.linalg.norm(covariance)
    return labelled + weight * covariance, weight, covariance


@pytest.mark.parametrize("form", ["sequential", "orthogonal"])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_direction_is_the_top_eigenvector(form, seed):
    features, labels, fit = fitted(seed, form=form)
    matrix, _, _ = weighted(centred_to_unit(features), pair_labels(labels))
    values, vectors = np.linalg.eigh(matrix)
    first = fit.parameters["directions"][:, 0]
    assert abs(first @ vectors[:, -1]) == pytest.approx(1)
    assert fit.objective[0] == pytest.approx(values[-1])
    # Nothing random does better.
    rng = np.random.default_rng(seed)
    for other in rng.normal(size=(50, len(first))):
        assert other @ matrix @ other / (other @ other) < fit.objective[0]


def test_the_orthogonal_form_takes_the_largest_of_an_indefinite_matrix():
    """Of ±1 labels alone: the lowest eigenvalue may be the greatest in size."""
    features, labels, fit = fitted(form="orthogonal", variance_weight=0)
    matrix, _, _ = weighted(centred_to_unit(features), pair_labels(labels), 0)
    values = np.linalg.eigvalsh(matrix)
    assert values[0] < 0
    assert fit.objective == pytest.approx(values[::-1][:BITS])


@pytest.mark.parametrize("correction", [None, 0.0, 3.0])
def test_the_sequential_form_is_algorithm_1(correction):
    features, labels, fit = fitted(correction=correction)
    alpha = 1 / BITS if correction is None else correction
    rows, similarity = centred_to_unit(features), pair_labels(labels)
    _, weight, _ = weighted(rows, similarity)
    for bit in range(BITS):
        labelled, _, covariance = weighted(rows, similarity, 0)
        direction = np.linalg.eigh(labelled + weight * covariance)[1][:, -1]
        found = fit.parameters["directions"][:, bit]
        assert abs(found @ direction) == pytest.approx(1)
        before = similarity.copy()
        for i, j in product(range(len(rows)), repeat=2):
            together = (rows[i] @ direction) * (rows[j] @ direction)
            if together * before[i, j] < 0:
                similarity[i, j] -= alpha * together
        rows = np.array([row - (row @ direction) * direction for row in rows])


def test_corrections_change_later_directions():
    without, with_them = (fitted(correction=c)[2].parameters["directions"] for c in (0.0, 3.0))
    assert abs(without[:, 0] @ with_them[:, 0]) == pytest.approx(1)
    assert abs(without[:, 2] @ with_them[:, 2]) < 0.999


@pytest.mark.parametrize("form", ["sequential", "orthogonal"])
def test_directions_are_orthonormal(form):
    directions = fitted(form=form)[2].parameters["directions"]
    assert directions.T @ directions == pytest.approx(np.eye(BITS), abs=1e-9)


def test_only_the_drawn_labels_are_looked_at():
    features, labels = clouds(1)
    chosen = np.sort(np.random.default_rng(1).permutation(len(labels))[:20])
    others = np.setdiff1d(np.arange(len(labels)), chosen)
    changed = labels.copy()
    changed[others] = 1 - changed[others]
    method = Method(SshSettings(labelled=20))
    fits = [method.fit(features, own, 3, np.random.default_rng(1)) for own in (labels, changed)]
    assert fits[0].objective == fits[1].objective
    changed[chosen] = 1 - changed[chosen]
    assert method.fit(features, changed, 3, np.random.default_rng(1)).objective != fits[0].objective


def test_the_units_of_features_do_not_matter():
    features, labels = clouds(2)
    found = []
    for scale in (1, 0.01):
        moved = scale * features + 7
        fit = Method(SshSettings()).fit(moved, labels, 4, np.random.default_rng(0))
        found.append(Method.project(fit.parameters, moved) / scale)
    # The sign of an eigenvector is arbitrary.
    assert np.abs(found[0]) == pytest.approx(np.abs(found[1]), abs=1e-6)


def test_more_bits_than_directions_are_refused():
    features, labels = clouds(0)
    with pytest.raises(MedhashError, match="ssh: 13 bits need as many directions"):
        Method(SshSettings()).fit(features, labels, 13, np.random.default_rng(0))
