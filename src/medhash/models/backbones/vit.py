"""The Vision Transformer backbone of ACH (Eq. 1-2), built from timm's blocks.

The backbone is split into the steps that ACH needs one by one: patches become tokens
(:meth:`Backbone.embed`), tokens - all of them, some of them, or partly blanked ones - become
features (:meth:`Backbone.encode`), features become one vector (:meth:`Backbone.pool`).
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from medhash.models.backbone import CHANNELS, ImageBackbone
from medhash.schema.settings import VitSettings


class Backbone(ImageBackbone):
    """Image to patch features.

    Features are the residual stream after the last block: the final layer normalisation is
    applied after pooling, as in MAE fine-tuning. Were it applied before, every token would have
    nearly the same mean over channels and the active map of ACH Eq. 14 would be flat.

    Shapes: B images, N = grid*grid patches, D = ``settings.width``.
    """

    Settings = VitSettings
    patch_tokens = True
    # timm leaves the type of its parameters open.
    transformer: Any

    def __init__(self, settings: VitSettings) -> None:
        super().__init__(settings)
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
        self._start_from_sine_positions()

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

    @classmethod
    def pooled_width(cls, settings: VitSettings) -> int:
        """The width of a token."""
        return settings.width

    @property
    def grid(self) -> int:
        """Patches along one side of the image (H = W of Eq. 14)."""
        return self.settings.grid

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
