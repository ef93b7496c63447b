"""Every loss against a slow loop where targets lie between 0 and ±1, as LCR's do (ACH Eq. 21)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from medhash import methods
from medhash.causal.lcr import squared_loss
from medhash.methods.adsh import discrete_step
from medhash.methods.csq import hash_centres, pairwise_cost
from medhash.methods.families.hashing import References
from medhash.methods.transhash import piece_sizes

BITS, CLASSES, SAMPLES, OTHERS = 8, 4, 5, 7
Rows = list[list[float]]
Oracle = Callable[[Rows, Rows, Rows], list[float]]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(12)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.eye(CLASSES, dtype=torch.float64)[torch.tensor([0, 0, 0, 1, 2, 0, 3])]


def make(name: str, labels: torch.Tensor, **own: object) -> Any:
    kind = methods.method_class(name)
    method = kind(kind.Settings(**own), BITS, labels, torch.Generator().manual_seed(3))
    return method.double()


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def likelihood(logit: float, probability: float) -> float:
    return math.log(1 + math.exp(logit)) - probability * logit


def mixed_weights(target: Rows) -> Rows:
    """Eq. 2 of HashNet, a soft pair counting as a fraction of a similar one."""
    similar = [[(t + 1) / 2 for t in row] for row in target]
    pairs = sum(map(len, similar))
    positive = sum(map(sum, similar))
    return [
        [p * pairs / positive + (1 - p) * pairs / (pairs - positive) for p in row]
        for row in similar
    ]


def hashnet(alpha: float) -> Oracle:
    def loop(codes: Rows, others: Rows, target: Rows) -> list[float]:
        weights = mixed_weights(target)
        return [
            mean(
                [
                    weights[i][j] * likelihood(alpha * dot(b, v), (target[i][j] + 1) / 2)
                    for j, v in enumerate(others)
                ]
            )
            for i, b in enumerate(codes)
        ]

    return loop


def dbdh(codes: Rows, others: Rows, target: Rows) -> list[float]:
    return [
        mean([likelihood(dot(b, v) / 2, (t + 1) / 2) for v, t in zip(others, row, strict=True)])
        for b, row in zip(codes, target, strict=True)
    ]


def dsh(reading: str) -> Oracle:
    margin = 2.0 * BITS

    def pair(b: list[float], v: list[float], t: float) -> float:
        distance = sum((x - y) ** 2 for x, y in zip(b, v, strict=True))
        if reading == "mixture":
            y = (1 - t) / 2
            return (1 - y) * distance / 2 + y * max(margin - distance, 0) / 2
        if reading == "distance":
            wished = min(margin, 2 * BITS * (1 - t))
        else:
            wished = min(margin, max(0.0, dot(b, b) + dot(v, v) - 2 * BITS * t))
        if distance < wished:
            return (wished - distance) / 2
        return max(t, 0.0) * (distance - wished) / 2

    def loop(codes: Rows, others: Rows, target: Rows) -> list[float]:
        return [
            mean([pair(b, v, t) for v, t in zip(others, row, strict=True)])
            for b, row in zip(codes, target, strict=True)
        ]

    return loop


def csq(codes: Rows, others: Rows, target: Rows) -> list[float]:
    costs = []
    for b, row in zip(codes, target, strict=True):
        cost = 0.0
        for bit in range(BITS):
            wished = sum(max(t, 0.0) * v[bit] for v, t in zip(others, row, strict=True))
            likely = (max(-1.0, min(1.0, wished)) + 1) / 2
            p = (b[bit] + 1) / 2
            cost -= likely * math.log(p) + (1 - likely) * math.log(1 - p)
        costs.append(cost / BITS)
    return costs


# Of the 49 pairs of the training images `labels`, 19 are similar.
ADSH_RATIO = 19 / 30


def adsh(balanced: bool) -> Oracle:
    def loop(codes: Rows, others: Rows, target: Rows) -> list[float]:
        ratio = ADSH_RATIO if balanced else 1.0
        return [
            mean(
                [
                    (dot(b, v) - BITS * (t if t > 0 else ratio * t)) ** 2
                    for v, t in zip(others, row, strict=True)
                ]
            )
            for b, row in zip(codes, target, strict=True)
        ]

    return loop


def transhash(codes: Rows, others: Rows, target: Rows) -> list[float]:
    weights = mixed_weights(target)
    costs = []
    for i, b in enumerate(codes):
        pairs = []
        for j, v in enumerate(others):
            start, cost, similar = 0, 0.0, (target[i][j] + 1) / 2
            for size in piece_sizes(BITS):
                one, other = b[start : start + size], v[start : start + size]
                start += size
                cosine = dot(one, other) / math.sqrt(dot(one, one) * dot(other, other))
                distance, gamma = size / 2 * (1 - cosine + 1e-3), 0.5 * size
                cost += similar * math.log(distance / gamma) + math.log(1 + gamma / distance)
            pairs.append(weights[i][j] * cost)
        costs.append(mean(pairs))
    return costs


def squared(codes: Rows, others: Rows, target: Rows) -> list[float]:
    return [
        mean([(dot(b, v) / BITS - t) ** 2 for v, t in zip(others, row, strict=True)])
        for b, row in zip(codes, target, strict=True)
    ]


CASES: dict[str, tuple[str, dict[str, Any], Oracle]] = {
    "hashnet": ("hashnet", {}, hashnet(10 / BITS)),
    "hashnet, alpha": ("hashnet", {"alpha": 0.3}, hashnet(0.3)),
    "dbdh": ("dbdh", {}, dbdh),
    "dsh, distance": ("dsh", {}, dsh("distance")),
    "dsh, inner-product": ("dsh", {"soft_targets": "inner-product"}, dsh("inner-product")),
    "dsh, mixture": ("dsh", {"soft_targets": "mixture"}, dsh("mixture")),
    "csq": ("csq", {}, csq),
    "adsh": ("adsh", {}, adsh(True)),
    "adsh, unbalanced": ("adsh", {"balanced": False}, adsh(False)),
    "transhash": ("transhash", {}, transhash),
}


def loss_of(case: str, labels: torch.Tensor) -> Callable[..., torch.Tensor]:
    if case == "squared":
        return lambda codes, others, target: squared_loss(codes, (others, labels), target)
    name, own, _ = CASES[case]
    method = make(name, labels, **own)
    return lambda codes, others, target: method.similarity_loss(
        codes, References(others, labels), target
    )


def inputs(case: str, generator: torch.Generator, least: float) -> tuple[torch.Tensor, ...]:
    """Codes, V and targets in (least, 1), of which the first of each row are exactly 0."""
    count = CLASSES if case == "csq" else OTHERS
    codes = torch.randn(SAMPLES, BITS, generator=generator, dtype=torch.float64).tanh()
    others = torch.randn(count, BITS, generator=generator, dtype=torch.float64).tanh()
    if case == "csq":
        others = hash_centres(CLASSES, BITS, 10, generator).double()
    target = least + (1 - least) * torch.rand(SAMPLES, count, generator=generator).double()
    target[:, 0] = 0.0
    return codes, others, target


@pytest.mark.parametrize("least", [-0.95, 0.2])
@pytest.mark.parametrize("case", [*CASES, "squared"])
def test_loss_is_the_loop(case, least, labels, generator):
    codes, others, target = inputs(case, generator, least)
    found = loss_of(case, labels)(codes, others, target)
    oracle = squared if case == "squared" else CASES[case][2]
    expected = oracle(codes.tolist(), others.tolist(), target.tolist())
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("case", [*CASES, "squared"])
def test_gradient_in_codes_and_in_v(case, labels, generator):
    codes, others, target = inputs(case, generator, -0.95)
    loss = loss_of(case, labels)
    own = 0.9 * codes.requires_grad_()
    moving = (own, others) if case == "csq" else (own, (0.9 * others).requires_grad_())
    assert torch.autograd.gradcheck(lambda b, v: loss(b, v, target), moving)


def test_the_inputs_bite(labels, generator):
    """Targets of both signs, sums of centres beyond 1, distances on both sides of the wish."""
    _, centres, target = inputs("csq", generator, 0.2)
    assert ((target @ centres).abs() > 1).any()
    codes, others, target = inputs("dsh", generator, -0.95)
    assert (target > 0).any()
    assert (target < 0).any()
    wished = (2 * BITS * (1 - target)).clamp(max=2 * BITS)
    further = (codes[:, None] - others).pow(2).sum(dim=2) > wished
    assert (further & (target > 0)).any()
    assert (~further & (target > 0)).any()
    assert float(similar_pairs(labels)) / (49 - similar_pairs(labels)) == pytest.approx(ADSH_RATIO)


def similar_pairs(labels: torch.Tensor) -> int:
    return int((labels @ labels.T).sum())


class TestDsh:
    @pytest.mark.parametrize("size", [0.6, 0.75, 1.0])
    def test_an_inner_product_of_nothing_is_free_whatever_the_length(self, size, labels):
        """By the distance, the same codes are still pushed apart unless they are saturated."""
        code = size * torch.ones(1, BITS, dtype=torch.float64)
        other = code.clone()
        other[0, : BITS // 2] *= -1
        target = torch.zeros(1, 1, dtype=torch.float64)
        cost = {
            reading: make("dsh", labels, soft_targets=reading)
            .similarity_loss(code, References(other, labels[:1]), target)
            .item()
            for reading in ("distance", "inner-product")
        }
        assert cost["inner-product"] == pytest.approx(0.0, abs=1e-12)
        assert cost["distance"] == pytest.approx(BITS * (1 - size**2), abs=1e-12)


class TestCsq:
    def test_pairs_are_of_the_two_halves(self, labels, generator):
        codes = torch.randn(OTHERS, BITS, generator=generator, dtype=torch.float64).tanh()
        found = pairwise_cost(codes, labels)
        cost = {
            (i, j): likelihood(
                10 / BITS * dot(codes[i].tolist(), codes[j].tolist()), float(labels[i] @ labels[j])
            )
            for i in range(3)
            for j in range(3, OTHERS)
        }
        for i in range(OTHERS):
            expected = mean([value for pair, value in cost.items() if i in pair])
            assert found[i].item() == pytest.approx(expected, rel=1e-9)
        assert found.mean().item() == pytest.approx(mean(list(cost.values())), rel=1e-9)
        assert pairwise_cost(codes[:1], labels[:1]).tolist() == [0.0]
        assert torch.autograd.gradcheck(lambda b: pairwise_cost(b, labels), codes.requires_grad_())


class TestAdshDiscreteStep:
    def test_u_is_remembered_as_it_is_and_s_is_balanced(self, labels, generator):
        """One alternation, against Eq. 7-10 written out with u = tanh(z) and the soft S."""
        method = make("adsh", labels, alternation_epochs=1, quantisation=2.0)
        v = method.database_codes.clone()
        assert set(v.unique().tolist()) == {-1.0, 1.0}
        u = 0.5 * torch.randn(OTHERS, BITS, generator=generator, dtype=torch.float64).tanh()
        for rows in torch.arange(OTHERS).split(4):
            method.after_batch(u[rows], rows)
        method.after_epoch(0)
        for bit in range(BITS):
            for item in range(OTHERS):
                pull = 2.0 * float(u[item, bit])
                for i in range(OTHERS):
                    s = 1.0 if labels[i] @ labels[item] else -ADSH_RATIO
                    rest = sum(float(u[i, k] * v[item, k]) for k in range(BITS) if k != bit)
                    pull += float(u[i, bit]) * (BITS * s - rest)
                v[item, bit] = 1.0 if pull > 0 else -1.0
        assert torch.equal(method.database_codes, v)

    @pytest.mark.parametrize("start", ["random", "zeros"])
    def test_v_of_the_whole_database_is_found_by_trying_both(self, start, labels, generator):
        """Five training images at scattered places of a database of seven."""
        places, train = torch.tensor([4, 0, 6, 1, 3]), 5
        method = make("adsh", labels[places], database="whole", first_codes=start, quantisation=3.0)
        method.stand_among(labels, places)
        v = method.database_codes.clone()
        assert set(v.unique().tolist()) == ({0.0} if start == "zeros" else {-1.0, 1.0})
        u = torch.randn(train, BITS, generator=generator, dtype=torch.float64).tanh()
        s = method.balance(torch.where(labels[places] @ labels.T > 0, 1.0, -1.0).double())

        def objective(codes: torch.Tensor) -> float:
            fit = (u @ codes.T - BITS * s).pow(2).sum()
            return float(fit + 3.0 * (codes[places] - u).pow(2).sum())

        found = discrete_step(v, u, s, 3.0, places)
        for bit in range(BITS):
            for item in range(OTHERS):
                tried = [v.clone(), v.clone()]
                tried[0][item, bit], tried[1][item, bit] = -1.0, 1.0
                costs = [objective(each) for each in tried]
                v = tried[costs.index(min(costs))]
        assert torch.equal(found, v)

    def test_regularisation_finds_a_training_image_in_the_database(self, labels, generator):
        places = torch.tensor([4, 0, 6, 1, 3])
        method = make("adsh", labels[places], database="whole", quantisation=3.0)
        method.stand_among(labels, places)
        codes = torch.randn(2, BITS, generator=generator, dtype=torch.float64).tanh()
        found = method.regularisation(codes, torch.tensor([2, 0]))
        for row, place in enumerate((6, 4)):
            apart = sum(
                float(method.database_codes[place, k] - codes[row, k]) ** 2 for k in range(BITS)
            )
            assert found[row].item() == pytest.approx(3.0 * apart / OTHERS, rel=1e-9)


class TestDbdhMemory:
    def test_v_is_what_was_seen_with_the_batch_in_it(self, labels, generator):
        method = make("dbdh", labels, pairs="training")
        first, second = (
            torch.randn(3, BITS, generator=generator, dtype=torch.float64).requires_grad_()
            for _ in range(2)
        )
        method.before_batch(first.detach(), torch.tensor([0, 3, 5]))
        method.before_batch(second.detach(), torch.tensor([4, 3, 2]))
        references = method.references(second, labels[[4, 3, 2]])
        expected = {0: first[0], 5: first[2], 4: second[0], 3: second[1], 2: second[2]}
        for row in range(OTHERS):
            if row in expected:
                assert torch.equal(references.codes[row], expected[row].detach())
                assert torch.equal(references.labels[row], labels[row])
            else:
                assert not references.codes[row].any()
                assert not references.labels[row].any()
        assert not references.codes.requires_grad
