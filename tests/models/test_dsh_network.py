"""The network of DSH: its layers against torch's functions and a loop, its size, its start."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from medhash.models import backbones
from medhash.models.backbones.dsh import Backbone, ChannelResponseNorm, DshNetworkSettings
from medhash.schema.settings import NetworkSettings


def make(**own: object) -> Backbone:
    torch.manual_seed(0)
    return Backbone(DshNetworkSettings.model_validate(own))


def norm_by_loops(channel: torch.Tensor) -> torch.Tensor:
    """x / (1 + 5e-5 m)^0.75 with m the mean square of 3 x 3 places; those outside are 0."""
    found = torch.zeros_like(channel)
    size = len(channel)
    for row in range(size):
        for column in range(size):
            total = 0.0
            for y in range(max(row - 1, 0), min(row + 2, size)):
                for x in range(max(column - 1, 0), min(column + 2, size)):
                    total += channel[y, x].item() ** 2
            found[row, column] = channel[row, column] / (1 + 5e-5 * total / 9) ** 0.75
    return found


def test_normalisation_within_a_channel():
    maps = 300 * torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    found = ChannelResponseNorm()(maps)
    expected = torch.stack([torch.stack([*map(norm_by_loops, image)]) for image in maps])
    assert torch.allclose(found, expected, rtol=1e-5)
    assert not torch.allclose(found, maps, rtol=1e-2)


def test_it_has_the_authors_two_million_parameters():
    assert sum(p.numel() for p in make().parameters()) == (
        (5 * 5 * 3 + 1) * 32
        + (5 * 5 * 32 + 1) * 32
        + (5 * 5 * 32 + 1) * 64
        + (8 * 8 * 64 + 1) * 500
    )


@pytest.mark.parametrize(("size", "side"), [(64, 8), (32, 4), (40, 5), (8, 1)])
def test_shapes(size, side):
    backbone = make(image_size=size)
    features = backbone.encode(torch.randn(2, 3, size, size))
    assert features.shape == (2, side**2, 64)
    assert backbone.pool(features).shape == (2, 500)
    assert backbone.grid is None


def test_layers_are_the_authors():
    """conv-pool-relu-norm twice, the first pooling of maxima; conv-relu-pool; fc-relu."""
    backbone = make()
    pixels = 60 * torch.randn(2, 3, 64, 64)
    first, second, third = (each for each in backbone.convolutions if hasattr(each, "weight"))
    norm = ChannelResponseNorm()
    value = norm(functional.max_pool2d(first(pixels), 3, 2, ceil_mode=True).relu())
    value = norm(functional.avg_pool2d(second(value), 3, 2, ceil_mode=True).relu())
    value = functional.avg_pool2d(third(value).relu(), 3, 2, ceil_mode=True)
    expected = backbone.fully_connected[0](value.flatten(1)).relu()
    assert torch.allclose(backbone.pool(backbone.encode(pixels)), expected, rtol=1e-4, atol=1e-5)


def test_it_starts_as_caffe_does():
    layers = [each for each in make().modules() if hasattr(each, "weight")]
    for layer, inputs in zip(layers, (75, 800, 800, 4096), strict=True):
        limit = (3 / inputs) ** 0.5
        assert 0.98 * limit < layer.weight.abs().max() <= limit
        assert layer.weight.var().item() == pytest.approx(1 / inputs, rel=0.06)
        assert not layer.bias.any()
    assert make(initialisation="torch").convolutions[0].bias.any()


def test_it_is_found_by_name():
    built = backbones.build(NetworkSettings(kind="dsh", image_size=64, resize="shrink"))
    assert isinstance(built, Backbone)
