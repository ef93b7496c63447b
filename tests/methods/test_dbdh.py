"""DBDH against loops over its loss, and against a public implementation.

Public values: ``DPSHLoss`` of DBDH.py, github.com/swuxyj/DeepHash-pytorch, run on the inputs of
:func:`outputs` with all six samples as batch and memory.
"""

from __future__ import annotations

import math

import pytest
import torch

from medhash.methods import dbdh
from medhash.methods.families.hashing import References, similarity

BITS = 8
DEEPHASH_BY_POWER = {1: 0.5533170104026794, 2: 0.5378682613372803}
BATCHES = [0, 2, 4], [5, 1, 0], [3, 2, 4]
DEEPHASH_OF_BATCHES = 0.5908028483390808, 0.6211643218994141, 0.5034480690956116
DEEPHASH_GRADIENT = [-0.025416, 0.0, 0.0, 0.003161, -0.025805, 0.018203, 0.0, 0.014028]


def make(labels: torch.Tensor, **own: object) -> dbdh.Method:
    return dbdh.Method(dbdh.DbdhSettings(**own), BITS, labels, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("straight_through", [False, True])
def test_loss_is_the_likelihood(straight_through, outputs, labels):
    method = make(labels, straight_through=straight_through)
    codes = method.relax(outputs)
    found = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
    for i in range(6):
        cost = 0.0
        for j in range(6):
            logit = 0.5 * sum((codes[i] * codes[j]).tolist())
            s = 1 if labels[i] @ labels[j] > 0 else 0
            cost += math.log(1 + math.exp(logit)) - s * logit
        assert found[i].item() == pytest.approx(cost / 6, rel=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_balance(power, outputs, labels):
    codes = outputs.tanh()
    found = make(labels, balance=0.7, balance_power=power).regularisation(codes, torch.arange(6))
    for i in range(6):
        imbalance = abs(sum(codes[i].tolist()) / BITS)
        assert found[i].item() == pytest.approx(0.7 * imbalance**power, rel=1e-5)
    balanced = torch.tensor([[1.0, -1.0] * 4])
    assert make(labels).regularisation(balanced, torch.arange(1)).item() == 0


@pytest.mark.parametrize("power", [1, 2])
def test_deephash_pytorch(power, outputs, labels):
    method = make(labels, balance_power=power, straight_through=False)
    codes = method.relax(outputs)
    loss = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
    total = (loss + method.regularisation(codes, torch.arange(6))).mean()
    assert total.item() == pytest.approx(DEEPHASH_BY_POWER[power], rel=1e-5)


def test_deephash_pytorch_with_pairs_of_all_training_images(outputs, labels):
    """Three batches one after the other, and the third one's gradient in its first output."""
    method = make(labels, straight_through=False, pairs="training")
    outputs = outputs.clone().requires_grad_()
    for rows, expected in zip(map(torch.tensor, BATCHES), DEEPHASH_OF_BATCHES, strict=True):
        codes = method.relax(outputs[rows])
        method.before_batch(codes.detach(), rows)
        references = method.references(codes, labels[rows])
        target = similarity(labels[rows], references.labels)
        loss = method.similarity_loss(codes, references, target)
        total = (loss + method.regularisation(codes, rows)).mean()
        assert total.item() == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(total, outputs)
    assert gradient[3].tolist() == pytest.approx(DEEPHASH_GRADIENT, abs=1e-6)


def test_soft_target_of_nothing_is_cheapest_for_orthogonal_codes(labels):
    ones = References(torch.ones(1, BITS), torch.ones(1, 3))
    codes = torch.ones(9, BITS).tril(-1)[:, :BITS] * -2 + 1
    found = make(labels).similarity_loss(codes, ones, torch.zeros(9, 1))
    assert codes[found.argmin()].sum() == 0


class TestStraightThrough:
    def test_codes_are_signs(self, labels):
        method = make(labels, straight_through=True)
        codes = method.relax(torch.tensor([[-3.0, -0.2, 0.0, 0.7, 5.0]]))
        assert codes.tolist() == [[-1.0, -1.0, 1.0, 1.0, 1.0]]

    @pytest.mark.parametrize("straight_through", [False, True])
    def test_gradient_passes_inside_the_cut_only(self, straight_through, labels):
        method = make(labels, straight_through=straight_through)
        outputs = torch.tensor([[-3.0, -0.2, 0.1, 0.7, 5.0]], requires_grad=True)
        weights = torch.arange(1.0, 6.0)
        (method.relax(outputs) * weights).sum().backward()
        assert outputs.grad.tolist() == [[0.0, 2.0, 3.0, 4.0, 0.0]]

    def test_descent_separates_classes(self, outputs, labels):
        """Gradient steps with signs in the forward pass bring the codes to what is wished."""
        method = make(labels, straight_through=True)
        target = similarity(labels, labels)
        outputs = (0.1 * outputs).requires_grad_()
        for _ in range(200):
            codes = method.relax(outputs)
            loss = method.similarity_loss(codes, References(codes, labels), target).mean()
            (gradient,) = torch.autograd.grad(loss, outputs)
            with torch.no_grad():
                outputs -= 0.1 * gradient
        codes = method.relax(outputs)
        agreement = codes @ codes.T
        assert agreement[target > 0].min() > agreement[target < 0].max()
