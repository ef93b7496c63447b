import math

import pytest
import torch

from medhash.models.metric_losses import (
    circle_loss,
    second_order_loss,
    squared_distances,
    triplet_loss,
)

PAPER = {"scale": 32.0, "margin": 0.25}


def at_angles(*degrees, dtype=torch.float64):
    """Vectors of the plane in these directions, each of another length."""
    radians = torch.tensor(degrees, dtype=dtype) * math.pi / 180
    lengths = torch.arange(1, len(degrees) + 1, dtype=dtype)[:, None]
    return torch.stack([radians.cos(), radians.sin()], dim=1) * lengths


def one_hot(*classes, dtype=torch.float64):
    return torch.nn.functional.one_hot(torch.tensor(classes)).to(dtype)


def random_batch(seed, samples=7, numbers=5, classes=3):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(samples, numbers, generator=generator, dtype=torch.float64)
    return vectors, one_hot(*torch.randint(classes, (samples,), generator=generator).tolist())


def slow_circle(vectors, labels, scale, margin):
    """Eq. 6 of Sun et al., pair by pair."""
    units = [v / math.sqrt(sum(x * x for x in v)) for v in vectors]
    losses = []
    for i, anchor in enumerate(units):
        total_p = total_n = 0.0
        for j, other in enumerate(units):
            s = sum(a * b for a, b in zip(anchor, other, strict=True))
            if i == j:
                continue
            if (labels[i] @ labels[j]) >= 1:
                total_p += math.exp(-scale * max(0, 1 + margin - s) * (s - (1 - margin)))
            else:
                total_n += math.exp(scale * max(0, s + margin) * (s - margin))
        losses.append(math.log(1 + total_p * total_n))
    return losses


def test_circle_loss_of_one_pair_each():
    """Cosine .8 to the positive and .4 to the negative, by hand 2.4868."""
    vectors = at_angles(0, math.degrees(math.acos(0.8)), -math.degrees(math.acos(0.4)))
    loss = circle_loss(vectors, one_hot(0, 0, 1), **PAPER)
    assert loss[0].item() == pytest.approx(2.4868, abs=5e-5)


@pytest.mark.parametrize("seed", range(4))
def test_circle_loss_is_a_loop_over_pairs(seed):
    vectors, labels = random_batch(seed)
    expected = slow_circle(vectors.numpy(), labels.numpy(), scale=4.0, margin=0.25)
    found = circle_loss(vectors, labels, scale=4.0, margin=0.25)
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


def test_circle_loss_does_not_look_at_lengths_or_order():
    vectors, labels = random_batch(1)
    loss = circle_loss(vectors, labels, **PAPER)
    order = torch.randperm(len(vectors))
    assert torch.allclose(circle_loss(3 * vectors[order], labels[order], **PAPER), loss[order])


@pytest.mark.parametrize("pairs", ["anchor", "batch"])
def test_a_batch_without_negatives_or_positives_costs_nothing(pairs):
    for classes in ((0, 0, 0), (0, 1, 2)):
        vectors = random_batch(0, samples=3)[0].requires_grad_()
        loss = circle_loss(vectors, one_hot(*classes), **PAPER, pairs=pairs)
        assert loss.tolist() == [0, 0, 0]
        loss.sum().backward()
        assert vectors.grad.abs().max() == 0


def test_all_pairs_of_a_batch_together():
    vectors, labels = random_batch(2)
    units = torch.nn.functional.normalize(vectors, dim=1)
    total = {True: 0.0, False: 0.0}
    for i in range(7):
        for j in range(i + 1, 7):
            s, same = (units[i] @ units[j]).item(), bool(labels[i] @ labels[j])
            exponent = -max(0, 1.25 - s) * (s - 0.75) if same else max(0, s + 0.25) * (s - 0.25)
            total[same] += math.exp(exponent)
    expected = math.log(1 + total[True] * total[False])
    found = circle_loss(vectors, labels, scale=1.0, margin=0.25, pairs="batch")
    assert found.tolist() == pytest.approx([expected] * 7)


@pytest.mark.parametrize("pairs", ["anchor", "batch"])
def test_the_gradient_of_the_circle_loss(pairs):
    vectors, labels = random_batch(3)

    def loss(v):
        return circle_loss(v, labels, scale=4.0, margin=0.25, pairs=pairs, detach=False)

    assert torch.autograd.gradcheck(loss, vectors.requires_grad_())


def test_weights_are_constants_of_the_gradient():
    """With alpha held at its value, the loss of two pairs falls as its exponent does."""
    vectors = at_angles(0, 30, 50).requires_grad_()
    circle_loss(vectors, one_hot(0, 0, 1), scale=2.0, margin=0.25)[0].backward()
    fixed = vectors.detach().clone().requires_grad_()
    units = torch.nn.functional.normalize(fixed, dim=1)
    p, n = units[0] @ units[1], units[0] @ units[2]
    alpha_p, alpha_n = 1.25 - p.item(), n.item() + 0.25
    exponent = 2 * alpha_n * (n - 0.25) - 2 * alpha_p * (p - 0.75)
    torch.nn.functional.softplus(exponent).backward()
    assert torch.allclose(vectors.grad, fixed.grad)


@pytest.mark.parametrize("seed", range(3))
def test_triplet_loss_is_a_loop_over_triplets(seed):
    vectors, labels = random_batch(seed)
    distances = torch.cdist(vectors, vectors)
    found = triplet_loss(distances, labels, margin=0.5).tolist()
    for a in range(7):
        missed = [
            max(0.0, (distances[a, p] - distances[a, n]).item() + 0.5)
            for p in range(7)
            for n in range(7)
            if p != a and labels[a] @ labels[p] and not labels[a] @ labels[n]
        ]
        assert found[a] == pytest.approx(sum(missed) / max(1, len(missed)))


@pytest.mark.parametrize("seed", range(3))
def test_second_order_loss_is_a_loop_over_positives(seed):
    vectors, labels = random_batch(seed)
    d = squared_distances(vectors)
    assert torch.allclose(d, torch.cdist(vectors, vectors).square())
    found = second_order_loss(d, labels).tolist()
    for a in range(7):
        own = [j for j in range(7) if j != a and labels[a] @ labels[j]]
        others = [j for j in range(7) if not labels[a] @ labels[j]]
        roots = [math.sqrt(sum((d[a, n] - d[p, n]).item() ** 2 for n in others)) for p in own]
        assert found[a] == pytest.approx(sum(roots) / max(1, len(roots)))


def test_equal_samples_have_a_gradient_of_the_second_order():
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = second_order_loss(squared_distances(vectors), one_hot(0, 0, 1, dtype=torch.float32))
    assert loss.tolist() == [0, 0, 0]
    loss.sum().backward()
    assert vectors.grad.isfinite().all()
