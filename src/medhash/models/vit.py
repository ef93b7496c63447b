"""The Vision Transformer backbone of ACH (Eq. 1-2), built from timm's blocks.

The backbone is split into the steps that ACH needs one by one: patches become tokens
(:meth:`VitBackbone.embed`), tokens - all of them, some of them, or partly blanked ones - become
features (:meth:`VitBackbone.encode`), features become one vector (:meth:`VitBackbone.pool`).
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from medhash.schema.settings import NetworkSettings

CHANNELS = 3


class VitBackbone(nn.Module):
    """Image to patch features.

    Features are the residual stream after the last block: the final layer normalisation is
    applied after pooling, as in MAE fine-tuning. Were it applied before, every token would have
    nearly the same mean over channels and the active map of ACH Eq. 14 would be flat.

    Shapes: B images, N = grid*grid patches, D = ``settings.width``.
    """

    mean: Tensor
    deviation: Tensor
    # timm leaves the type of its parameters open.
    transformer: Any

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.transformer = VisionTransformer(
            img_size=settings.image_size,
            patch_size=settings.patch_size,
            in_chans=CHANNELS,
            embed_dim=settings.width,
            depth=settings.depth,
            num_heads=settings.heads,
            num_classes=0,
            global_pool="",
            final_norm=False,
        )
        self.norm = nn.LayerNorm(settings.width, eps=1e-6)
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))
        self._start_from_sine_positions()

    def set_normalisation(self, images: Tensor) -> None:
        """Remember mean and deviation of the training images, uint8 (n, S, S, 3), per channel."""
        pixels = images.reshape(-1, CHANNELS).to(torch.float64)
        self.mean.copy_(pixels.mean(dim=0))
        self.deviation.copy_(pixels.std(dim=0).clamp(min=1.0))

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (B, S, S, 3) to float32 (B, 3, S, S), zero mean over the training split."""
        scaled = (images.to(torch.float32) - self.mean) / self.deviation
        return scaled.permute(0, 3, 1, 2)

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to patch tokens with positions (B, N, D) (Eq. 1)."""
        return self.transformer.patch_embed(pixels) + self.patch_positions

    def blank_tokens(self) -> Tensor:
        """Tokens (1, N, D) of an image that is zero everywhere.

        The projection of a patch is affine, so multiplying a patch by 0 (Eq. 19) is the same as
        putting this token in its place: counterfactual images need no second embedding.
        """
        projection = self.transformer.patch_embed.proj
        return projection.bias + self.patch_positions

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (B, n, D), any n >= 1, to their features (B, n, D) (Eq. 2 without F_0)."""
        transformer = self.transformer
        class_token = transformer.cls_token + transformer.pos_embed[:, :1]
        sequence = torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return transformer.blocks(sequence)[:, 1:]

    def pool(self, features: Tensor) -> Tensor:
        """Global average pooling over patches (B, n, D) to (B, D) (Eq. 3), then the final norm."""
        return self.norm(features.mean(dim=1))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 images (B, S, S, 3) to pooled features (B, D)."""
        return self.pool(self.encode(self.embed(self.normalise(images))))

    @property
    def patch_positions(self) -> Tensor:
        """Position embeddings of the patches, (1, N, D)."""
        return self.transformer.pos_embed[:, 1:]

    def _start_from_sine_positions(self) -> None:
        # Learned positions need more images than a medical dataset has; MAE starts from these.
        grid = self.settings.grid
        positions = build_sincos2d_pos_embed([grid, grid], dim=self.settings.width)
        with torch.no_grad():
            self.transformer.pos_embed.zero_()
            self.transformer.pos_embed[0, 1:] = positions
