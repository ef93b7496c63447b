"""From a map of local features to one vector an image: the step that descriptors differ in.

Shapes: B images, N places of the map, K channels; a map is float (B, N, K), mostly after a ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def unit(vectors: Tensor) -> Tensor:
    """Vectors (B, L) at length 1; one of zeros stays as it is."""
    return normalize(vectors, dim=1)


def crow(features: Tensor) -> Tensor:
    """Cross-dimensional weighting (Kalantidis, Mellina, Osindero; ECCV workshops 2016).

    Places are weighted by what all channels say there, channels by how rare they are (the paper's
    Sections 3.1 and 3.2, with its a = b = 2), and the weighted map is summed over places.

    Args:
        features: (B, N, K), not negative.

    Returns:
        (B, K), not normalised; zeros for a map of zeros.
    """
    weights = crow_places(features)[:, :, None] * features
    return weights.sum(dim=1) * crow_channels(features)


def crow_places(features: Tensor) -> Tensor:
    """Weights of places: the root of the channels' sum, that sum at length 1; (B, N, K) to (B, N).

    A place of a map of zeros weighs 0.
    """
    return unit(features.sum(dim=2)).sqrt()


def crow_channels(features: Tensor) -> Tensor:
    """Weights of channels: log of the inverse share of places that are not 0; (B, N, K) to (B, K).

    Q_k is the share of places at which channel k is not 0; its weight is log(sum of all Q / Q_k),
    and 0 for a channel that is 0 everywhere.
    """
    shares = (features != 0).to(features.dtype).mean(dim=1)
    ratios = shares.sum(dim=1, keepdim=True) / shares.clamp(min=torch.finfo(shares.dtype).tiny)
    return torch.where(shares > 0, ratios, 1.0).log()
