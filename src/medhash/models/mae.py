"""The masked autoencoder that pretrains the backbone (He et al., CVPR 2022; ACH reference 36)."""

from __future__ import annotations

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from medhash.models.backbone import CHANNELS
from medhash.models.backbones import vit
from medhash.schema.settings import MaeSettings, VitSettings


class MaskedAutoencoder(nn.Module):
    """Encode a few patches, reconstruct the pixels of the others.

    Shapes: B images, N patches of which ``kept`` are visible, P pixels a patch side.
    """

    decoder_positions: Tensor

    def __init__(self, network: VitSettings, settings: MaeSettings) -> None:
        super().__init__()
        self.patch_size = network.patch_size
        self.patches = network.grid**2
        self.kept = max(1, round(self.patches * (1 - settings.mask_ratio)))
        self.backbone = vit.Backbone(network)
        self.encoder_norm = nn.LayerNorm(network.width, eps=1e-6)
        self.decoder_embedding = nn.Linear(network.width, settings.decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, settings.decoder_width))
        positions = build_sincos2d_pos_embed([network.grid] * 2, dim=settings.decoder_width)
        self.register_buffer("decoder_positions", positions[None], persistent=False)
        self.decoder = nn.Sequential(
            *(
                Block(settings.decoder_width, settings.decoder_heads, qkv_bias=True)
                for _ in range(settings.decoder_depth)
            ),
            nn.LayerNorm(settings.decoder_width, eps=1e-6),
            nn.Linear(settings.decoder_width, network.patch_size**2 * CHANNELS),
        )
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, pixels: Tensor, order: Tensor) -> Tensor:
        """Reconstruction error of each image.

        Args:
            pixels: normalised images, float (B, 3, S, S).
            order: int64 (B, N), a random permutation of the patches for each image; the first
                ``kept`` stay visible.

        Returns:
            float (B,): mean squared error over the hidden patches, whose pixels are normalised
            patch by patch (the paper's better variant).
        """
        tokens = self.backbone.embed(pixels)
        visible = tokens.gather(1, _as_index(order[:, : self.kept], tokens))
        features = self.encoder_norm(self.backbone.encode(visible))
        predicted = self.decoder(self._fill(self.decoder_embedding(features), order))
        hidden = order[:, self.kept :]
        target = self.patch_targets(pixels)
        difference = predicted - target
        return difference.gather(1, _as_index(hidden, difference)).pow(2).mean(dim=(1, 2))

    def patch_targets(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) as patches (B, N, P*P*3) of zero mean and unit variance each."""
        patches = nn.functional.unfold(pixels, self.patch_size, stride=self.patch_size)
        patches = patches.transpose(1, 2)
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()

    def _fill(self, visible: Tensor, order: Tensor) -> Tensor:
        """Put mask tokens where patches were hidden, and add the decoder's positions."""
        missing = self.patches - self.kept
        blanks = self.mask_token.to(visible.dtype).expand(len(visible), missing, -1)
        shuffled = torch.cat([visible, blanks], dim=1)
        restore = order.argsort(dim=1)
        return shuffled.gather(1, _as_index(restore, shuffled)) + self.decoder_positions


def _as_index(positions: Tensor, like: Tensor) -> Tensor:
    """(B, n) positions as an index (B, n, D) for ``gather`` along dimension 1."""
    return positions[:, :, None].expand(-1, -1, like.shape[-1])
