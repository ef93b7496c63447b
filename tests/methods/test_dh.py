"""DH and SDH: their objective by loops over the equations, their gradient against torch's."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from medhash.errors import MedhashError
from medhash.methods import dh, sdh

WEIGHTS = {"variance_weight": 7.0, "orthogonality_weight": 0.3, "decay_weight": 0.2}
HIDDEN = (6, 4)


def clouds(seed, count=80, size=10, classes=3):
    """Points around some centres, and one or two labels each."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((count, classes), np.uint8)
    for row in labels:
        row[rng.permutation(classes)[: rng.integers(1, 3)]] = 1
    points = labels @ rng.normal(size=(classes, size)) + rng.normal(size=(count, size)) / 2
    return points, labels


def make(module, **own):
    return module.Method(module.Method.Settings(**({"hidden": HIDDEN} | own)))


def fitted(module, seed=0, bits=3, **own):
    features, labels = clouds(seed)
    method = make(module, **own)
    return features, labels, method.fit(features, labels, bits, np.random.default_rng(seed))


def random_layers(seed=3, sizes=(10, 6, 4, 3)):
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    return [rng.normal(size=(b, a)) / 2 for a, b in pairs], [rng.normal(size=b) for _, b in pairs]


def objective(module, weights, biases, inputs, labels, alpha):
    """As the module says it, in torch, with signs as constants."""
    outputs = inputs
    for weight, bias in zip(weights, biases, strict=True):
        outputs = torch.tanh(outputs @ weight.T + bias)
    signs = torch.where(outputs >= 0, 1.0, -1.0).double()
    n = len(outputs)
    variance = torch.trace(outputs @ outputs.T) / n
    if module is sdh:
        scatter = {True: [], False: []}
        for i, j in product(range(n), repeat=2):
            if i != j:
                apart = outputs[i] - outputs[j]
                scatter[bool((labels[i] & labels[j]).any())].append(torch.outer(apart, apart))
        within, between = (torch.stack(scatter[kind]).mean(dim=0) for kind in (True, False))
        variance = variance + alpha * torch.trace(between - within)
    cost = (signs - outputs).pow(2).sum() / 2 - WEIGHTS["variance_weight"] / 2 * variance
    for weight, bias in zip(weights, biases, strict=True):
        skew = weight @ weight.T - torch.eye(len(weight), dtype=torch.float64)
        cost = cost + WEIGHTS["orthogonality_weight"] / 2 * skew.pow(2).sum()
        cost = cost + WEIGHTS["decay_weight"] / 2 * (weight.pow(2).sum() + bias.pow(2).sum())
    return cost


@pytest.mark.parametrize("module", [dh, sdh])
def test_objective_and_gradient(module):
    features, labels = clouds(1, count=12)
    layers = random_layers()
    own = {"discrimination_weight": 0.6} if module is sdh else {}
    cost, slopes = make(module, **WEIGHTS, **own).step(layers, features, labels)
    weights, biases = ([torch.tensor(a, requires_grad=True) for a in part] for part in layers)
    expected = objective(module, weights, biases, torch.tensor(features), labels, 0.6)
    assert cost == pytest.approx(expected.item())
    expected.backward()
    for own_part, part in zip(slopes, (weights, biases), strict=True):
        for found, tensor in zip(own_part, part, strict=True):
            assert found == pytest.approx(tensor.grad.numpy(), abs=1e-9)


def test_without_discrimination_sdh_is_dh():
    same = {"iterations": 20, "batch_size": None}
    _, _, unsupervised = fitted(dh, **same)
    features, _, supervised = fitted(sdh, **same, discrimination_weight=0)
    assert supervised.objective == pytest.approx(unsupervised.objective)
    found, other = (
        dh.Method.project(fit.parameters, features) for fit in (supervised, unsupervised)
    )
    assert found == pytest.approx(other)


def test_dh_starts_from_principal_components_of_variance_1():
    features, _, fit = fitted(dh, iterations=1, learning_rate=1e-12)
    first = (features - fit.parameters["mean"]) @ fit.parameters["weight0"].T
    assert np.square(first).mean() == pytest.approx(1)
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)[:3]
    expected = np.abs(np.linalg.svd(first, compute_uv=False)[:3])
    assert expected / expected[0] == pytest.approx(values / values[0])
    assert fit.parameters["weight1"] == pytest.approx(np.eye(4, 6))
    assert fit.parameters["bias2"] == pytest.approx(np.zeros(3), abs=1e-9)


@pytest.mark.parametrize("module", [dh, sdh])
def test_the_objective_falls(module):
    _, _, fit = fitted(module, iterations=100)
    assert len(fit.objective) == 100
    assert fit.objective[-1] < fit.objective[10] < fit.objective[0]


def test_dh_uses_every_bit():
    """No bit is the same for nearly all images: the biases have not run away."""
    features, _, fit = fitted(dh)
    shares = (dh.Method.project(fit.parameters, features) >= 0).mean(axis=0)
    assert ((shares > 0.1) & (shares < 0.9)).all()


def test_sdh_brings_images_of_one_label_together():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 90)
    features = rng.normal(size=(3, 10))[classes] + rng.normal(size=(90, 10))
    labels = np.eye(3, dtype=np.uint8)[classes]
    agreement = {}
    for module in (dh, sdh):
        fit = make(module).fit(features, labels, 4, np.random.default_rng(0))
        codes = np.sign(module.Method.project(fit.parameters, features))
        products = codes @ codes.T / 4
        same = classes[:, None] == classes[None]
        agreement[module] = products[same].mean() - products[~same].mean()
    assert agreement[sdh] > agreement[dh] + 0.3


def test_the_units_of_features_do_not_matter():
    features, labels = clouds(2)
    codes = []
    for scale in (1, 0.01):
        moved = scale * features + 5
        fit = make(dh, iterations=30).fit(moved, labels, 3, np.random.default_rng(0))
        codes.append(dh.Method.project(fit.parameters, moved))
    # The sign of a component is arbitrary.
    assert np.abs(codes[0]) == pytest.approx(np.abs(codes[1]), abs=1e-6)


def test_layers_follow_the_code_length():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(130, 120)), np.eye(2, dtype=np.uint8)[[0, 1] * 65]
    for bits, units in [(8, (60, 30)), (16, (60, 30)), (32, (80, 50)), (64, (100, 80))]:
        method = dh.Method(dh.DhSettings(iterations=1))
        fit = method.fit(features, labels, bits, np.random.default_rng(0))
        assert [len(fit.parameters[f"bias{m}"]) for m in range(3)] == [*units, bits]
    with pytest.raises(MedhashError, match="dh: 65 bits: say by `hidden`"):
        method.fit(features, labels, 65, rng)
    with pytest.raises(MedhashError, match="SDH: its first layer has 60 units"):
        sdh.Method(sdh.SdhSettings()).fit(features[:50], labels[:50], 16, rng)
