"""What stands on the backbone: the hash layer (ACH Eq. 3) and the classifier of pretraining."""

from __future__ import annotations

from torch import Tensor, nn

from medhash.configuration.settings import NetworkSettings
from medhash.models.vit import VitBackbone


class HashingNetwork(nn.Module):
    """Backbone and hash layer. The layer's activation belongs to the method (tanh, or HashNet's).

    Shapes: B images, q bits.
    """

    def __init__(self, settings: NetworkSettings, bits: int) -> None:
        super().__init__()
        self.backbone = VitBackbone(settings)
        self.hash_layer = nn.Linear(settings.width, bits)

    def project(self, features: Tensor) -> Tensor:
        """Patch features (B, n, D) to the hash layer's output before activation (B, q)."""
        return self.hash_layer(self.backbone.pool(features))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 images (B, S, S, 3) to the hash layer's output before activation (B, q)."""
        return self.hash_layer(self.backbone(images))


class ClassificationNetwork(nn.Module):
    """Backbone and a linear classifier, for the second pretraining stage (ACH Table II)."""

    def __init__(self, settings: NetworkSettings, classes: int) -> None:
        super().__init__()
        self.backbone = VitBackbone(settings)
        self.classifier = nn.Linear(settings.width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to class scores (B, C)."""
        backbone = self.backbone
        return self.classifier(backbone.pool(backbone.encode(backbone.embed(pixels))))
