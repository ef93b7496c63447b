"""GIST, one vector for the layout of a whole image (Oliva and Torralba, IJCV 2001).

The image's grey values are evened out, go through Gabor filters of several scales and
orientations, and each answer's magnitude is averaged over the blocks of a grid. The constants are
those of the authors' LMgist. OSDH names 1024 numbers without saying how they are laid out; here
they are 4 scales x 4 orientations x 8 x 8 blocks.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2

from medhash.data.array_files import write_array
from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.files import written_whole
from medhash.progress import progress

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SCALES, ORIENTATIONS, BLOCKS = 4, 4, 8
LENGTH = SCALES * ORIENTATIONS * BLOCKS**2

_AT_ONCE = 8
_MARGIN, _PREFILTER_MARGIN = 32, 5
_CYCLES = 4.0  # of the low frequencies that are taken out, in an image
_LEAST_CONTRAST = 0.2

Numbers = NDArray[np.float64]


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Describe the images of a step's dataset."""
    write_gist(step.inputs["images"], step.outputs["gist"])


def write_gist(images: Path, out: Path) -> None:
    """Describe all images of a prepared dataset; write float32 (n, 1024).

    Args:
        images: ``images.npy``, uint8 (n, S, S, 3).
        out: the file that is written, whole or not at all.

    Raises:
        MedhashError: the images are smaller than the grid.
    """
    pixels = PreparedDataset(images.parent).images
    if pixels.shape[1] < BLOCKS:
        raise MedhashError(
            f"{images}: its images are {pixels.shape[1]} pixels wide; GIST's grid has {BLOCKS} "
            "blocks a side and needs at least a pixel in each"
        )
    described = np.empty((len(pixels), LENGTH), dtype=np.float32)
    with progress(f"gist {out.parent.name}", len(pixels), "images") as advance:
        for start in range(0, len(pixels), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            described[part] = gist(pixels[part])
            advance(len(pixels[part]), "")
    with written_whole(out) as temporary:
        write_array(temporary, described)


def gist(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """GIST of square images.

    Args:
        images: uint8 (n, S, S, 3), S at least 8.

    Returns:
        float32 (n, 1024): scale by scale from fine to coarse, within it orientation by
        orientation, within it row by row of the grid. The same whatever else is in the batch.
    """
    size = images.shape[1]
    grey = _stretched(images.astype(np.float64).mean(axis=3))
    filters = gabor_filters(size + 2 * _MARGIN)
    spectrum = fft2(_mirrored(evened(grey), _MARGIN), workers=_cores())
    inside = slice(_MARGIN, _MARGIN + size)
    answers = [
        np.abs(ifft2(spectrum * each, workers=_cores()))[:, inside, inside] for each in filters
    ]
    return np.concatenate([_block_means(each) for each in answers], axis=1).astype(np.float32)


def evened(grey: Numbers) -> Numbers:
    """Grey values without shades, and with the same contrast everywhere: (n, S, S) to the same.

    The logarithm less its low frequencies, over its local deviation.

    Args:
        grey: from 0 to 255.
    """
    size = grey.shape[1]
    padded = _mirrored(np.log1p(grey), _PREFILTER_MARGIN)
    odd = padded.shape[1] % 2
    padded = np.pad(padded, ((0, 0), (0, odd), (0, odd)), mode="symmetric")
    squared, _ = _frequencies(padded.shape[1])
    low = np.exp(-squared * np.log(2) / _CYCLES**2)
    detail = padded - ifft2(fft2(padded, workers=_cores()) * low, workers=_cores()).real
    power = ifft2(fft2(detail**2, workers=_cores()) * low, workers=_cores())
    inside = slice(_PREFILTER_MARGIN, _PREFILTER_MARGIN + size)
    return (detail / (_LEAST_CONTRAST + np.sqrt(np.abs(power))))[:, inside, inside]


def gabor_filters(size: int) -> Numbers:
    """Transfer functions in the order of FFT frequencies, (scales * orientations, size, size)."""
    squared, angle = _frequencies(size)
    radius = np.sqrt(squared) / size
    filters = []
    for scale in range(SCALES):
        distance = radius / (0.3 / 1.85**scale) - 1
        for orientation in range(ORIENTATIONS):
            turned = angle + np.pi / ORIENTATIONS * orientation
            turned = np.where(turned > np.pi, turned - 2 * np.pi, turned)
            width = 16 * ORIENTATIONS**2 / 32**2
            filters.append(np.exp(-10 * 0.35 * distance**2 - 2 * np.pi * width * turned**2))
    return np.stack(filters)


def _frequencies(size: int) -> tuple[Numbers, Numbers]:
    """Squared length, in cycles an image, and angle of each frequency, (size, size)."""
    cycles = np.fft.ifftshift(np.arange(size) - size // 2).astype(np.float64)
    down, across = np.meshgrid(cycles, cycles, indexing="ij")
    return down**2 + across**2, np.arctan2(down, across)


def _stretched(grey: Numbers) -> Numbers:
    """Each image from 0 to 255; an image of one value is 0."""
    grey = grey - grey.min(axis=(1, 2), keepdims=True)
    most = grey.max(axis=(1, 2), keepdims=True)
    return 255 * grey / np.where(most > 0, most, 1)


def _mirrored(images: Numbers, margin: int) -> Numbers:
    sides: Any = ((0, 0), (margin, margin), (margin, margin))
    return np.pad(images, sides, mode="symmetric")


def _block_means(answers: Numbers) -> Numbers:
    """Means over the grid's blocks, (n, S, S) to (n, blocks * blocks)."""
    edges = np.linspace(0, answers.shape[1], BLOCKS + 1).astype(int)
    pairs = list(pairwise(edges))
    means = [
        answers[:, top:bottom, left:right].mean(axis=(1, 2))
        for top, bottom in pairs
        for left, right in pairs
    ]
    return np.stack(means, axis=1)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
