"""DPSH, DTSH and DRH against loops over their losses, and against a public implementation.

Public value: ``DPSHLoss`` of DPSH.py, github.com/swuxyj/DeepHash-pytorch, on the inputs of
:func:`outputs` with all six samples as batch and memory.
"""

from __future__ import annotations

import math

import pytest
import torch

from medhash import methods
from medhash.methods.families.hashing import References, similarity

BITS = 8
DEEPHASH = 0.6296692281961441


def make(name: str, labels: torch.Tensor, **own: object):
    kind = methods.method_class(name)
    return kind(kind.Settings(**own), BITS, labels, torch.Generator().manual_seed(0))


def loss_of(method, codes, labels):
    return method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))


def alike(labels, i, j):
    return bool(labels[i] @ labels[j])


def dot(a, b):
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def test_dpsh_is_the_likelihood_of_all_pairs_with_the_memory(outputs, labels):
    method = make("dpsh", labels)
    method.after_batch(outputs[[4, 1]], torch.tensor([4, 1]))
    references = method.references(outputs, labels)
    assert references.codes[[0, 2, 3, 5]].abs().max() == 0
    assert torch.equal(references.codes[[1, 4]], outputs[[1, 4]])
    found = method.similarity_loss(
        outputs[:3], references, method.target(labels[:3], references)
    ).tolist()
    for i in range(3):
        cost = 0.0
        for j in range(6):
            theta = dot(outputs[i], references.codes[j]) / 2
            cost += math.log(1 + math.exp(theta)) - alike(labels, i, j) * theta
        assert found[i] == pytest.approx(cost / 6, rel=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_dtsh_is_the_likelihood_of_all_triplets(half, outputs, labels):
    method = make("dtsh", labels, margin=2.0, product="half" if half else "whole")
    found = loss_of(method, outputs, labels).tolist()
    for q in range(6):
        costs = []
        for p in range(6):
            for n in range(6):
                if p != q and alike(labels, q, p) and not alike(labels, q, n):
                    theta = dot(outputs[q], outputs[p]) - dot(outputs[q], outputs[n])
                    costs.append(math.log(1 + math.exp(2 - theta / (2 if half else 1))))
        assert found[q] == pytest.approx(sum(costs) / max(1, len(costs)), rel=1e-5)
    assert found[2] == 0, "the only one of its class has no triplet"


def test_drh_is_the_probability_of_a_wrong_neighbour(outputs, labels):
    codes = outputs.tanh() / 2
    found = loss_of(make("drh", labels), codes, labels).tolist()
    for i in range(6):
        near = [
            0.0 if i == j else math.exp(-sum((codes[i] - codes[j]).square().tolist()))
            for j in range(6)
        ]
        right = sum(p for j, p in enumerate(near) if j != i and alike(labels, i, j))
        expected = 1 - right / sum(near) if right else 0.0
        assert found[i] == pytest.approx(expected, rel=1e-5)
    assert found[2] == 0


def test_outputs_are_drawn_to_their_signs(outputs, labels):
    rows = torch.arange(6)
    for name, weight in (("dpsh", 0.1), ("dtsh", 1.0)):
        found = make(name, labels).regularisation(outputs, rows).tolist()
        for i in range(6):
            numbers = outputs[i].tolist()
            cost = sum((x - math.copysign(1, x)) ** 2 for x in numbers) / BITS
            assert found[i] == pytest.approx(weight * cost, rel=1e-5)
    found = make("drh", labels, quantisation=0.3).regularisation(outputs, rows).tolist()
    for i in range(6):
        cost = sum(math.log(math.cosh(abs(x) - 1)) for x in outputs[i].tolist()) / BITS
        assert found[i] == pytest.approx(0.3 * cost, rel=1e-4)


@pytest.mark.parametrize("name", ["dtsh", "drh"])
def test_a_batch_of_one_class_or_of_all_others_costs_nothing(name, outputs, labels):
    for classes in ([0] * 3, [0, 1, 2]):
        own = torch.eye(3)[classes]
        codes = outputs[:3].clone().requires_grad_()
        loss = loss_of(make(name, own), codes, own)
        loss.sum().backward()
        assert codes.grad.isfinite().all()
        if name == "dtsh" or classes == [0, 1, 2]:
            assert loss.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["dtsh", "drh"])
def test_gradients(name, outputs, labels):
    method, codes = make(name, labels), (outputs / 3).double().requires_grad_()
    own = labels.double()
    assert torch.autograd.gradcheck(lambda c: loss_of(method, c, own), codes)


def test_deephash_pytorch(outputs, labels):
    method, rows = make("dpsh", labels), torch.arange(6)
    total = (loss_of(method, outputs, labels) + method.regularisation(outputs, rows)).mean()
    assert total.item() == pytest.approx(DEEPHASH, rel=1e-5)
