"""Second-order attention: each place of a map looks at all others (SOLAR)."""

from __future__ import annotations

import math

from torch import Tensor, nn


class SecondOrderAttention(nn.Module):
    """A map plus what its places take from each other (Ng et al., ECCV 2020, Section 3.1).

    The last convolution starts at 0, so that at first the map stays as it is.

    Args:
        channels: K.
        reduction: how many times fewer channels places are compared by.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.query, self.key = (
            nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner), nn.ReLU())
            for _ in range(2)
        )
        self.value = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, K, H, W) to the same shape."""
        query, key, value = (
            part(maps).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        alike = query @ key.transpose(1, 2) / math.sqrt(query.shape[2])
        taken = (alike.softmax(dim=2) @ value).transpose(1, 2).unflatten(2, maps.shape[2:])
        added: Tensor = self.out(taken)
        return maps + added
