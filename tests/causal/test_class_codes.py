"""Distances within classes and DBW against loops over ACH Eq. 10-12."""

from __future__ import annotations

import math

import pytest
import torch

from medhash.causal.class_codes import ClassCodes, class_softmax, intraclass_distances
from medhash.causal.dbw import DebiasedWeighting, batch_weights
from medhash.schema.settings import DbwSettings

BITS = 6


def r_of(code: torch.Tensor, others: list[torch.Tensor]) -> float:
    """Eq. 10, term by term."""
    total = sum((float(code @ other) / BITS - 1) ** 2 for other in others)
    return total / len(others)


def softmax(values: list[float]) -> list[float]:
    exponentials = [math.exp(v) for v in values]
    return [e / sum(exponentials) for e in exponentials]


@pytest.fixture
def labels() -> torch.Tensor:
    classes = torch.tensor([0, 0, 1, 2, 1, 0, 2, 0, 1, 0])
    return torch.nn.functional.one_hot(classes, 3).float()


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(10, BITS, generator=torch.Generator().manual_seed(1)).tanh()


def members(labels: torch.Tensor, label: int) -> list[int]:
    return [i for i in range(len(labels)) if labels[i, label]]


def test_distances_are_equation_10(codes, labels):
    found = intraclass_distances(codes[:4], codes, labels)
    for i in range(4):
        for c in range(3):
            expected = r_of(codes[i], [codes[j] for j in members(labels, c)])
            assert found[i, c].item() == pytest.approx(expected, rel=1e-5)


def test_an_empty_class_has_distance_zero(codes):
    labels = torch.tensor([[1.0, 0.0]]).repeat(10, 1)
    assert (intraclass_distances(codes, codes, labels)[:, 1] == 0).all()


def test_memory_counts_only_what_it_has_seen(codes, labels):
    memory = ClassCodes(labels, BITS)
    memory.remember(torch.tensor([0, 2, 4]), codes[[0, 2, 4]])
    found = memory.distances(codes[:1])[0]
    assert found[1].item() == pytest.approx(r_of(codes[0], [codes[2], codes[4]]), rel=1e-5)
    assert found[2] == 0


def test_memory_keeps_the_latest_code_without_gradient(codes, labels):
    memory = ClassCodes(labels, BITS)
    memory.remember(torch.tensor([3]), codes[[1]])
    memory.remember(torch.tensor([3]), codes[[5]].requires_grad_())
    assert torch.equal(memory.codes[3], codes[5])
    assert not memory.codes.requires_grad


def test_own_distance_of_several_labels_is_their_mean(codes, labels):
    memory = ClassCodes(labels, BITS)
    memory.remember(torch.arange(10), codes)
    both = torch.tensor([[1.0, 0.0, 1.0]])
    expected = [r_of(codes[0], [codes[j] for j in members(labels, c)]) for c in (0, 2)]
    assert memory.own_distances(codes[:1], both).item() == pytest.approx(sum(expected) / 2)


def test_softmax_adds_up_to_one_in_each_class(labels):
    scores = torch.randn(10)
    weights = class_softmax(scores, labels)
    for c in range(3):
        inside = members(labels, c)
        expected = softmax([scores[i].item() for i in inside])
        assert weights[inside, c].tolist() == pytest.approx(expected, rel=1e-5)
        assert weights[:, c].sum().item() == pytest.approx(1.0)


def test_softmax_of_an_empty_class_is_zero():
    assert torch.equal(class_softmax(torch.ones(2), torch.zeros(2, 1)), torch.zeros(2, 1))


class TestDebiasedWeighting:
    def loop(self, codes, labels, losses) -> float:
        """Eq. 12 over the whole training set, divided by the number of classes."""
        total = 0.0
        for c in range(3):
            inside = members(labels, c)
            r = [r_of(codes[i], [codes[j] for j in inside]) for i in inside]
            total += sum(w * losses[i].item() for w, i in zip(softmax(r), inside, strict=True))
        return total / 3

    def test_whole_training_set_is_equation_12(self, codes, labels):
        memory = ClassCodes(labels, BITS)
        memory.remember(torch.arange(10), codes)
        losses = torch.rand(10)
        weighting = DebiasedWeighting(DbwSettings(), memory)
        found = weighting.reduce(losses, codes, labels, torch.arange(10))
        assert found.item() == pytest.approx(self.loop(codes, labels, losses), rel=1e-5)

    def test_batches_average_to_equation_12(self, codes, labels):
        memory = ClassCodes(labels, BITS)
        memory.remember(torch.arange(10), codes)
        losses = torch.rand(10)
        weighting = DebiasedWeighting(DbwSettings(), memory)
        parts = [
            weighting.reduce(losses[rows], codes[rows], labels[rows], rows).item()
            for rows in torch.arange(10).split(5)
        ]
        assert sum(parts) / 2 == pytest.approx(self.loop(codes, labels, losses), rel=1e-5)

    def test_batch_population(self, codes, labels):
        found = batch_weights(codes, labels)
        for c in range(3):
            inside = members(labels, c)
            r = [r_of(codes[i], [codes[j] for j in inside]) for i in inside]
            expected = [w / 3 for w in softmax(r)]
            assert found[inside].tolist() == pytest.approx(expected, rel=1e-5)
        weighting = DebiasedWeighting(DbwSettings(population="batch"), ClassCodes(labels, BITS))
        losses = torch.rand(10)
        value = weighting.reduce(losses, codes, labels, torch.arange(10))
        assert value.item() == pytest.approx((found * losses).sum().item())

    def test_rare_codes_weigh_more(self, labels):
        codes = torch.ones(10, BITS)
        codes[7] = -1
        memory = ClassCodes(labels, BITS)
        memory.remember(torch.arange(10), codes)
        weighting = DebiasedWeighting(DbwSettings(), memory)
        one = [
            weighting.reduce(torch.eye(10)[i], codes, labels, torch.arange(10)).item()
            for i in (0, 7)
        ]
        assert one[1] > one[0]

    def test_weights_carry_no_gradient(self, codes, labels):
        codes = codes.clone().requires_grad_()
        memory = ClassCodes(labels, BITS)
        memory.remember(torch.arange(10), codes)
        losses = torch.rand(10, requires_grad=True)
        for population in ("train", "batch"):
            weighting = DebiasedWeighting(DbwSettings(population=population), memory)
            weighting.reduce(losses, codes, labels, torch.arange(10)).backward()
        assert codes.grad is None
