"""AlexNet's shapes, parameters and start; Caffe's order of layers against torch's functions."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional
from torchvision.models import alexnet as torchvision_alexnet

from medhash.models import backbones
from medhash.models.backbones.alexnet import AlexNetSettings, Backbone
from medhash.models.heads import HashHead, HashingNetwork
from medhash.schema.settings import Augmentation, NetworkSettings
from medhash.training.images import Batch, augment, training_view

ORDERS = ("before-pooling", "after-pooling")


def make(**own: object) -> Backbone:
    torch.manual_seed(0)
    return Backbone(AlexNetSettings.model_validate(own))


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_caffes_network_has_57_million_parameters_with_its_hash_layer():
    backbone = make()
    assert parameters(backbone) == (
        (11 * 11 * 3 + 1) * 96
        + (5 * 5 * 48 + 1) * 256
        + (3 * 3 * 256 + 1) * 384
        + (3 * 3 * 192 + 1) * 384
        + (3 * 3 * 192 + 1) * 256
        + (6 * 6 * 256 + 1) * 4096
        + (4096 + 1) * 4096
    )
    assert round((parameters(backbone) + 4097 * 32) / 1e6, 1) == 57.0


def test_shapes_through_caffes_layers():
    backbone = make(width=0.25).eval()
    pixels = torch.randn(2, 3, 227, 227)
    sides = []
    for layer in backbone.convolutions:
        pixels = layer(pixels)
        sides.append(pixels.shape[-1])
    assert list(dict.fromkeys(sides)) == [55, 27, 13, 6]
    assert pixels.shape == (2, 64, 6, 6)
    features = backbone.encode(torch.randn(2, 3, 227, 227))
    assert features.shape == (2, 36, 64)
    assert backbone.pool(features).shape == (2, 1024)
    assert backbone.grid is None


@pytest.mark.parametrize("normalised", ORDERS)
def test_caffes_order_is_convolution_relu_normalisation_pooling(normalised):
    """CaffeNet pools before it normalises."""
    backbone = make(width=0.1, image_size=67, normalised=normalised).eval()
    pixels = 30 * torch.randn(1, 3, 67, 67)
    layers = [each for each in backbone.convolutions if isinstance(each, torch.nn.Conv2d)]
    value = pixels
    for place, layer in enumerate(layers):
        value = layer(value).relu()
        if place < 2 and normalised == "before-pooling":
            value = functional.local_response_norm(value, 5, 1e-4, 0.75, 1.0)
        if place in (0, 1, 4):
            value = functional.max_pool2d(value, 3, 2)
        if place < 2 and normalised == "after-pooling":
            value = functional.local_response_norm(value, 5, 1e-4, 0.75, 1.0)
    first, second = (each for each in backbone.fully_connected if hasattr(each, "weight"))
    expected = second(first(value.flatten(1)).relu()).relu()
    assert torch.allclose(backbone.pool(backbone.encode(pixels)), expected, rtol=1e-5)
    orders = [make(width=0.1, image_size=67, normalised=each).eval() for each in ORDERS]
    first, second = (each.convolutions(1000 * pixels) for each in orders)
    assert not torch.allclose(first, second)


def test_the_other_layout_is_torchvisions():
    backbone = make(layout="torchvision", image_size=224, initialisation="torch").eval()
    theirs = torchvision_alexnet(weights=None).eval()
    theirs.classifier[-1] = torch.nn.Identity()
    ours = [tensor for _, tensor in backbone.named_parameters()]
    with torch.no_grad():
        for own, other in zip(ours, theirs.parameters(), strict=True):
            other.copy_(own)
    pixels = torch.randn(2, 3, 224, 224)
    found = backbone.pool(backbone.encode(pixels))
    assert torch.allclose(found, theirs(pixels), atol=1e-5)


def test_it_starts_as_caffe_does():
    backbone = make(width=0.5)
    layers = [*backbone.convolutions, *backbone.fully_connected]
    layers = [layer for layer in layers if hasattr(layer, "weight")]
    biases = [layer.bias.unique().tolist() for layer in layers]
    assert biases == [[0.0], *([pytest.approx(b)] for b in (0.1, 0.0, 0.1, 0.1, 0.1, 0.1))]
    for layer, deviation in zip(layers, [0.01] * 5 + [0.005] * 2, strict=True):
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)
    torchs = make(width=0.5, initialisation="torch").convolutions[0]
    assert torchs.weight.abs().max() <= (11 * 11 * 3) ** -0.5


def test_hes_start_keeps_the_scale_of_activations():
    pixels = torch.randn(8, 3, 67, 67)
    own = {"width": 0.5, "image_size": 67, "dropout": 0.0}
    scales = {}
    for name in ("he", "torch", "caffe"):
        backbone = make(**own, initialisation=name)
        scales[name] = backbone.pool(backbone.encode(pixels)).pow(2).mean().sqrt().item()
    assert 0.3 < scales["he"] < 10
    assert max(scales["torch"], scales["caffe"]) < 0.2


def test_dropout_is_of_training_alone():
    backbone = make(width=0.05, image_size=67)
    features = torch.rand(4, 1, backbone.encode(torch.zeros(1, 3, 67, 67)).shape[2])
    assert not torch.equal(backbone.pool(features), backbone.pool(features))
    backbone.eval()
    assert torch.equal(backbone.pool(features), backbone.pool(features))


class TestStoredImages:
    """Larger stored images are cropped or shrunk."""

    images = torch.arange(2 * 80 * 80 * 3).remainder(251).to(torch.uint8).view(2, 80, 80, 3)

    def network(self, **own: object) -> HashingNetwork:
        settings = {"kind": "alexnet", "image_size": 67, "width": 0.05} | own
        network = NetworkSettings.model_validate(settings)
        return HashingNetwork(network, HashHead(network, 8)).eval()

    def test_coding_sees_the_centre(self):
        network = self.network()
        cut = self.images[:, 6:73, 6:73]
        assert torch.equal(network(self.images), network(cut))
        assert network(self.images).shape == (2, 8)

    def test_training_crops_at_random_and_every_place_is_possible(self):
        backbone = self.network().backbone
        corners = backbone.draw_corners(2000, 80, torch.Generator().manual_seed(0))
        assert corners.min() == 0
        assert corners.max() == 13
        pixels = backbone.normalise(self.images)
        found = backbone.fit(pixels, torch.tensor([[0, 13], [5, 1]]))
        assert torch.equal(found[0], pixels[0, :, :67, 13:])
        assert torch.equal(found[1], pixels[1, :, 5:72, 1:68])

    def test_shrinking_is_the_mean_over_areas(self):
        network = self.network(resize="shrink", image_size=80)
        images = torch.randint(0, 256, (2, 160, 160, 3), dtype=torch.uint8)
        network.backbone.set_normalisation(images)
        pixels = (images - network.backbone.mean) / network.backbone.deviation
        blocks = pixels.unflatten(2, (80, 2)).unflatten(1, (80, 2)).mean(dim=(2, 4)).movedim(3, 1)
        assert torch.allclose(network.backbone.normalise(images), blocks, atol=1e-5)

    def test_an_image_is_shrunk_before_it_is_moved(self):
        backbone = self.network(resize="shrink", image_size=80).backbone
        images = torch.randint(0, 256, (4, 160, 160, 3), dtype=torch.uint8)
        batch = Batch(images, torch.zeros(4, 2), torch.arange(4))
        small = backbone.normalise(images)
        change = Augmentation(flip=0.5, least_area=0.3)
        seen, _ = training_view(batch, backbone, change, torch.Generator().manual_seed(5))
        assert torch.equal(seen, augment(small, change, torch.Generator().manual_seed(5)))

    def test_images_of_the_networks_size_draw_nothing(self):
        generator = torch.Generator().manual_seed(0)
        before = generator.get_state()
        assert self.network().backbone.draw_corners(5, 67, generator) is None
        assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("pixels", ["centred", "standardised"])
def test_pixels_keep_their_scale_as_in_caffe(pixels):
    images = torch.randint(0, 256, (9, 67, 67, 3), generator=torch.Generator().manual_seed(1))
    images = (images // torch.tensor([1, 2, 4])).to(torch.uint8)
    backbone = make(width=0.05, image_size=67, pixels=pixels)
    backbone.set_normalisation(images)
    found = backbone.normalise(images)
    assert found.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    spread = images.reshape(-1, 3).double().std(dim=0) if pixels == "centred" else torch.ones(3)
    assert found.std(dim=(0, 2, 3)).tolist() == pytest.approx(spread.tolist(), rel=1e-4)


def test_backbones_are_found_by_name():
    assert {"vit", "alexnet"} <= set(backbones.kinds())
    built = backbones.build(NetworkSettings(kind="alexnet", image_size=67, width=0.05))
    assert isinstance(built, Backbone)
    with pytest.raises(KeyError):
        backbones.backbone_class("nothing_like_it")
    with pytest.raises(ValidationError, match="depth"):
        backbones.build(NetworkSettings(kind="alexnet", image_size=67, depth=3))
