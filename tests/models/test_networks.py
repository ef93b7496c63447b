"""The backbone's steps, and the masked autoencoder against a loop over patches."""

from __future__ import annotations

import pytest
import torch

from medhash.models.backbones.vit import Backbone as VitBackbone
from medhash.models.heads import ClassificationNetwork, HashHead, HashingNetwork
from medhash.models.mae import MaskedAutoencoder
from medhash.schema.settings import MaeSettings, VitSettings

NETWORK = VitSettings(image_size=16, patch_size=4, width=8, depth=2, heads=2)
MAE = MaeSettings(
    epochs=1, learning_rate=1e-3, mask_ratio=0.75, decoder_width=8, decoder_depth=1, decoder_heads=2
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)


def test_steps_add_up_to_the_transformer(images):
    """timm's own forward pass, averaged over patches, is our reference for Eq. 1-3."""
    backbone = VitBackbone(NETWORK)
    pixels = backbone.normalise(images)
    timm_features = backbone.transformer.forward_features(pixels)
    assert torch.allclose(backbone.encode(backbone.embed(pixels)), timm_features[:, 1:], atol=1e-5)
    expected = backbone.norm(timm_features[:, 1:].mean(dim=1))
    assert torch.allclose(backbone(images), expected, atol=1e-5)


def test_blank_token_is_a_patch_of_zeros(images):
    """Eq. 19 on pixels and on tokens is the same thing."""
    backbone = VitBackbone(NETWORK)
    pixels = backbone.normalise(images)
    hidden = torch.rand(3, 16) < 0.4
    mask = (~hidden).float().reshape(3, 1, 4, 4)
    by_pixels = backbone.embed(pixels * mask.repeat_interleave(4, 2).repeat_interleave(4, 3))
    by_tokens = torch.where(hidden[..., None], backbone.blank_tokens(), backbone.embed(pixels))
    assert torch.allclose(by_pixels, by_tokens, atol=1e-5)


def test_features_vary_in_their_mean_over_channels(images):
    """A normalised output would make the active map (Eq. 14) flat."""
    backbone = VitBackbone(NETWORK)
    features = backbone.encode(backbone.embed(backbone.normalise(images)))
    assert features.mean(dim=2).std() > 1e-3
    assert backbone.norm(features).mean(dim=2).std() < 1e-5


def test_normalisation_is_per_channel(images):
    backbone = VitBackbone(NETWORK)
    backbone.set_normalisation(images)
    pixels = backbone.normalise(images)
    assert pixels.shape == (3, 3, 16, 16)
    assert torch.allclose(pixels.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(pixels.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-2)


def test_constant_images_do_not_divide_by_zero():
    backbone = VitBackbone(NETWORK)
    black = torch.zeros(2, 16, 16, 3, dtype=torch.uint8)
    backbone.set_normalisation(black)
    assert backbone.normalise(black).isfinite().all()


def test_a_part_of_the_patches_can_be_encoded(images):
    backbone = VitBackbone(NETWORK)
    tokens = backbone.embed(backbone.normalise(images))
    assert backbone.encode(tokens[:, :5]).shape == (3, 5, 8)


def test_heads_have_their_shapes(images):
    assert HashingNetwork(NETWORK, HashHead(NETWORK, 12))(images).shape == (3, 12)
    network = ClassificationNetwork(NETWORK, classes=4)
    assert network(network.backbone.normalise(images)).shape == (3, 4)


class TestMaskedAutoencoder:
    def test_targets_are_normalised_patches(self):
        model = MaskedAutoencoder(NETWORK, MAE)
        pixels = torch.randn(2, 3, 16, 16)
        targets = model.patch_targets(pixels)
        for row in range(4):
            for column in range(4):
                patch = pixels[1, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()
                expected = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
                found = targets[1, 4 * row + column]
                assert torch.allclose(found, expected, atol=1e-5)

    def test_error_counts_hidden_patches_only(self, monkeypatch):
        model = MaskedAutoencoder(NETWORK, MAE)
        pixels = torch.randn(2, 3, 16, 16)
        order = torch.rand(2, 16).argsort(dim=1)
        predicted = torch.randn(2, 16, 48)
        monkeypatch.setattr(model.decoder, "forward", lambda tokens: predicted)
        targets = model.patch_targets(pixels)
        found = model(pixels, order)
        for image in range(2):
            hidden = order[image, model.kept :].tolist()
            assert len(hidden) == 12
            errors = [(predicted[image, p] - targets[image, p]).pow(2).mean() for p in hidden]
            assert found[image].item() == pytest.approx(sum(errors).item() / 12, rel=1e-5)

    def test_hidden_pixels_cannot_be_seen(self):
        """Changing a hidden patch changes no prediction, only the target."""
        model = MaskedAutoencoder(NETWORK, MAE).eval()
        pixels = torch.randn(1, 3, 16, 16)
        order = torch.arange(16)[None]
        seen = []
        model.decoder.register_forward_hook(lambda module, inputs, output: seen.append(output))
        model(pixels, order)
        changed = pixels.clone()
        changed[:, :, 12:, 12:] += 5.0
        model(changed, order)
        assert torch.equal(seen[0], seen[1])

    def test_each_patch_returns_to_its_place(self):
        """The decoder sees position p's token at place p, whatever the order."""
        model = MaskedAutoencoder(NETWORK, MAE)
        order = torch.rand(1, 16).argsort(dim=1)
        visible = torch.randn(1, model.kept, 8)
        filled = model._fill(visible, order) - model.decoder_positions
        for place, patch in enumerate(order[0].tolist()):
            expected = visible[0, place] if place < model.kept else model.mask_token[0, 0]
            assert torch.allclose(filled[0, patch], expected, atol=1e-6)
