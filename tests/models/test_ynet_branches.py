import math

import pytest
import torch

from medhash.models import backbones
from medhash.models.regions import region_grid
from medhash.models.ynet import HashAggregation, RegionBranch, SegmentationBranch, code_shape
from medhash.schema.settings import NetworkSettings


def main_branch(size=256, width=1.0):
    torch.manual_seed(0)
    settings = NetworkSettings(kind="ynet_main", image_size=size, width=width)
    return backbones.build(settings).eval()


def trainable(module):
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def test_every_map_has_the_papers_size():
    network = main_branch()
    maps = network.maps(torch.randn(2, 3, 256, 256))
    assert [tuple(each.shape[1:]) for each in maps] == [
        *((32, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8))
    ]
    fpn = SegmentationBranch(network.channels, 256, 3)
    t3, t2, t1 = fpn.top_down(maps)
    assert [tuple(t.shape[1:]) for t in (t3, t2, t1)] == [(32, 16, 16), (32, 32, 32), (32, 64, 64)]
    assert fpn(maps).shape == (2, 3, 256, 256)
    vectors = RegionBranch(256, 512, region_grid(8, 3))(maps[-1])
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert vectors.shape == (2, 512)


def test_weights_are_as_many_as_the_public_code_s():
    network = main_branch()
    assert trainable(network) == 222_312
    assert trainable(SegmentationBranch(network.channels, 256, 3)) == 15_299
    assert trainable(RegionBranch(256, 512, region_grid(8, 3), norm="none")) == 1_180_160


@torch.no_grad()
def test_the_main_branch_is_a_backbone():
    network = main_branch(64, 0.25)
    pixels = torch.randn(2, 3, 64, 64)
    core = network.maps(pixels)[-1]
    assert core.min() == 0, "the core node ends in a ReLU"
    features = network.encode(pixels)
    assert features.shape == (2, 4, 64)
    assert torch.equal(features[0, 1], core[0, :, 0, 1])
    assert torch.equal(network.pool(features), features.mean(dim=1))


def test_a_size_that_halves_to_no_whole_map_is_refused():
    with pytest.raises(ValueError, match="image_size"):
        main_branch(100)


@pytest.mark.parametrize(
    ("bits", "side", "shape"),
    [
        *((36, 8, (1, 6, 6)), (64, 8, (1, 8, 8)), (128, 8, (2, 8, 8)), (256, 8, (4, 8, 8))),
        *((36, 4, (4, 3, 3)), (64, 4, (4, 4, 4)), (7, 8, (7, 1, 1))),
    ],
)
def test_the_form_of_a_code(bits, side, shape):
    assert code_shape(bits, side) == shape
    assert code_shape(bits, side, "deep") == (bits, 1, 1)
    generator = torch.Generator().manual_seed(0)
    for form in (shape, (bits, 1, 1)):
        step = HashAggregation(16, side, form, "convolution", generator)
        assert step(torch.rand(3, 16, side, side)).shape == (3, bits)


def test_the_convolution_of_the_hash_step_is_a_loop_over_places():
    step = HashAggregation(
        3, 4, (2, 3, 3), "convolution", torch.Generator().manual_seed(1)
    ).double()
    core = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    expected = [
        step.bias[f].item()
        + sum(
            (step.weight[f, k, r, c] * core[0, k, top + r, left + c]).item()
            for k in range(3)
            for r in range(2)
            for c in range(2)
        )
        for f in range(2)
        for top in range(3)
        for left in range(3)
    ]
    assert step(core)[0].tolist() == pytest.approx(expected)


def test_the_weights_of_the_hash_step_are_drawn_as_a_new_layers():
    step = HashAggregation(64, 8, (4, 8, 8), "linear", torch.Generator().manual_seed(1))
    bound = 1 / math.sqrt(64 * 64)
    assert step.weight.shape == (256, 64, 8, 8)
    assert step.weight.abs().max() <= bound
    assert step.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert not list(step.parameters())
    again = HashAggregation(64, 8, (4, 8, 8), "linear", torch.Generator().manual_seed(1))
    assert torch.equal(step.weight, again.weight)


def test_means_of_a_core_node_are_never_negative():
    """Why the mean needs other thresholds than 0: every code would be all +1."""
    core = torch.rand(5, 16, 8, 8)
    step = HashAggregation(16, 8, (2, 4, 4), "mean", torch.Generator())
    numbers = step(core)
    assert numbers.min() > 0
    assert numbers[0, 0].item() == pytest.approx(core[0, :8, :5, :5].mean().item())
    with pytest.raises(ValueError, match="16 channels cannot make 3 maps"):
        HashAggregation(16, 8, (3, 1, 1), "mean", torch.Generator())


@pytest.mark.parametrize(
    ("norm", "least"), [("none", -math.inf), ("relu", 0.0), ("batch", -math.inf)]
)
def test_what_comes_after_the_last_convolution(norm, least):
    network = main_branch(64, 0.25)
    scores = SegmentationBranch(network.channels, 64, 2, norm)(
        network.maps(torch.randn(3, 3, 64, 64))
    )
    assert scores.shape == (3, 2, 64, 64)
    assert scores.min() >= least
    assert (scores.min() < 0) == (norm != "relu")
    if norm == "batch":
        assert scores.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-5)
