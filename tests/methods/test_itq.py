import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from sklearn.decomposition import PCA

from medhash.errors import MedhashError
from medhash.methods.itq import ItqSettings, Method, principal_directions, random_rotation


def clouds(seed, count=90, size=12, classes=3):
    """Points around some centres, and their classes; near enough that no two bits agree."""
    rng = np.random.default_rng(seed)
    members = rng.integers(0, classes, count)
    points = rng.normal(size=(classes, size))[members] / 2 + rng.normal(size=(count, size))
    return points, np.eye(classes, dtype=np.uint8)[members]


def fitted(seed, bits, iterations=50):
    features, labels = clouds(seed)
    method = Method(ItqSettings(iterations=iterations))
    return features, method.fit(features, labels, bits, np.random.default_rng(seed))


@pytest.mark.parametrize("bits", [1, 4, 12])
@pytest.mark.parametrize("seed", range(3))
def test_the_objective_never_rises(seed, bits):
    objective = fitted(seed, bits)[1].objective
    assert len(objective) == 50
    assert all(b <= a + 1e-9 for a, b in pairwise(objective))
    assert bits == 1 or objective[-1] < objective[0]


@pytest.mark.parametrize("bits", [1, 4, 12])
def test_the_rotation_is_orthogonal(bits):
    rotation = fitted(0, bits)[1].parameters["rotation"]
    assert rotation @ rotation.T == pytest.approx(np.eye(bits), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_fit_is_the_papers_alternation_on_scikit_learns_components(seed):
    """The two steps of Section 3.2, entry by entry, with sklearn's PCA for V."""
    bits, iterations = 5, 20
    features, fit = fitted(seed, bits, iterations)
    pca = PCA(bits, svd_solver="full").fit(features)
    ours = fit.parameters["directions"]
    signs = np.sign((ours * pca.components_.T).sum(axis=0))  # a component's sign is arbitrary
    projected = pca.transform(features) * signs
    rotation = random_rotation(bits, np.random.default_rng(seed))
    for iteration in range(iterations):
        turned = projected @ rotation
        codes = np.array([[1.0 if value >= 0 else -1.0 for value in row] for row in turned])
        left, _, right = np.linalg.svd(codes.T @ projected)
        rotation = right.T @ left.T
        loss = sum(
            (codes[i, k] - sum(projected[i, j] * rotation[j, k] for j in range(bits))) ** 2
            for i in range(len(features))
            for k in range(bits)
        )
        assert fit.objective[iteration] == pytest.approx(loss)
    assert fit.parameters["rotation"] == pytest.approx(rotation, abs=1e-8)
    expected = projected @ rotation
    assert Method.project(fit.parameters, features) == pytest.approx(expected, abs=1e-8)


def test_no_small_rotation_improves_the_last_one():
    features, fit = fitted(1, 4, 200)
    projected = (features - fit.parameters["mean"]) @ fit.parameters["directions"]
    rotation = fit.parameters["rotation"]
    codes = np.where(projected @ rotation >= 0, 1.0, -1.0)
    best = np.square(codes - projected @ rotation).sum()
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.linalg.qr(np.eye(4) + 0.05 * rng.normal(size=(4, 4)))[0]
        turn *= np.sign(np.diag(turn))
        assert np.square(codes - projected @ rotation @ turn).sum() >= best - 1e-9


def test_directions_are_scikit_learns():
    features, _ = clouds(5)
    directions = principal_directions(features - features.mean(axis=0), 4)
    components = PCA(4, svd_solver="full").fit(features).components_
    assert np.abs(directions.T @ components.T) == pytest.approx(np.eye(4), abs=1e-9)


def test_labels_do_not_matter():
    features, labels = clouds(0)
    fits = [
        Method(ItqSettings()).fit(features, own, 4, np.random.default_rng(0))
        for own in (labels, labels[::-1])
    ]
    assert fits[0].objective == fits[1].objective


@pytest.mark.parametrize(("count", "bits"), [(90, 13), (5, 5)])
def test_more_bits_than_components_are_refused(count, bits):
    features, labels = clouds(0, count)
    with pytest.raises(MedhashError, match=f"itq: {bits} bits need as many principal components"):
        Method(ItqSettings()).fit(features, labels, bits, np.random.default_rng(0))


def test_no_torch_is_imported():
    code = "import medhash.methods.itq, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
