"""DDMH against loops over its loss, its queue and its slow copy, and against a public library.

Public value: the mean over a sample's triplets of ``TripletMarginLoss(margin=0.5,
distance=CosineSimilarity())`` of github.com/KevinMusgrave/pytorch-metric-learning, with the keys of
:func:`drawn` as reference embeddings.
"""

from __future__ import annotations

import math

import pytest
import torch

from medhash import methods
from medhash.methods.ddmh import DdmhOutputs
from medhash.schema.settings import NetworkSettings

BITS = 8
NETWORK = NetworkSettings(kind="ynet_main", image_size=64, width=0.125)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 1])
PUBLIC = [
    *(0.748634671110926, 0.8852773992895152, 0.0),
    *(0.755286847149463, 0.9549876648820682, 0.8666167095630574),
]


def make(**own: object):
    torch.manual_seed(0)
    kind = methods.method_class("ddmh")
    return kind(kind.Settings(**own), NETWORK, BITS, 3, torch.Generator().manual_seed(1))


def drawn(classes=CLASSES, seed=4):
    generator = torch.Generator().manual_seed(seed)
    size = len(classes), BITS
    numbers, keys = (torch.randn(size, generator=generator).double() for _ in range(2))
    return DdmhOutputs(numbers, keys.tanh()), torch.eye(3)[classes].double()


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def triplets_of(codes, labels, keys, key_labels, margin):
    """The mean over all triplets of each sample; its own key stands in its place."""
    values = []
    for i, (code, own) in enumerate(zip(codes.tolist(), labels.tolist(), strict=True)):
        near = [cosine(code, key) for key in keys.tolist()]
        same = [own == other for other in key_labels.tolist()]
        costs = [
            max(0.0, near[n] - near[p] + margin)
            for p in range(len(near))
            for n in range(len(near))
            if p != i and same[p] and not same[n]
        ]
        values.append(sum(costs) / max(1, len(costs)))
    return values


def test_a_triplet_costs_what_its_cosines_miss_of_the_margin():
    outputs, labels = drawn()
    found = make(margin=0.25, queue=6).double().losses(outputs, labels, None)
    expected = triplets_of(outputs.numbers.tanh(), labels, outputs.keys, labels, 0.25)
    assert found["triplet"].tolist() == pytest.approx(expected)
    assert found["triplet"][0] > 0
    assert found["triplet"][2] == 0, "the only one of its class has no triplet"


def test_the_margin_is_one_of_hamming_distances():
    """Of codes: K / 2 times the margin, as K (1 - cos) / 2 is their distance."""
    codes = drawn()[0].numbers.sign()
    for a in codes:
        for b in codes:
            distance = (a != b).sum().item()
            assert BITS * (1 - cosine(a.tolist(), b.tolist())) / 2 == pytest.approx(distance)


def test_the_queue_holds_the_latest_keys_and_what_it_does_not_hold_yet_counts_nothing():
    method = make(queue=10).double()
    first, labels = drawn()
    method.losses(first, labels, None)
    assert torch.equal(method.queue[:6], first.keys)
    assert method.queue[6:].abs().max() == 0
    second, others = drawn(torch.tensor([2, 2, 0, 1, 1]), seed=5)
    found = method.losses(second, others, None)["triplet"]
    assert torch.equal(method.queue, torch.cat([second.keys, first.keys])[:10])
    keys, key_labels = method.queue, torch.cat([others, labels])[:10]
    expected = triplets_of(second.numbers.tanh(), others, keys, key_labels, 0.5)
    assert found.tolist() == pytest.approx(expected)


def test_the_length_of_what_becomes_a_code_is_left_to_the_quantisation():
    outputs, labels = drawn()
    small = outputs._replace(numbers=outputs.numbers.tanh().mul(0.1).atanh())
    costs = [make(queue=6).double().losses(each, labels, None) for each in (outputs, small)]
    assert costs[1]["triplet"].tolist() == pytest.approx(costs[0]["triplet"].tolist())
    numbers = small.numbers[3].tanh().tolist()
    expected = 0.1 * sum((abs(x) - 1) ** 2 for x in numbers) / BITS
    assert costs[1]["quantisation"][3].item() == pytest.approx(expected)


def test_the_slow_copy_follows():
    method, pixels = make(momentum=0.75).train(), torch.randn(4, 3, 64, 64)
    labels = torch.eye(3)[[0, 0, 1, 1]]
    for _ in range(2):
        weights = method.slow[1].weight.clone()
        with torch.no_grad():
            method.hashing.weight += 1
        outputs = method.look(pixels)
        method.losses(outputs, labels, None)
    expected = 0.75 * weights + 0.25 * method.hashing.weight
    assert torch.allclose(method.slow[1].weight, expected)
    assert torch.allclose(weights, method.hashing.weight - 1), "the first step makes them equal"
    assert not any(each.requires_grad for each in method.slow.parameters())
    assert outputs.keys.shape == (4, BITS)
    assert method.eval().look(pixels).keys is None


def test_gradients():
    method, (outputs, labels) = make(queue=6).double(), drawn()

    def cost(numbers):
        return method.losses(outputs._replace(numbers=numbers), labels, None)["triplet"]

    assert torch.autograd.gradcheck(cost, (outputs.numbers / 3).requires_grad_())


def test_pytorch_metric_learning():
    outputs, labels = drawn()
    found = make(queue=6).double().losses(outputs, labels, None)["triplet"]
    assert found.tolist() == pytest.approx(PUBLIC)
