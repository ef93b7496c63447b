"""What every kind of phantom is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhash.data.phantoms.canvas import Canvas, Plane


@dataclass(frozen=True)
class Request:
    """One image to draw.

    Attributes:
        canvas: the coordinate planes.
        finding: the class, which alone decides the lesion.
        confounders: name -> value, one for each of the modality's confounders.
        patient: the patient's own random numbers (build, organs); images of one patient get
            generators in the same state.
        rng: the image's own random numbers (slice, lesion, noise).
    """

    canvas: Canvas
    finding: str
    confounders: Mapping[str, str]
    patient: np.random.Generator
    rng: np.random.Generator


@dataclass(frozen=True)
class Drawing:
    """A drawn image.

    Attributes:
        image: float64 (S, S) grey or (S, S, 3) colour, 0 to 1; values outside are clipped.
        lesion: float64 (S, S), coverage of the lesion, 0 to 1.
    """

    image: NDArray[np.float64]
    lesion: Plane


@dataclass(frozen=True)
class Modality:
    """One kind of phantom.

    Attributes:
        findings: the classes that it can draw.
        confounders: name -> values that the confounder takes; each name is one of the four
            groups of ACH Section I: host organs, imaging discrepancies, artifacts, protocols.
        draw: makes one image.
    """

    findings: tuple[str, ...]
    confounders: Mapping[str, tuple[str, ...]]
    draw: Callable[[Request], Drawing]


def finish(canvas: Canvas, image: Plane, rng: np.random.Generator, noise: float) -> Plane:
    """Add a detector's noise: fine grain and a faint coarse unevenness."""
    coarse = canvas.texture(rng, 6) * noise * 0.5
    return image + coarse + canvas.grain(rng) * noise
