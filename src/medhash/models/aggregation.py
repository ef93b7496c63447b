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


def cam(features: Tensor, class_layer: Tensor, classes: Tensor) -> Tensor:
    """Class-weighted sums of the map (Jimenez, Alvarez, Giro-i-Nieto; BMVC 2017, Section 3.2).

    A class's activation map, without what is negative and with a greatest value of 1, weighs
    places, :func:`crow_channels` weigh channels; the classes' sums at length 1 are added up.

    Args:
        features: (B, N, K), not negative.
        class_layer: weights of the classifier on the map's mean, (C, K).
        classes: which count for each image, bool (B, C).

    Returns:
        (B, K), at length 1. A class that nothing in an image speaks for weighs all places alike.
    """
    activation = (features @ class_layer.T).relu()
    greatest = activation.amax(dim=1, keepdim=True)
    places = torch.where(greatest > 0, activation / greatest.where(greatest > 0, 1.0), 1.0)
    sums = (places.transpose(1, 2) @ features) * crow_channels(features)[:, None]
    return unit((normalize(sums, dim=2) * classes[:, :, None]).sum(dim=1))


def bag_of_words(features: Tensor, words: Tensor, weights: Tensor) -> Tensor:
    """The histogram of the words that are nearest to an image's local features.

    Args:
        features: (B, N, D).
        words: (n, D).
        weights: what each place counts, (B, N).

    Returns:
        (B, n), at length 1.
    """
    nearest = torch.cdist(features, words.expand(len(features), -1, -1)).argmin(dim=2)
    histogram = features.new_zeros(len(features), len(words))
    return unit(histogram.scatter_add(1, nearest, weights.to(histogram)))


def gem(maps: Tensor, power: float) -> Tensor:
    """Generalised mean over places (Radenovic, Tolias, Chum; 2018): (B, K, H, W) to (B, K)."""
    return maps.clamp(min=1e-6).pow(power).mean(dim=(2, 3)).pow(1 / power)
