"""MTH's network: the shapes that the text prints, and the attention against loops."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from medhash.models import backbones
from medhash.models.backbones.multi_scale import ConvolutionalAttention, MultiScaleSettings


def build(**own):
    torch.manual_seed(0)
    return backbones.build(MultiScaleSettings(**own)).eval()


@pytest.mark.parametrize("pooling", ["after-block", "twice", "before-block"])
def test_shapes_are_those_that_the_text_prints(pooling):
    network = build(pooling=pooling)
    images = torch.zeros(1, 3, 256, 256)
    maps = [branch(images) for branch in network.branches]
    assert [tuple(each.shape) for each in maps] == [(1, 48, 64, 64)] * 3
    joined = torch.cat(maps, dim=1)
    assert joined.shape == (1, 144, 64, 64)
    assert network.attention(joined).shape == joined.shape
    features = network.encode(images)
    assert features.shape == (1, 64 * 64, 176)
    assert network.pool(features).shape == (1, 1024)
    convolutions = [branch[0] for branch in network.branches]
    assert [each.kernel_size for each in convolutions] == [(1, 1), (3, 3), (5, 5)]
    assert [each.padding for each in convolutions] == [(0, 0), (1, 1), (2, 2)]
    assert {each.out_channels for each in convolutions} == {16}


def test_a_block_has_four_bottleneck_layers_of_growth_eight():
    block = build(image_size=16).branches[0][1]
    layers = list(block.values())
    assert len(layers) == 4
    for number, layer in enumerate(layers):
        assert [type(part).__name__ for part in layer.children()] == [
            "BatchNorm2d",
            "ReLU",
            "Conv2d",
            "BatchNorm2d",
            "ReLU",
            "Conv2d",
        ]
        assert (layer.conv1.kernel_size, layer.conv2.kernel_size) == ((1, 1), (3, 3))
        assert layer.conv1.in_channels == 16 + 8 * number
        assert layer.conv2.out_channels == 8


def test_the_text_s_formula_is_that_of_three_layers():
    """c0 + c (d - 1) = 40, which contradicts the 48 that it prints."""
    assert MultiScaleSettings(layers=3, heads=1).branch_channels == 16 + 8 * (4 - 1)
    assert MultiScaleSettings().branch_channels == 48


@pytest.mark.parametrize("of_channels", [True, False])
def test_attention_is_eq_1(of_channels):
    torch.manual_seed(1)
    channels, heads, side = 8, 2, 3
    attention = ConvolutionalAttention(channels, heads, of_channels=of_channels).double()
    maps = torch.randn(2, channels, side, side, dtype=torch.float64)
    found = attention(maps)

    def linear(layer: nn.Conv2d, image):
        """C values a place, by the definition of a 1 x 1 convolution."""
        out = torch.zeros(channels, side * side, dtype=torch.float64)
        for place in range(side * side):
            for one in range(channels):
                out[one, place] = layer.bias[one]
                for other in range(channels):
                    out[one, place] += layer.weight[one, other, 0, 0] * image[other, place]
        return out

    for number in range(2):
        image = maps[number].flatten(1)
        q, k, v = (
            linear(part, image) for part in (attention.query, attention.key, attention.value)
        )
        joined = torch.zeros(channels, side * side, dtype=torch.float64)
        share = channels // heads
        for head in range(heads):
            own = slice(head * share, (head + 1) * share)
            parts = [x[own] if of_channels else x[own].T for x in (q, k, v)]
            tokens, width = parts[0].shape
            for one in range(tokens):
                scores = [
                    float(parts[0][one] @ parts[1][other]) / math.sqrt(width)
                    for other in range(tokens)
                ]
                weights = [math.exp(score) for score in scores]
                for other in range(tokens):
                    value = weights[other] / sum(weights) * parts[2][other]
                    if of_channels:
                        joined[head * share + one] += value
                    else:
                        joined[own, one] += value
        expected = image + linear(attention.output, joined)
        assert torch.allclose(found[number].flatten(1), expected, atol=1e-10)


def test_a_channel_s_score_is_divided_by_the_root_of_the_number_of_places():
    """e_k is 4096 at the printed size: the map is 36 x 36 in each of four heads."""
    attention = build(heads=4, image_size=16).attention
    tokens = attention._heads(torch.zeros(1, 144, 64, 64))
    assert tokens.shape == (1, 4, 36, 4096)


@pytest.mark.parametrize(
    ("summary", "inputs"), [("mean", 176), ("adaptive", 176 * 16), ("flatten", 176 * 64)]
)
def test_the_fully_connected_layer_sees_a_summary(summary, inputs):
    network = build(summary=summary, image_size=32, units=5)
    layer = next(part for part in network.summary if isinstance(part, nn.Linear))
    assert layer.in_features == inputs
    assert network(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).shape == (2, 5)


def test_one_scale_and_no_attention_are_settings():
    single = build(kernels=(3,), image_size=16)
    assert len(single.branches) == 1
    assert single.block[next(iter(single.block))].conv1.in_channels == 48
    assert isinstance(build(attention="none", image_size=16).attention, nn.Identity)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"kernels": (2,)}, "must be odd"),
        ({"heads": 5}, "5 heads cannot share 144 channels evenly"),
        ({"image_size": 30}, "multiple of 4"),
    ],
)
def test_impossible_settings_are_refused(own, message):
    with pytest.raises(ValidationError, match=message):
        MultiScaleSettings(**own)


def test_its_feature_maps_are_what_it_computes_on_the_way():
    network = build(image_size=16, heads=2, kernels=(1, 3))
    images = torch.randint(0, 255, (2, 16, 16, 3), dtype=torch.uint8)
    maps = network.feature_maps(images)
    pixels = network.normalise(images)
    joined = torch.cat([branch(pixels) for branch in network.branches], dim=1)
    torch.testing.assert_close(maps["scales"], joined)
    torch.testing.assert_close(joined + maps["attention"], network.attention(joined))
    places = maps["last"].flatten(2).transpose(1, 2)
    torch.testing.assert_close(places, network.encode(network.embed(pixels)))
