"""What every kind of phantom is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medhash.data.phantoms.canvas import Canvas, Plane


@dataclass(frozen=True)
class Request:
    """One image to draw.

    Attributes:
        canvas: the coordinate planes.
        finding: the class, which alone decides the lesion where an image has one.
        confounders: name -> value, one for each of the modality's confounders.
        patient: the patient's own random numbers (build, organs), or the lesion's; images of one
            get generators in the same state.
        rng: the image's own random numbers (slice, lesion, noise).
        further: the image's other classes, where the modality gives an image several.
    """

    canvas: Canvas
    finding: str
    confounders: Mapping[str, str]
    patient: np.random.Generator
    rng: np.random.Generator
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """A drawn image.

    Attributes:
        image: float64 (S, S) grey or (S, S, 3) colour, 0 to 1; values outside are clipped.
        lesion: float64 (S, S), coverage of the lesion, 0 to 1.
        mask: uint8 (S, S), places in the card's ``mask_classes``; None: 1 where the lesion covers
            more than half of the pixel, 0 elsewhere.
        attributes: what is known of the image by its making (``cdr``): columns of the index, the
            same for every image of a phantom.
        findings: the coverage of each of its classes by itself, where an image has several.
    """

    image: NDArray[np.float64]
    lesion: Plane
    mask: NDArray[np.uint8] | None = None
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    findings: Mapping[str, Plane] = field(default_factory=dict)


@dataclass(frozen=True)
class Modality:
    """One kind of phantom.

    Attributes:
        findings: the classes that it can draw.
        confounders: name -> values that the confounder takes; each name is one of the four
            groups of ACH Section I: host organs, imaging discrepancies, artifacts, protocols.
        draw: makes one image.
        further: draws what an image of a class has besides, in no order; None: nothing.
        films: most images of a patient; at least 2.
        group: the column of the index that says which images belong together: those of a
            patient, or of a lesion.
    """

    findings: tuple[str, ...]
    confounders: Mapping[str, tuple[str, ...]]
    draw: Callable[[Request], Drawing]
    further: Callable[[str, np.random.Generator], Collection[str]] | None = None
    films: int = 3
    group: str = "patient_id"


def finish(canvas: Canvas, image: Plane, rng: np.random.Generator, noise: float) -> Plane:
    """Add a detector's noise: fine grain and a faint coarse unevenness."""
    coarse = canvas.texture(rng, 6) * noise * 0.5
    return image + coarse + canvas.grain(rng) * noise
