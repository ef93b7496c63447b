"""What stands on the backbone: the hash head (ACH Eq. 3) and the classifier of pretraining."""

from __future__ import annotations

from torch import Tensor, nn

from medhash.models import backbones
from medhash.schema.settings import NetworkSettings


class HashHead(nn.Module):
    """The hash layer of most methods: one linear layer on the pooled features (ACH Eq. 3).

    A method with another one brings its own module with the same ``forward``.
    """

    def __init__(self, settings: NetworkSettings, bits: int) -> None:
        super().__init__()
        self.projection = nn.Linear(backbones.pooled_width(settings), bits)

    def forward(self, features: Tensor, pooled: Tensor) -> Tensor:
        """Outputs before the activation.

        Args:
            features: the backbone's, float (B, n, D'); of patches, n is smaller for a segment.
            pooled: what it makes of them, float (B, D).

        Returns:
            float (B, q).
        """
        return self.projection(pooled)


class HashingNetwork(nn.Module):
    """Backbone and hash head. The head's activation belongs to the method (tanh, or HashNet's).

    Shapes: B images, q bits.
    """

    def __init__(self, settings: NetworkSettings, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbones.build(settings)
        self.head = head

    def project(self, features: Tensor) -> Tensor:
        """Features (B, n, D') to the head's outputs before activation (B, q)."""
        outputs: Tensor = self.head(features, self.backbone.pool(features))
        return outputs

    def forward(self, images: Tensor) -> Tensor:
        """Stored images, uint8 (B, T, T, 3), to the head's outputs before activation (B, q)."""
        backbone = self.backbone
        pixels = backbone.fit(backbone.normalise(images))
        return self.project(backbone.encode(backbone.embed(pixels)))


class ClassificationNetwork(nn.Module):
    """Backbone and a linear classifier, for the second pretraining stage (ACH Table II)."""

    def __init__(self, settings: NetworkSettings, classes: int) -> None:
        super().__init__()
        self.backbone = backbones.build(settings)
        self.classifier = nn.Linear(backbones.pooled_width(settings), classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to class scores (B, C)."""
        backbone = self.backbone
        return self.classifier(backbone.pool(backbone.encode(backbone.embed(pixels))))
