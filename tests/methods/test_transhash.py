"""TransHash against loops over its paper's equations, and its head against the paper's wiring.

There is no public code by the authors. Its Eq. 7-10 are those of Deep Cauchy Hashing, so each piece
of the code is compared with ``DCHLoss`` of DCH.py, github.com/swuxyj/DeepHash-pytorch, run on the
two halves of the tanh of :func:`outputs`, with gamma = 2.
"""

from __future__ import annotations

import math

import pytest
import torch

from medhash.methods import transhash
from medhash.methods.families.hashing import References, similarity
from medhash.schema.settings import VitSettings

DEEPHASH_LIKELIHOOD_OF_HALVES = 1.041778564453125, 1.2000517845153809
# The sixth sample's first half is left out: it lies where DCH.py cuts the cosine off.
DEEPHASH_QUANTISATION_OF_HALVES = [
    [0.065245, 0.055375, 0.179357, 0.090810, 0.132976],
    [0.179284, 0.160187, 0.105004, 0.084394, 0.168267],
]
NETWORK = VitSettings(image_size=16, patch_size=4, width=12, depth=1, heads=2)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1, 1]), 3).double()


def outputs(bits: int) -> torch.Tensor:
    return torch.randn(6, bits, generator=torch.Generator().manual_seed(20)).double()


def make(bits: int, labels: torch.Tensor, **own: object) -> transhash.Method:
    settings = transhash.TransHashSettings(**own)
    return transhash.Method(settings, bits, labels, torch.Generator().manual_seed(0))


def cut(code: torch.Tensor, sizes: list[int]) -> list[list[float]]:
    """A code's pieces, as lists."""
    bits = code.tolist()
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [bits[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def cosine_distance(one: list[float], other: list[float]) -> float:
    """Eq. 7, in its first form."""
    lengths = [math.sqrt(sum(bit**2 for bit in code)) for code in (one, other)]
    apart = sum((a / lengths[0] - b / lengths[1]) ** 2 for a, b in zip(one, other, strict=True))
    return len(one) / 4 * apart


@pytest.mark.parametrize(("bits", "sizes"), [(8, [4, 4]), (16, [8, 4, 4])])
def test_loss_is_equation_9_on_each_piece(bits, sizes, labels):
    floor = 1e-3
    method = make(bits, labels, scale=0.3)
    codes = outputs(bits).tanh()
    found = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
    similar = [[float(labels[i] @ labels[j] > 0) for j in range(6)] for i in range(6)]
    positive = sum(map(sum, similar))
    for i in range(6):
        cost = 0.0
        for j in range(6):
            s = similar[i][j]
            weight = 36 / positive if s else 36 / (36 - positive)
            pieces = zip(cut(codes[i], sizes), cut(codes[j], sizes), strict=True)
            for one, other in pieces:
                gamma = 0.3 * len(one)
                distance = cosine_distance(one, other) + floor * len(one) / 2
                likelihood = gamma / (gamma + distance)
                cost -= weight * math.log(likelihood if s else 1 - likelihood)
        assert found[i].item() == pytest.approx(cost / 6, rel=1e-9)


@pytest.mark.parametrize(("bits", "sizes"), [(8, [4, 4]), (16, [8, 4, 4])])
def test_quantisation_is_equation_10_on_each_piece(bits, sizes, labels):
    codes = outputs(bits).tanh()
    found = make(bits, labels, quantisation=0.7).regularisation(codes, torch.arange(6))
    for i in range(6):
        cost = 0.0
        for piece in cut(codes[i].abs(), sizes):
            distance = cosine_distance(piece, [1.0] * len(piece))
            cost += 0.7 * math.log(1 + distance / (0.5 * len(piece)))
        assert found[i].item() == pytest.approx(cost, rel=1e-9)


def test_deephash_pytorch_likelihood(labels):
    method = make(8, labels, least_distance=1e-12)
    codes = outputs(8).tanh()
    found = method.similarity_loss(codes, References(codes, labels), similarity(labels, labels))
    # DCH.py keeps the cosine at 0.99 or less: each piece's pair (i, i) costs a constant there.
    similar_pairs = 14
    constant = 6 / 36 * (36 / similar_pairs) * math.log(1 + 0.01 * 2 / 2.0)
    expected = sum(DEEPHASH_LIKELIHOOD_OF_HALVES)
    assert found.mean().item() + 2 * constant == pytest.approx(expected, rel=1e-6)


def test_deephash_pytorch_quantisation(labels):
    method = make(8, labels, quantisation=1.0)
    found = method.regularisation(outputs(8).tanh()[:5], torch.arange(5))
    expected = torch.tensor(DEEPHASH_QUANTISATION_OF_HALVES).double().sum(dim=0)
    assert torch.allclose(found, expected, atol=2e-6)


def test_soft_target_of_nothing_is_cheapest_for_orthogonal_pieces(labels):
    method = make(8, labels, least_distance=1e-9)
    ones = References(torch.ones(1, 8).double(), labels[:1])
    half = torch.tensor([[1, 1, 1, 1], [1, 1, 1, -1], [1, 1, -1, -1], [1, -1, -1, -1]]).double()
    codes = torch.cat([half, half], dim=1)
    found = method.similarity_loss(codes, ones, torch.zeros(4, 1).double())
    assert found.argmin() == 2


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_one_kind_of_pairs_alone_is_finite(value, labels):
    codes = outputs(8).tanh()
    target = torch.full((6, 6), value).double()
    loss = make(8, labels).similarity_loss(codes, References(codes, labels), target)
    assert loss.isfinite().all()


def test_equal_codes_of_different_classes_are_finite_and_dear(labels):
    codes = torch.ones(2, 8).double().requires_grad_()
    target = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double()
    loss = make(8, labels).similarity_loss(codes, References(codes, labels[:2]), target).sum()
    (gradient,) = torch.autograd.grad(loss, codes)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert loss > 10


class TestPieces:
    @pytest.mark.parametrize(
        ("bits", "sizes"),
        [(8, [4, 4]), (16, [8, 4, 4]), (24, [12, 6, 6]), (32, [16, 8, 8]), (64, [32, 16, 16])],
    )
    def test_half_is_global(self, bits, sizes):
        assert transhash.piece_sizes(bits) == sizes

    @pytest.mark.parametrize("bits", range(8, 65))
    def test_any_length(self, bits):
        sizes = transhash.piece_sizes(bits)
        assert sum(sizes) == bits
        assert min(sizes) >= transhash.LEAST_LOCAL_BITS
        assert max(sizes[1:]) - min(sizes[1:]) <= 1


class TestHead:
    @pytest.fixture
    def head(self) -> torch.nn.Module:
        torch.manual_seed(4)
        return transhash.Method.head(NETWORK, 16).eval()

    def features(self, patches: int) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.randn(3, patches, 12, generator=torch.Generator().manual_seed(patches))
        return features, features.mean(dim=1)

    @pytest.mark.parametrize("patches", [1, 2, 5, 16])
    def test_takes_any_number_of_patches(self, patches, head):
        found = head(*self.features(patches))
        assert found.shape == (3, 16)
        assert found.isfinite().all()

    @pytest.mark.parametrize("bits", [8, 9, 15, 24, 64])
    def test_gives_any_number_of_bits(self, bits):
        assert transhash.Method.head(NETWORK, bits)(*self.features(16)).shape == (3, bits)

    def test_each_piece_sees_its_own_patches(self, head):
        """Bits 0-7 see the pooled features only, 8-11 the upper patches, 12-15 the lower ones."""
        features, pooled = self.features(16)
        before = head(features, pooled)
        for patch, pieces in [(0, slice(8, 12)), (7, slice(8, 12)), (8, slice(12, 16))]:
            changed = features.clone()
            changed[:, patch] = torch.randn(3, 12)
            moved = (head(changed, pooled) - before).abs() > 1e-6
            assert moved[:, pieces].all()
            assert moved.sum() == moved[:, pieces].sum()

    def test_shared_token_reaches_every_bit(self, head):
        features, pooled = self.features(16)
        assert (head(features, pooled + torch.randn(12)) != head(features, pooled)).all()

    def test_is_the_block_on_each_group(self, head):
        features, pooled = self.features(16)
        found = head(features, pooled)
        assert torch.allclose(found[:, :8], head.global_layer(pooled), atol=1e-6)
        for group, start in enumerate((0, 8)):
            for image in range(3):
                tokens = [pooled[image], *features[image, start : start + 8]]
                state = head.block(torch.stack(tokens)[None])[0, 0]
                expected = head.local_layers[group](head.norm(state))
                place = 8 + 4 * group
                assert torch.allclose(found[image, place : place + 4], expected, atol=1e-5)

    def test_all_parameters_learn(self, head):
        head(*self.features(16)).pow(2).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
