"""OSDH's lists, ranking loss and classifier against loops over the paper's Eq. 2 and 3."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from medhash.methods.families.hashing import Coded, References
from medhash.methods.osdh import Method, OsdhSettings, ranking_loss

BITS = 6
LABELS = torch.tensor(
    [
        [1, 1, 0, 0],  # shares all with 1, some with 2 and 5, none with 3, 4
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 1, 1, 1],  # the only one of its kind
    ],
    dtype=torch.float32,
)


def make(labels: torch.Tensor = LABELS, **own: object) -> Method:
    generator = torch.Generator().manual_seed(0)
    return Method(OsdhSettings.model_validate(own), BITS, labels, generator)


NORMALISERS = ("ideal-dcg", "binary-ideal-dcg", "length")


def by_loops(distances, levels, margin, normaliser="ideal-dcg") -> float:
    """Eq. 2 as printed: every pair of the list of which i is the more similar."""
    ordered = sorted(levels, reverse=True)
    log = math.log if normaliser == "ideal-dcg" else math.log2
    z = sum((2**r - 1) / log(1 + rank) for rank, r in enumerate(ordered, start=1)) or 1
    z = len(levels) if normaliser == "length" else z
    cost = 0.0
    for i, j in product(range(len(levels)), repeat=2):
        if levels[j] < levels[i]:
            weight = (2 ** levels[i] - 2 ** levels[j]) / z
            cost += weight * max(0.0, distances[i] - distances[j] + margin)
    return cost


def loss_of(distances, levels, *, normaliser="ideal-dcg", left_out=None) -> torch.Tensor:
    """Of lists, float (A, M) each, in which one place may not count."""
    counts = torch.ones_like(levels, dtype=torch.bool)
    if left_out is not None:
        counts[:, left_out] = False
    z = make(normaliser=normaliser)._normaliser
    return ranking_loss(distances, levels, counts, 5.0, z)


class TestRankingLoss:
    def test_weights_of_the_list_two_one_nought(self):
        """With equal distances each pair costs its weight times the margin: 2, 3 and 1 over Z."""
        found = loss_of(torch.ones(1, 3), torch.tensor([[2.0, 1, 0]]))
        z = 3 / math.log(2) + 1 / math.log(3)
        assert found.item() == pytest.approx(5 * (2 + 3 + 1) / z)

    @pytest.mark.parametrize("length", [2, 3, 7])
    @pytest.mark.parametrize("normaliser", NORMALISERS)
    def test_random_lists(self, normaliser, length):
        """In any order, with equal levels."""
        generator = torch.Generator().manual_seed(1)
        levels = torch.randint(0, 5, (50, length), generator=generator)
        distances = torch.rand(50, length, generator=generator) * 12
        found = loss_of(distances, levels.float(), normaliser=normaliser)
        for row in range(50):
            expected = by_loops(distances[row].tolist(), levels[row].tolist(), 5.0, normaliser)
            assert found[row].item() == pytest.approx(expected, rel=1e-5)

    def test_what_does_not_count_is_no_part_of_the_list(self):
        levels, distances = torch.tensor([[3.0, 2, 1, 0]]), torch.tensor([[7.0, 100, 4, 2]])
        for normaliser in NORMALISERS:
            found = loss_of(distances, levels, normaliser=normaliser, left_out=1)
            assert found.item() == pytest.approx(by_loops([7, 4, 2], [3, 1, 0], 5.0, normaliser))

    def test_a_list_of_equals_costs_nothing(self):
        levels = torch.tensor([[0.0, 0, 0], [2.0, 2, 2]])
        assert loss_of(torch.rand(2, 3), levels).tolist() == [0.0, 0.0]

    def test_gradient(self):
        levels = torch.tensor([[2.0, 1, 0], [3.0, 3, 1]], dtype=torch.float64)
        distances = torch.tensor([[3.0, 4, 5], [9, 1, 2]], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda d: loss_of(d, levels), distances)


@pytest.mark.parametrize("middle", [1, 0])
def test_a_single_label_weighs_its_pair_by_ln_2(middle):
    """No image shares some labels: whatever is drawn there is no part of the list."""
    method = make(torch.eye(4)[[0, 0, 1, 1]], ranking_weight=1)
    codes = torch.randn(4, BITS, generator=torch.Generator().manual_seed(5)).tanh()
    rows = [0, 1, 1 if middle else 2, 3]
    references = References(codes, torch.eye(4)[[0, 0, 1, 1]][rows])
    found = method.similarity_loss(
        codes[:1], references, method.target(torch.eye(4)[:1], references)
    )
    near, far = ((BITS - codes[0] @ codes[place]).item() / 2 for place in (1, 3))
    assert found.item() == pytest.approx(math.log(2) * max(0, near - far + 5))
    assert found.item() == pytest.approx(by_loops([near, far], [1, 0], 5.0))


class TestCompanions:
    def drawn(self, seeds: int = 200) -> torch.Tensor:
        """int64 (seeds, 6, 3)."""
        method, rows = make(), torch.arange(6)
        generators = (torch.Generator().manual_seed(seed) for seed in range(seeds))
        return torch.stack([method.companions(rows, generator) for generator in generators])

    def test_levels_are_most_some_and_none(self):
        levels = LABELS @ LABELS.T
        for drawn in self.drawn(20):
            found = levels.gather(1, drawn)
            for query, (most, some, none) in enumerate(found.tolist()):
                own = LABELS[query].sum().item()
                assert most == own
                if query != 2:  # 0 and 1 share all of its labels, so that none shares some
                    assert 0 < some < own or query in (3, 4)
                assert none == 0 or query == 5

    def test_the_query_itself_only_if_nobody_else_has_all_its_labels(self):
        most = self.drawn()[:, :, 0]
        alone = {query for query in range(6) if (most[:, query] == query).any()}
        assert alone == {5}
        assert (most[:, 5] == 5).all()

    def test_all_that_qualify_are_drawn_alike(self):
        drawn = self.drawn(600)
        for query, place, allowed in [(0, 1, {2, 5}), (0, 2, {3, 4}), (2, 0, {0, 1})]:
            counts = torch.bincount(drawn[:, query, place], minlength=6)
            assert set(counts.nonzero().flatten().tolist()) == allowed
            assert counts.max() < 1.3 * counts[counts > 0].min()

    def test_the_query_itself_if_it_may_be_drawn(self):
        method, rows = make(query_in_list=True), torch.arange(6)
        generators = (torch.Generator().manual_seed(seed) for seed in range(50))
        most = torch.stack([method.companions(rows, each)[:, 0] for each in generators])
        assert set(most[:, 0].tolist()) == {0, 1}
        assert set(most[:, 2].tolist()) == {0, 1, 2}

    def test_the_generator_decides(self):
        assert torch.equal(self.drawn(3), self.drawn(3))
        assert not torch.equal(self.drawn(2)[0], self.drawn(2)[1])

    def test_images_without_labels_are_possible(self):
        labels = torch.cat([LABELS, torch.zeros(2, 4)])
        method = make(labels)
        drawn = method.companions(torch.tensor([6, 7]), torch.Generator().manual_seed(0))
        assert drawn[:, 0].tolist() != [6, 7]
        assert ((drawn >= 0) & (drawn < 8)).all()


def batch(method: Method) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (24,) of the six queries and their lists, and relaxed codes of all."""
    generator = torch.Generator().manual_seed(4)
    rows = torch.arange(6)
    rows = torch.cat([rows, method.companions(rows, generator).flatten()])
    return rows, torch.randn(24, BITS, generator=generator).tanh()


@pytest.mark.parametrize("distance", ["inner_product", "squared"])
def test_each_query_is_ranked_over_its_own_list(distance):
    method = make(distance=distance)
    rows, codes = batch(method)
    references = References(codes, LABELS[rows])
    target = method.target(LABELS, references)
    found = method.similarity_loss(codes[:6], references, target)
    for query in range(6):
        items = [6 + 3 * query + place for place in range(3)]
        levels = [int((LABELS[query] * LABELS[rows[item]]).sum()) for item in items]
        apart = [
            (BITS - float(codes[query] @ codes[item])) / 2
            if distance == "inner_product"
            else float((codes[query] - codes[item]).pow(2).sum()) / 4
            for item in items
        ]
        if not levels[0] > levels[1] > levels[2]:
            levels, apart = levels[::2], apart[::2]
        assert found[query].item() == pytest.approx(0.1 * by_loops(apart, levels, 5.0), rel=1e-4)


def test_lists_of_the_batch_hold_every_other_image():
    method = make(lists="batch")
    assert method.companions_each == 0
    assert make().companions_each == Method.companions_each == 3
    codes = batch(make())[1][:6]
    references = method.references(codes, LABELS)
    found = method.similarity_loss(codes, references, method.target(LABELS, references))
    for query in range(6):
        items = [item for item in range(6) if item != query]
        levels = [int(LABELS[query] @ LABELS[item]) for item in items]
        apart = [(BITS - float(codes[query] @ codes[item])) / 2 for item in items]
        assert found[query].item() == pytest.approx(0.1 * by_loops(apart, levels, 5.0), rel=1e-4)


def test_a_batch_of_one_has_an_empty_list():
    method, codes = make(lists="batch"), torch.zeros(1, BITS, requires_grad=True)
    references = method.references(codes, LABELS[:1])
    found = method.similarity_loss(codes, references, method.target(LABELS[:1], references))
    found.sum().backward()
    assert (found.tolist(), codes.grad.abs().sum().item()) == ([0.0], 0.0)


def test_both_distances_of_binary_codes_are_hamming():
    codes = torch.where(torch.randn(4, BITS, generator=torch.Generator().manual_seed(2)) < 0, -1, 1)
    codes = codes.float()
    hamming = (codes[:1] != codes[1:]).sum(dim=1).float()
    for distance in ("inner_product", "squared"):
        found = make(distance=distance)._distance(codes[None, :1], codes[None, 1:])
        assert torch.allclose(found[0], hamming)


def test_the_classifier_is_equation_3():
    method = make()
    rows, codes = batch(method)
    found = method.further_terms(Coded(codes, codes, LABELS[rows], rows, 6))
    assert set(found) == {"classification"}
    scores = codes @ method.classifier.weight.T + method.classifier.bias
    for sample in range(24):
        cost = 0.0
        for label in range(4):
            probability = 1 / (1 + math.exp(-scores[sample, label].item()))
            y = LABELS[rows[sample], label].item()
            cost -= y * math.log(probability) + (1 - y) * math.log(1 - probability)
        assert found["classification"][sample].item() == pytest.approx(cost, rel=1e-4)


def test_the_classifier_s_biases_start_near_nought_or_at_the_log_odds():
    labels = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.float32)
    own = make(labels, first_bias="frequencies").classifier.bias
    assert own[0].item() == pytest.approx(math.log(0.75 / 0.25))
    assert own[2].item() == pytest.approx(math.log(0.25 / 0.75))
    # No image has the second label: as if one of a thousand had.
    assert own[1].item() == pytest.approx(math.log(0.001 / 0.999))
    free = make(labels).classifier
    assert not torch.equal(free.bias.detach(), own.detach())
    assert free.bias.abs().max() <= 1 / math.sqrt(free.in_features), "torch's own start"


def test_a_weight_of_nought_is_the_ablation():
    for own, silent in [("ranking_weight", "similarity"), ("classification_weight", "other")]:
        method = make(**{own: 0})
        rows, codes = batch(method)
        references = References(codes, LABELS[rows])
        target = method.target(LABELS, references)
        coded = Coded(codes, codes, LABELS[rows], rows, 6)
        costs = {
            "similarity": method.similarity_loss(codes[:6], references, target),
            "other": method.further_terms(coded)["classification"],
        }
        assert (costs.pop(silent) == 0).all()
        assert all((cost > 0).any() for cost in costs.values())


def test_without_continuation_codes_stay_smooth():
    method = make(scales=[1], stage_epochs=2)
    outputs = torch.randn(5, BITS, generator=torch.Generator().manual_seed(3))
    for epoch in (0, 3, 50):
        method.start_epoch(epoch)
        assert torch.equal(method.relax(outputs), outputs.tanh())


def test_continuation_goes_through_its_stages_and_ends_at_the_sign():
    method = make(stage_epochs=2)
    outputs = torch.randn(5, BITS, generator=torch.Generator().manual_seed(3))
    for epoch, alpha in [(0, 1), (1, 1), (2, 2), (5, 4), (16, 256), (17, 256), (40, 256)]:
        method.start_epoch(epoch)
        assert torch.equal(method.relax(outputs), torch.tanh(alpha * outputs))
    codes = method.relax(outputs)
    assert torch.equal(codes >= 0, outputs >= 0)
    assert codes.abs().min() > 0.9
