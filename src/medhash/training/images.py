"""Training images: uint8 on the device, shuffled and augmented there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.models.backbone import ImageBackbone
from medhash.schema.settings import Augmentation


@dataclass(frozen=True)
class Batch:
    """A batch of training images: A anchors, and behind them the c companions of each, in order.

    Attributes:
        images: uint8 (B, T, T, 3), as stored; B = A (1 + c).
        labels: float32 (B, C), 0/1.
        rows: int64 (B,), places within the training split; a companion may repeat one.
        masks: uint8 (B, T, T), class ids, where the method needs masks.
        companions: c, 0 for most methods.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    masks: Tensor | None = None
    companions: int = 0

    @property
    def anchors(self) -> int:
        """A."""
        return len(self.rows) // (1 + self.companions)


Companions = Callable[[Tensor, torch.Generator], Tensor]
"""Rows of anchors, int64 (A,), to those of their companions, int64 (A, c), all on the CPU."""


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one part of a split, on one device.

    Attributes:
        images: uint8 (n, T, T, 3).
        labels: float32 (n, C), 0/1.
        rows: int64 (n,), rows of the dataset's index (NumPy, on the CPU).
        masks: uint8 (n, T, T), class ids, or None where nobody needs them.
    """

    images: Tensor
    labels: Tensor
    rows: np.ndarray
    masks: Tensor | None = None

    def batches(
        self, size: int, generator: torch.Generator, companions: Companions | None = None
    ) -> Iterator[Batch]:
        """All images once, as anchors, in random order; the last batch may be smaller.

        Args:
            size: anchors of a batch.
            generator: on the CPU.
            companions: draws those of each batch from the same generator.
        """
        order = torch.randperm(len(self.images), generator=generator)
        if companions is None:
            for rows in order.to(self.images.device).split(size):
                yield self._batch(rows, 0)
        else:
            for rows in order.split(size):
                drawn = companions(rows, generator)
                together = torch.cat([rows, drawn.flatten()])
                yield self._batch(together.to(self.images.device), drawn.shape[1])

    def _batch(self, rows: Tensor, companions: int) -> Batch:
        masks = None if self.masks is None else self.masks[rows]
        return Batch(self.images[rows], self.labels[rows], rows, masks, companions)


def load_images(
    data_folder: Path, split: Path, part: str, device: torch.device, *, masks: bool = False
) -> ImageSet:
    """Read one part of a split onto the device.

    Args:
        data_folder: a prepared dataset (``images.npy``, ``labels.npy``, perhaps ``masks.npy``).
        split: its manifest.
        part: ``train``, ``query`` or ``database``.
        device: where the tensors go.
        masks: whether the masks are read, too.

    Raises:
        MedhashError: masks are asked for, and the dataset has none.
    """
    rows = rows_of(split, part)
    dataset = PreparedDataset(data_folder)
    return ImageSet(
        torch.from_numpy(dataset.images[rows]).to(device),
        torch.from_numpy(dataset.labels[rows]).to(device, torch.float32),
        rows,
        torch.from_numpy(_masks(dataset, rows)).to(device) if masks else None,
    )


def _masks(dataset: PreparedDataset, rows: np.ndarray) -> np.ndarray:
    """Class ids, uint8 (n, T, T)."""
    if dataset.masks is None:
        raise MedhashError(
            f"{dataset.folder}: this dataset has no masks; a method that needs masks cannot be "
            "trained on it"
        )
    return dataset.masks[rows]


def training_view(
    batch: Batch, backbone: ImageBackbone, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """A batch as the network sees it in training.

    Args:
        batch: as stored.
        backbone: says mean, deviation and size of what it sees.
        settings: random changes.
        generator: on the CPU.

    Returns:
        Normalised pixels, float (B, 3, S, S), and masks, uint8 (B, S, S), moved as they are.
    """
    pixels, masks = backbone.normalise(batch.images), batch.masks
    transform = _transform(len(pixels), settings, generator)
    corners = backbone.draw_corners(len(pixels), pixels.shape[-1], generator)
    if masks is not None:
        moved = backbone.shrink(masks[:, None].float(), "nearest-exact")
        moved = moved if transform is None else _resample(moved, transform, "nearest")
        masks = backbone.fit(moved, corners)[:, 0].to(torch.uint8)
    pixels = pixels if transform is None else _resample(pixels, transform, "bilinear")
    return backbone.fit(pixels, corners), masks


def augment(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Flip and crop each image at random: normalised (B, 3, S, S) to the same shape.

    One bilinear resampling does both. Random numbers come from the CPU, so that they do not
    depend on the device.
    """
    transform = _transform(len(pixels), settings, generator)
    return pixels if transform is None else _resample(pixels, transform, "bilinear")


def _transform(count: int, settings: Augmentation, generator: torch.Generator) -> Tensor | None:
    """What flips and crops each image, float (B, 2, 3) on the CPU; None where nothing moves."""
    if settings.flip == 0 and settings.least_area == 1:
        return None
    mirrored = torch.rand(count, generator=generator) < settings.flip
    area = torch.rand(count, generator=generator) * (1 - settings.least_area) + settings.least_area
    side = area.sqrt()
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * (1 - side)[:, None]
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0] = torch.where(mirrored, -side, side)
    transform[:, 1, 1] = side
    transform[:, :, 2] = shift
    return transform


def _resample(pixels: Tensor, transform: Tensor, mode: str) -> Tensor:
    places = affine_grid(transform.to(pixels.device), list(pixels.shape), align_corners=False)
    return grid_sample(pixels, places, mode=mode, padding_mode="border", align_corners=False)
