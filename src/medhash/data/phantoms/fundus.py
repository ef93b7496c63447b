"""Eye fundus: the optic disc, its cup, and the ratio of their diameters.

Glaucoma widens the cup. The ratio (CDR) is continuous, known, and overlaps between the classes, so
that neither the class nor the ratio can be read from the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane, branches
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish

# Least and greatest ratio of the cup's diameter to the disc's.
_RATIOS = {"Normal": (0.30, 0.60), "Glaucoma": (0.52, 0.85)}
# Red, green and blue of the retina in each camera.
_TINTS = {"warm": (0.78, 0.34, 0.14), "pale": (0.66, 0.46, 0.34)}
_DISC = np.array((0.98, 0.78, 0.42))
_CUP = np.array((1.0, 0.97, 0.86))
_VESSEL = np.array((0.42, 0.07, 0.05))
_MACULA = np.array((0.45, 0.18, 0.08))


@dataclass(frozen=True)
class _Eye:
    """Where the disc lies: nasal to the centre, on the picture's right in a right eye."""

    name: str
    nasal: float
    disc: Ellipse


def draw(request: Request) -> Drawing:
    """Draw one photograph; see :class:`~medhash.data.phantoms.modality.Request`."""
    canvas, rng = request.canvas, request.rng
    ratio = float(rng.uniform(*_RATIOS[request.finding]))
    eye = _eye(request)
    disc, cup = canvas.ellipse(eye.disc, 0.02), _cup(request, eye.disc, ratio)
    image = _retina(canvas, eye, request)
    image = _paint(image, disc, _DISC)
    image = _paint(image, cup, _CUP)
    # Vessels climb over the rim and fade in the depth of the cup.
    image = _paint(image, _vessels(canvas, eye, rng) * (1.0 - 0.7 * cup), _VESSEL)
    mask = (disc > 0.5).astype(np.uint8) + (np.minimum(cup, disc) > 0.5)
    lesion = cup if request.finding == "Glaucoma" else canvas.zeros()
    facts: dict[str, str | float] = {"cdr": round(ratio, 4), "eye": eye.name}
    return Drawing(_camera(request, image), lesion, mask.astype(np.uint8), facts)


def _eye(request: Request) -> _Eye:
    patient, rng = request.patient, request.rng
    # A narrow field is a larger picture of a smaller part.
    radius = patient.uniform(0.24, 0.28) * (1.25 if request.confounders["field"] == "narrow" else 1)
    right = rng.uniform() < 0.5
    nasal = 1.0 if right else -1.0
    x = nasal * rng.uniform(0.22, 0.34)
    y = rng.uniform(-0.10, 0.10)
    tilt = rng.uniform(-0.2, 0.2)
    return _Eye("OD" if right else "OS", nasal, Ellipse(x, y, radius * 0.93, radius, tilt))


def _cup(request: Request, disc: Ellipse, ratio: float) -> Plane:
    """Coverage of the cup, which shares the disc's centre and shape."""
    shape = disc._replace(rx=disc.rx * ratio, ry=disc.ry * ratio)
    return request.canvas.ellipse(shape, 0.03)


def _retina(canvas: Canvas, eye: _Eye, request: Request) -> NDArray[np.float64]:
    """The background, float64 (S, S, 3), with the macula on the other side of the disc."""
    tint = np.array(_TINTS[request.confounders["camera"]])
    pigment = 1.0 + 0.06 * canvas.texture(request.patient, 7)
    image = tint * (pigment * request.patient.uniform(0.9, 1.1))[..., None]
    macula = Ellipse(eye.disc.x - eye.nasal * 0.75, eye.disc.y + 0.06, 0.16, 0.16)
    return _paint(image, 0.7 * canvas.ellipse(macula, 0.16), _MACULA)


def _vessels(canvas: Canvas, eye: _Eye, rng: np.random.Generator) -> Plane:
    """Four arcades that leave the disc, above and below, to both sides."""
    tree = []
    for upward in (-1.0, 1.0):
        for temporal in (-1.0, 1.0):
            heading = math.atan2(upward * 1.2, -temporal * eye.nasal) + rng.uniform(-0.2, 0.2)
            tree += branches(rng, (eye.disc.x, eye.disc.y), heading, 0.42, 2)
    return canvas.lines(((points, 0.030 * width) for points, width in tree), 0.02)


def _camera(request: Request, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Focus, light, the round field on black, and the sensor's noise."""
    canvas, rng = request.canvas, request.rng
    confounders = request.confounders
    width = 0.035 if confounders["focus"] == "soft" else 0.006
    image = np.stack([canvas.blur(image[..., c], width) for c in range(3)], axis=-1)
    light = canvas.zeros() + 1.0
    if confounders["illumination"] == "uneven":
        angle = rng.uniform(0, 2 * math.pi)
        light = 0.85 + 0.45 * (canvas.x * math.cos(angle) + canvas.y * math.sin(angle))
    edge = canvas.ellipse(Ellipse(0.0, 0.0, 0.96, 0.96), 0.03)
    noisy = [finish(canvas, image[..., c] * light, rng, 0.015) for c in range(3)]
    return np.stack(noisy, axis=-1) * edge[..., None]


def _paint(
    image: NDArray[np.float64], coverage: Plane, colour: NDArray[np.float64]
) -> NDArray[np.float64]:
    return image + coverage[..., None] * (colour - image)


MODALITY = Modality(
    findings=tuple(_RATIOS),
    confounders={
        "field": ("wide", "narrow"),
        "focus": ("sharp", "soft"),
        "illumination": ("even", "uneven"),
        "camera": tuple(_TINTS),
    },
    draw=draw,
)
