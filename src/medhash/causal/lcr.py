"""Lesion counterfactual reasoning, LCR (ACH Section IV-C), and its factual opponent, LFR.

Find the lesion, blank it out (LCR) or blank out everything else (LFR), code the result, and put
the same loss on it that the method puts on real images, with other targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medhash.causal.class_codes import ClassCodes, class_softmax
from medhash.causal.masking import blank_out, lesion_boxes
from medhash.causal.positioning import (
    active_map,
    choose_key_points,
    draw_key_points,
    salient_area,
    segment_corners,
    segment_patches,
)
from medhash.schema.settings import LcrSettings

Codes = tuple[Tensor, Tensor]
"""V as codes (M, q) and labels (M, C)."""

LossOfCodes = Callable[[Tensor, Codes, Tensor], Tensor]
"""Codes (B, q), V and targets (B, M) to one value a code (B,)."""


class TokenEncoder(Protocol):
    """What LCR needs of a hashing network."""

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""

    def code(self, tokens: Tensor) -> Tensor:
        """Patch tokens (B, n, D) to relaxed codes (B, q) (Eq. 16 and 20)."""

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to patch tokens (B, N, D)."""

    def blank_tokens(self) -> Tensor:
        """Patch tokens (1, N, D) of an image of zeros."""


@dataclass(frozen=True)
class Scene:
    """One batch as LCR sees it.

    Attributes:
        pixels: normalised images, float (B, 3, S, S).
        tokens: their patch tokens, float (B, N, D).
        features: their patch features F, float (B, N, D).
        labels: float (B, C), 0/1.
    """

    pixels: Tensor
    tokens: Tensor
    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Lesions:
    """What C2F-LP found: top left of the salient area and the key point, int64 (B, 2) each."""

    area: Tensor
    key_point: Tensor


class LesionReasoning:
    """The extra loss term of LCR (``factual=False``) or LFR (``factual=True``).

    ``weighted`` says that DBW weighs the loss of real images.
    """

    def __init__(
        self,
        settings: LcrSettings,
        class_codes: ClassCodes,
        *,
        factual: bool = False,
        weighted: bool = False,
    ) -> None:
        self.settings = settings
        self.class_codes = class_codes
        self.factual = factual
        self.weighted = weighted

    def loss(
        self,
        scene: Scene,
        encoder: TokenEncoder,
        loss_of_codes: LossOfCodes,
        references: Codes,
        generator: torch.Generator,
    ) -> Tensor:
        """The counterfactual reasoning loss of a batch (Eq. 23), or its factual counterpart.

        Args:
            scene: the batch.
            encoder: the hashing network.
            loss_of_codes: the method's own loss against V.
            references: V, constants.
            generator: draws the key points.

        Returns:
            A scalar: Eq. 23 divided by the number of classes in the batch, as DBW does, unless
            ``share`` says otherwise.
        """
        key_points = self.locate(scene, encoder, generator).key_point
        codes = self._masked_codes(scene, key_points, encoder)
        repeats = len(self.settings.mask_scales)
        labels = scene.labels.repeat_interleave(repeats, dim=0)
        weights = self._weights(codes.detach(), labels)
        costs = self._costs(codes, labels, loss_of_codes, references)
        return self.settings.strength * self._share(scene.labels) * (weights * costs).sum()

    @torch.no_grad()
    def locate(self, scene: Scene, encoder: TokenEncoder, generator: torch.Generator) -> Lesions:
        """Find each image's lesion (C2F-LP). Nothing is learned here, so no gradients."""
        settings = self.settings
        area = salient_area(active_map(scene.features, encoder.grid), settings.window)
        points = draw_key_points(area, settings.window, settings.key_points, generator)
        codes = self._segment_codes(scene, points, encoder)
        labels = scene.labels.repeat_interleave(settings.key_points, dim=0)
        distances = self.class_codes.own_distances(codes, labels)
        chosen = choose_key_points(points, distances.unflatten(0, (-1, settings.key_points)))
        return Lesions(area, chosen)

    def _segment_codes(self, scene: Scene, points: Tensor, encoder: TokenEncoder) -> Tensor:
        """Codes (B*K, q) of the candidate segments (Eq. 16)."""
        settings = self.settings
        corners = segment_corners(points, settings.segment, encoder.grid)
        if settings.segment_encoding == "crop":
            crops = crop_segments(scene.pixels, corners, settings.segment, encoder.grid)
            return encoder.code(encoder.embed(crops))
        places = segment_patches(corners, settings.segment, encoder.grid)
        return encoder.code(gather_tokens(scene.tokens, places))

    def _masked_codes(self, scene: Scene, key_points: Tensor, encoder: TokenEncoder) -> Tensor:
        """Codes (B*S, q) of the images with blanked patches (Eq. 18-20, or 26)."""
        boxes = lesion_boxes(key_points, self.settings.mask_scales, encoder.grid)
        hidden = ~boxes if self.factual else boxes
        return encoder.code(blank_out(scene.tokens, encoder.blank_tokens(), hidden))

    def _costs(
        self, codes: Tensor, labels: Tensor, loss_of_codes: LossOfCodes, references: Codes
    ) -> Tensor:
        """What each masked image costs, (B*S,), before its weight."""
        cost = squared_loss if self.settings.loss == "squared" else loss_of_codes
        if self.factual:
            same = labels @ references[1].T >= 1
            return cost(codes, references, torch.where(same, 1.0, -1.0))
        if self.settings.other_classes == "ignore":
            return costs_within_classes(codes, labels, cost, references)
        keep = self.settings.other_classes == "keep"
        target = counterfactual_targets(codes.detach(), labels, *references, keep=keep)
        return cost(codes, references, target)

    def _weights(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Weights (B*S,) that add up to 1 over all classes together, or at each scale (Eq. 22)."""
        classes = (labels.sum(dim=0) > 0).sum()
        scores = self._scores(codes, labels)
        if self.settings.softmax == "each-scale":
            scales = len(self.settings.mask_scales)
            each = [class_softmax(scores[s::scales], labels[s::scales]) for s in range(scales)]
            return torch.stack(each, dim=1).flatten(0, 1).sum(dim=1) / classes
        return class_softmax(scores, labels).sum(dim=1) / classes

    def _scores(self, codes: Tensor, labels: Tensor) -> Tensor:
        """What the softmax takes, (B*S, C)."""
        if self.settings.weights == "uniform":
            return torch.zeros_like(labels)
        distances = self.class_codes.distances(codes)
        if self.settings.weights == "intraclass-far":
            return distances
        return frequency_scores(distances, labels)

    def _share(self, labels: Tensor) -> Tensor | float:
        """How much Eq. 23 counts where the weights of B real images, (B, C), add up to 1.

        Eq. 12 and Eq. 23 have weights of 1 a class, Eq. 7 has one of 1 a sample.
        """
        if self.weighted or self.settings.share == "equal":
            return 1.0
        classes = (labels.sum(dim=0) > 0).sum()
        return classes if self.settings.share == "mean" else classes / len(labels)


def squared_loss(codes: Tensor, references: Codes, target: Tensor) -> Tensor:
    """Eq. 23's own cost, with inner products divided by q and the mean over V: (B,)."""
    return (codes @ references[0].T / codes.shape[1] - target).pow(2).mean(dim=1)


def counterfactual_targets(
    codes: Tensor,
    labels: Tensor,
    reference_codes: Tensor,
    reference_labels: Tensor,
    *,
    keep: bool = False,
) -> Tensor:
    """Similarity labels of counterfactual samples (Eq. 21).

    0 towards V of the sample's own class; towards every other code the mean similarity that the
    sample still has to its own class. Similarities are inner products divided by q.

    Args:
        codes: float (B, q).
        labels: float (B, C), 0/1.
        reference_codes: V, float (M, q).
        reference_labels: float (M, C), 0/1.
        keep: towards every other code the present similarity instead.

    Returns:
        float (B, M).
    """
    same = (labels @ reference_labels.T >= 1).to(codes.dtype)
    similarity = codes @ reference_codes.T / codes.shape[1]
    if keep:
        return torch.where(same > 0, 0.0, similarity)
    remaining = (same * similarity).sum(dim=1) / same.sum(dim=1).clamp(min=1.0)
    return torch.where(same > 0, 0.0, remaining[:, None])


def costs_within_classes(
    codes: Tensor, labels: Tensor, cost: LossOfCodes, references: Codes
) -> Tensor:
    """What codes (B, q) of labels (B, C) cost against V of their own classes alone: (B,).

    The targets are 0. A code costs nothing where V has none of its classes.
    """
    reference_codes, reference_labels = references
    costs = codes.new_zeros(len(codes))
    for kind in labels.unique(dim=0):
        rows = (labels == kind).all(dim=1)
        same = reference_labels @ kind >= 1
        if same.any():
            own = reference_codes[same], reference_labels[same]
            target = codes.new_zeros(int(rows.sum()), int(same.sum()))
            costs[rows] = cost(codes[rows], own, target)
    return costs


def frequency_scores(distances: Tensor, labels: Tensor) -> Tensor:
    """Greatest distance of the class minus the own one (Eq. 22): (B, C), (B, C) to (B, C)."""
    within = torch.where(labels > 0, distances, float("-inf"))
    return within.max(dim=0, keepdim=True).values - distances


def gather_tokens(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens (B, N, D) at places (B, K, n): (B*K, n, D)."""
    images = torch.arange(len(tokens), device=tokens.device)[:, None, None]
    return tokens[images, places].flatten(0, 1)


def crop_segments(pixels: Tensor, corners: Tensor, segment: tuple[int, int], grid: int) -> Tensor:
    """Cut segments out and enlarge them to whole images: (B, 3, S, S), (B, K, 2) to (B*K, 3, S, S).

    The alternative reading of Eq. 16.
    """
    size = pixels.shape[-1]
    patch = size // grid
    height, width = segment[0] * patch, segment[1] * patch
    crops = [
        pixels[image, :, top : top + height, left : left + width]
        for image, points in enumerate((corners * patch).tolist())
        for top, left in points
    ]
    return interpolate(torch.stack(crops), size=(size, size), mode="bilinear", align_corners=False)
