"""Training images: uint8 on the device, shuffled and augmented there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.schema.settings import Augmentation


@dataclass(frozen=True)
class Batch:
    """A batch of training images.

    Attributes:
        images: uint8 (B, S, S, 3).
        labels: float32 (B, C), 0/1.
        rows: int64 (B,), places within the training split.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one part of a split, on one device.

    Attributes:
        images: uint8 (n, S, S, 3).
        labels: float32 (n, C), 0/1.
        rows: int64 (n,), rows of the dataset's index (NumPy, on the CPU).
    """

    images: Tensor
    labels: Tensor
    rows: np.ndarray

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """All images once in random order; the last batch may be smaller."""
        order = torch.randperm(len(self.images), generator=generator)
        for rows in order.to(self.images.device).split(size):
            yield Batch(self.images[rows], self.labels[rows], rows)


def load_images(data_folder: Path, split: Path, part: str, device: torch.device) -> ImageSet:
    """Read one part of a split onto the device.

    Args:
        data_folder: a prepared dataset (``images.npy``, ``labels.npy``).
        split: its manifest.
        part: ``train``, ``query`` or ``database``.
        device: where the tensors go.
    """
    rows = rows_of(split, part)
    dataset = PreparedDataset(data_folder)
    return ImageSet(
        torch.from_numpy(dataset.images[rows]).to(device),
        torch.from_numpy(dataset.labels[rows]).to(device, torch.float32),
        rows,
    )


def augment(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Flip and crop each image at random: normalised (B, 3, S, S) to the same shape.

    One bilinear resampling does both. Random numbers come from the CPU, so that they do not
    depend on the device.
    """
    if settings.flip == 0 and settings.least_area == 1:
        return pixels
    count = len(pixels)
    mirrored = torch.rand(count, generator=generator) < settings.flip
    area = torch.rand(count, generator=generator) * (1 - settings.least_area) + settings.least_area
    side = area.sqrt()
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * (1 - side)[:, None]
    transform = torch.zeros(count, 2, 3)
    transform[:, 0, 0] = torch.where(mirrored, -side, side)
    transform[:, 1, 1] = side
    transform[:, :, 2] = shift
    places = affine_grid(transform.to(pixels.device), list(pixels.shape), align_corners=False)
    return grid_sample(pixels, places, padding_mode="border", align_corners=False)
