"""DSH against loops over its paper's equations, and against two public implementations.

Public values: ``DSHLoss`` of DSH.py, github.com/swuxyj/DeepHash-pytorch (all six samples as batch
and memory), and ``HashingLossLayer::Forward_cpu`` of the authors' Caffe code,
github.com/lhmRyan/deep-supervised-hashing-DSH, both run on the inputs of :func:`outputs`.
"""

from __future__ import annotations

import pytest
import torch

from medhash.methods import dsh
from medhash.methods.families.hashing import References, similarity

BITS = 8
MARGIN = 2 * BITS
DEEPHASH = 3.4823288917541504
DEEPHASH_ALPHA = 0.1
AUTHORS_LOSS = 2.9215846886533
AUTHORS_GRADIENT = [
    [-0.091991, -0.120941, 0.015552, 0.025013, -0.085186, 0.131412, -0.131884, 0.031728],
    [0.070160, 0.066983, -0.010575, 0.023377, -0.009498, -0.034933, -0.049604, -0.006397],
    [0.053390, -0.074212, 0.132765, -0.007756, 0.126008, 0.082962, 0.105622, -0.055459],
    [-0.006742, 0.017758, -0.096111, 0.004346, -0.012073, -0.026111, 0.062468, 0.023823],
    [-0.036930, 0.068037, -0.024910, -0.009512, 0.002168, -0.055219, 0.018364, -0.028301],
    [0.008780, 0.045708, -0.020055, -0.028802, -0.024753, -0.094778, -0.004966, 0.037941],
]


def make(labels: torch.Tensor, **own: object) -> dsh.Method:
    return dsh.Method(dsh.DshSettings(**own), BITS, labels, torch.Generator().manual_seed(0))


def terms(method: dsh.Method, codes: torch.Tensor, labels: torch.Tensor) -> tuple:
    """Means of the similarity loss and of the regularisation over the batch."""
    target = similarity(labels, labels)
    loss = method.similarity_loss(codes, References(codes, labels), target)
    return loss.mean(), method.regularisation(codes, torch.arange(len(codes))).mean()


def squared_distance(code: torch.Tensor, other: torch.Tensor) -> float:
    return sum((a - b) ** 2 for a, b in zip(code.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("soft_targets", ["distance", "mixture"])
def test_loss_is_equation_4(soft_targets, outputs, labels):
    method = make(labels, soft_targets=soft_targets)
    # Twice the size, so that some dissimilar pairs lie beyond the margin and some do not.
    codes = 2 * outputs.tanh()
    found = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
    beyond = 0
    for i in range(6):
        cost = 0.0
        for j in range(6):
            distance = squared_distance(codes[i], codes[j])
            y = 0 if labels[i] @ labels[j] > 0 else 1
            beyond += y and distance > MARGIN
            cost += (1 - y) * distance / 2 + y * max(MARGIN - distance, 0) / 2
        assert found[i].item() == pytest.approx(cost / 6, rel=1e-5)
    assert 0 < beyond < 22


def test_regulariser_of_all_pairs_is_equation_4(outputs, labels):
    """Averaged over samples it is what the pairs' regularisers are averaged over pairs."""
    codes = 2 * outputs.tanh()
    cost = 0.0
    for i in range(6):
        for j in range(6):
            cost += 0.3 * sum(abs(abs(bit) - 1) for bit in codes[i].tolist())
            cost += 0.3 * sum(abs(abs(bit) - 1) for bit in codes[j].tolist())
    found = make(labels, quantisation=0.3).regularisation(codes, torch.arange(6))
    assert found.mean().item() == pytest.approx(cost / 36, rel=1e-5)


def test_deephash_pytorch(outputs, labels):
    # It averages the regulariser over bits, and does not count it for both codes of a pair.
    method = make(labels, quantisation=DEEPHASH_ALPHA / (2 * BITS))
    total = sum(terms(method, method.relax(outputs), labels))
    assert total.item() == pytest.approx(DEEPHASH, rel=1e-5)


def test_authors_code(outputs, labels):
    """Their pairs leave out (i, i); their loss is halved in their gradient, the regulariser not."""
    method = make(labels, activation="linear")
    codes = outputs.double().requires_grad_()
    loss, regulariser = terms(method, method.relax(codes), labels.double())
    loss = loss * 6 / 5
    assert (loss + regulariser / 2).item() == pytest.approx(AUTHORS_LOSS, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss + regulariser, codes)
    expected = torch.tensor(AUTHORS_GRADIENT, dtype=torch.float64)
    assert torch.allclose(gradient / 2, expected, atol=1e-6)


def code_at(inner_product: float) -> torch.Tensor:
    """A code with this many agreeing minus disagreeing bits with the vector of ones."""
    agreeing = int((BITS + inner_product) / 2)
    return torch.tensor([1.0] * agreeing + [-1.0] * (BITS - agreeing))


@pytest.mark.parametrize(("target", "cheapest"), [(0.5, 4), (0.25, 2), (0.0, 0), (1.0, 8)])
def test_soft_target_is_cheapest_at_its_inner_product(target, cheapest, labels):
    ones = References(torch.ones(1, BITS), torch.ones(1, 3))
    products = range(cheapest - 8 if cheapest else 0, 9, 2)
    codes = torch.stack([code_at(product) for product in products if product >= -8])
    found = make(labels).similarity_loss(codes, ones, torch.full((len(codes), 1), target))
    best = found.argmin()
    assert codes[best].sum() == cheapest
    assert (found > found[best]).sum() == len(codes) - 1


def test_soft_target_as_a_mixture(outputs, labels):
    method = make(labels, soft_targets="mixture")
    codes, target = outputs.tanh(), torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    found = method.similarity_loss(codes, References(codes, labels), target)
    for i in range(6):
        cost = 0.0
        for j in range(6):
            distance, y = squared_distance(codes[i], codes[j]), (1 - target[i, j].item()) / 2
            cost += (1 - y) / 2 * distance + y / 2 * max(MARGIN - distance, 0)
        assert found[i].item() == pytest.approx(cost / 6, rel=1e-5)


def test_activation(outputs, labels):
    assert torch.equal(make(labels).relax(outputs), outputs.tanh())
    assert torch.equal(make(labels, activation="linear").relax(outputs), outputs)
