"""Each method's loss against loops over its paper's equations."""

from __future__ import annotations

import math

import pytest
import torch

from medhash import methods
from medhash.methods import adsh, csq, hashnet
from medhash.methods.families.hashing import Coded, References, similarity

BITS = 8


def one_hot(classes: list[int], count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes), count).float()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def labels() -> torch.Tensor:
    return one_hot([0, 0, 1, 2, 1, 0, 2], 3)


def make(name: str, labels: torch.Tensor, generator: torch.Generator, **own: object):
    kind = methods.method_class(name)
    method = kind(kind.Settings(**own), BITS, labels, generator)
    # Here the pooled features are as many numbers as a code has.
    method.stand_on(BITS)
    return method


HASHING = [name for name in methods.names() if methods.method_class(name).family == "hashing"]


@pytest.mark.parametrize("name", HASHING)
class TestEveryMethod:
    def rows(self, method, generator) -> torch.Tensor:
        """All seven samples and, behind them, the companions of each."""
        anchors = torch.arange(7)
        if not method.companions_each:
            return anchors
        return torch.cat([anchors, method.companions(anchors, generator).flatten()])

    def costs(self, method, codes, rows) -> dict[str, torch.Tensor]:
        labels = method.labels[rows]
        references = method.references(codes, labels)
        target = method.target(labels[:7], references)
        similar = method.similarity_loss(codes[:7], references, target)
        pooled = torch.arange(codes.numel()).view_as(codes).to(codes)
        coded = Coded(codes, pooled, labels, rows, 7)
        return {"similarity": similar} | method.further_terms(coded)

    def test_gives_one_value_a_sample(self, name, labels, generator):
        method = make(name, labels, generator)
        rows = self.rows(method, generator)
        assert len(rows) == 7 * (1 + method.companions_each)
        codes = method.relax(torch.randn(len(rows), BITS, generator=generator))
        costs = self.costs(method, codes, rows)
        assert costs["similarity"].shape == (7,)
        assert all(len(cost) in (7, len(rows)) for cost in costs.values())
        assert method.regularisation(codes, rows).shape == (len(rows),)

    def test_gradient(self, name, labels, generator):
        """In the relaxed codes: a method may pass a sign by a gradient of its own."""
        labels = labels.double()
        method = make(name, labels, generator).double()
        rows = self.rows(method, generator)
        outputs = torch.randn(len(rows), BITS, generator=generator, dtype=torch.float64)

        def total(codes: torch.Tensor) -> torch.Tensor:
            return torch.stack([c.sum() for c in self.costs(method, codes, rows).values()]).sum()

        assert torch.autograd.gradcheck(total, outputs.tanh().requires_grad_())

    def test_right_codes_cost_less_than_wrong_ones(self, name, labels, generator):
        method = make(name, labels, generator)
        rows = self.rows(method, generator)
        centres = csq.hash_centres(3, BITS, 10, generator)
        classes = labels.argmax(dim=1)[rows]
        right = centres[classes] * 0.9
        wrong = right.clone()
        wrong[:7] = centres[(classes[:7] + 1) % 3] * 0.9
        own = method.references(right, method.labels[rows])
        if name != "csq" and not method.companions_each:
            own = References(centres, torch.eye(3))
        target = method.target(labels, own)
        cost = [method.similarity_loss(codes[:7], own, target) for codes in (right, wrong)]
        assert (cost[0] < cost[1]).all()

    def test_state_survives_its_state_dict(self, name, labels, generator):
        first = make(name, labels, generator)
        codes = torch.randn(7, BITS, generator=generator).tanh()
        first.start_epoch(45)
        first.after_batch(codes, torch.arange(7))
        first.after_epoch(2)
        second = make(name, labels, torch.Generator().manual_seed(99))
        second.load_state_dict(first.state_dict())
        references = [m.references(codes, labels) for m in (first, second)]
        assert torch.equal(first.relax(codes), second.relax(codes))
        assert torch.equal(references[0].codes, references[1].codes)


def test_similarity_is_equation_13():
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    found = similarity(labels, labels)
    for i in range(3):
        for j in range(3):
            shared = sum(labels[i][c] * labels[j][c] for c in range(3))
            assert found[i, j] == (1 if shared >= 1 else -1)


class TestHashNet:
    def test_loss_is_the_weighted_likelihood(self, labels, generator):
        method = make("hashnet", labels, generator)
        codes = torch.randn(7, BITS, generator=generator).tanh()
        found = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
        similar = [[float(labels[i] @ labels[j] > 0) for j in range(7)] for i in range(7)]
        positive = sum(map(sum, similar))
        for i in range(7):
            cost = 0.0
            for j in range(7):
                product = (10 / BITS) * float(codes[i] @ codes[j])
                weight = 49 / positive if similar[i][j] else 49 / (49 - positive)
                cost += weight * (math.log(1 + math.exp(product)) - similar[i][j] * product)
            assert found[i].item() == pytest.approx(cost / 7, rel=1e-5)

    def test_continuation_is_the_root_of_the_stage(self, labels, generator):
        method = make("hashnet", labels, generator, continuation_epochs=5)
        outputs = torch.randn(2, BITS, generator=generator)
        for epoch, beta in [(0, 1.0), (4, 1.0), (5, 2**0.5), (24, 5**0.5)]:
            method.start_epoch(epoch)
            assert torch.allclose(method.relax(outputs), torch.tanh(beta * outputs))

    def test_one_class_in_the_batch_is_finite(self, labels, generator):
        method = make("hashnet", labels, generator)
        codes = torch.randn(3, BITS, generator=generator).tanh()
        alone = one_hot([1, 1, 1], 3)
        loss = method.similarity_loss(codes, References(codes, alone), similarity(alone, alone))
        assert loss.isfinite().all()


class TestCsq:
    def test_loss_is_the_cross_entropy_with_the_centre(self, labels, generator):
        method = make("csq", labels, generator, quantisation=0.5)
        codes = torch.randn(7, BITS, generator=generator).tanh()
        references = method.references(codes, labels)
        found = method.similarity_loss(codes, references, similarity(labels, references.labels))
        quantisation = method.regularisation(codes, torch.arange(7))
        for i in range(7):
            centre = method.centres[labels[i].argmax()]
            cost, distance = 0.0, 0.0
            for bit in range(BITS):
                p, t = (codes[i, bit].item() + 1) / 2, (centre[bit].item() + 1) / 2
                cost -= t * math.log(p) + (1 - t) * math.log(1 - p)
                distance += (abs(codes[i, bit].item()) - 1) ** 2
            assert found[i].item() == pytest.approx(cost / BITS, rel=1e-5)
            assert quantisation[i].item() == pytest.approx(0.5 * distance / BITS, rel=1e-5)

    def test_several_labels_take_the_majority_of_their_centres(self, generator):
        centres = csq.hash_centres(3, BITS, 10, generator)
        wished = csq.wished_centre(centres, torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0]]))
        for row, members in zip(wished, [[0, 1], [0, 1, 2]], strict=True):
            for bit in range(BITS):
                total = sum(centres[c, bit].item() for c in members)
                assert row[bit] == (total > 0) - (total < 0)

    def test_counterfactual_target_lies_between_the_other_centres(self, generator):
        centres = csq.hash_centres(3, BITS, 10, generator)
        wished = csq.wished_centre(centres, torch.tensor([[0.0, 0.4, 0.4]]))
        assert torch.allclose(wished[0], (0.4 * (centres[1] + centres[2])).clamp(-1, 1))
        nothing_left = csq.wished_centre(centres, torch.tensor([[0.0, -0.2, -0.2]]))
        assert torch.equal(nothing_left, torch.zeros(1, BITS))

    @pytest.mark.parametrize(("classes", "bits"), [(2, 8), (4, 16), (16, 8), (11, 32)])
    def test_hadamard_centres_are_half_apart(self, classes, bits, generator):
        centres = csq.hash_centres(classes, bits, 10, generator)
        assert set(centres.unique().tolist()) == {-1.0, 1.0}
        distances = (bits - centres @ centres.T) / 2
        distances.fill_diagonal_(bits)
        assert distances.min() >= bits / 2

    @pytest.mark.parametrize(("classes", "bits"), [(2, 24), (11, 24), (40, 16)])
    def test_random_centres_are_balanced_and_distinct(self, classes, bits, generator):
        centres = csq.hash_centres(classes, bits, 50, generator)
        assert (centres.sum(dim=1) == 0).all()
        assert len({tuple(row) for row in centres.tolist()}) == classes

    def test_the_best_of_many_random_sets_is_taken(self):
        def least_distance(draws: int, seed: int) -> float:
            generator = torch.Generator().manual_seed(seed)
            centres = csq.hash_centres(11, 24, draws, generator)
            distances = (24 - centres @ centres.T) / 2
            return distances.fill_diagonal_(24).min().item()

        single = sorted(least_distance(1, seed) for seed in range(60))
        assert least_distance(200, 0) >= single[-3] > single[30]


class TestAdsh:
    def test_loss_is_the_asymmetric_square(self, labels, generator):
        method = make("adsh", labels, generator, quantisation=7.0)
        codes = torch.randn(4, BITS, generator=generator).tanh()
        rows = torch.tensor([5, 0, 3, 2])
        references = method.references(codes, labels[rows])
        target = similarity(labels[rows], references.labels)
        found = method.similarity_loss(codes, references, target)
        quantisation = method.regularisation(codes, rows)
        similar = sum(float(labels[i] @ labels[j] > 0) for i in range(7) for j in range(7))
        dissimilar_target = -similar / (49 - similar)
        for i in range(4):
            cost = 0.0
            for j in range(7):
                s = 1.0 if labels[rows[i]] @ labels[j] > 0 else dissimilar_target
                cost += (float(codes[i] @ method.database_codes[j]) - BITS * s) ** 2
            own = 7.0 * sum((method.database_codes[rows[i]] - codes[i]) ** 2)
            assert found[i].item() == pytest.approx(cost / 7, rel=1e-5)
            assert quantisation[i].item() == pytest.approx(own.item() / 7, rel=1e-5)

    @pytest.mark.parametrize("seed", range(5))
    def test_discrete_step_finds_each_bit_by_trying_both(self, seed):
        """Bit by bit, both values of all entries of a column are tried in the objective."""
        generator = torch.Generator().manual_seed(seed)
        n, bits, gamma = 6, 4, 3.0
        v = torch.where(torch.randn(n, bits, generator=generator) < 0, -1.0, 1.0)
        u = torch.randn(n, bits, generator=generator).tanh()
        s = torch.where(torch.rand(n, n, generator=generator) < 0.5, -0.7, 1.0)
        expected = v.clone()
        for bit in range(bits):
            for item in range(n):
                costs = {}
                for value in (-1.0, 1.0):
                    trial = expected.clone()
                    trial[item, bit] = value
                    cost = ((u @ trial.T - bits * s) ** 2).sum() + gamma * ((trial - u) ** 2).sum()
                    costs[value] = cost.item()
                expected[item, bit] = min(costs, key=costs.__getitem__)
        assert torch.equal(adsh.discrete_step(v, u, s, gamma, torch.arange(n)), expected)

    def test_discrete_step_keeps_a_bit_that_does_not_matter(self):
        v = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        nothing = torch.zeros(2, 2)
        assert torch.equal(adsh.discrete_step(v, nothing, nothing, 0.0, torch.arange(2)), v)

    def test_alternates_every_few_epochs(self, labels, generator):
        method = make("adsh", labels, generator, alternation_epochs=2)
        method.after_batch(torch.randn(7, BITS, generator=generator).tanh(), torch.arange(7))
        before = method.database_codes.clone()
        method.after_epoch(0)
        assert torch.equal(method.database_codes, before)
        method.after_epoch(1)
        assert not torch.equal(method.database_codes, before)

    def test_learned_codes_only_when_asked(self, labels, generator):
        assert make("adsh", labels, generator).learned_codes() is None
        assert make("adsh", labels, generator, learned_database=True).learned_codes() is not None


def test_unknown_method_is_a_key_error():
    with pytest.raises(KeyError):
        methods.method_class("nothing_like_it")


def test_names_need_no_torch():
    import subprocess
    import sys

    code = "import sys, medhash.methods as m; m.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hashnet_default_sharpness_is_the_authors():
    assert hashnet.HashNetSettings().sharpness == 10.0
