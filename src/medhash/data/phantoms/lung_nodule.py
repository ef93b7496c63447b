"""Chest radiograph with one nodule: malignant or benign, of a diagnosis that the film may hide.

A metastasis and a hamartoma look alike, round and smooth: one manifestation, two diseases of
different classes. A primary cancer has spicules, a granuloma is small and dense.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from medhash.data.phantoms import radiograph
from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane
from medhash.data.phantoms.modality import Drawing, Modality, Request
from medhash.data.phantoms.radiograph import Chest

SIDES = ("right", "left")
"""Of the patient, in the order of :attr:`~medhash.data.phantoms.radiograph.Film.lungs`."""
# Half the picture in millimetres: a film of 2048 pixels of 0.175 mm.
_FILM = 2048
_HALF_MM = _FILM * 0.175 / 2


@dataclass(frozen=True)
class _Look:
    """Least and greatest diameter in mm, roughness of the border, spicules, density."""

    millimetres: tuple[float, float]
    roughness: float
    spicules: int
    density: float


_SMOOTH = _Look((22.0, 38.0), 0.05, 0, 1.0)
_LOOKS = {
    "malignant": {"lung cancer": _Look((24.0, 44.0), 0.22, 9, 0.9), "metastasis": _SMOOTH},
    "benign": {"hamartoma": _SMOOTH, "granuloma": _Look((16.0, 24.0), 0.10, 0, 1.5)},
}


@dataclass(frozen=True)
class _Nodule:
    """Where it lies, relative to its lung (−1 to 1), and how it looks; lengths of half a film."""

    diagnosis: str
    look: _Look
    side: int
    across: float
    down: float
    radius: float
    subtlety: int

    def outline(self, chest: Chest) -> Ellipse:
        """On the canvas."""
        lung = chest.lungs[self.side]
        x, y = lung.x + self.across * lung.rx, lung.y + self.down * lung.ry
        return Ellipse(x, y, self.radius, self.radius)


def draw(request: Request) -> Drawing:
    """Draw one film; see :class:`~medhash.data.phantoms.modality.Request`.

    The mask is the lung on the nodule's side, as the upstream's reader gives it; the attributes
    say where the nodule itself lies (x, y in pixels of the upstream's film) and how wide it is.
    """
    nodule = _nodule(request.finding, request.rng)
    film = radiograph.film(request, partial(_FINDINGS[request.finding], nodule))
    place = nodule.outline(film.chest)
    facts: dict[str, str | float] = {
        "diagnosis": nodule.diagnosis,
        "side": SIDES[nodule.side],
        "subtlety": nodule.subtlety,
        "size_mm": round(2 * nodule.radius * _HALF_MM, 1),
        "x": round((place.x + 1) / 2 * _FILM, 1),
        "y": round((place.y + 1) / 2 * _FILM, 1),
    }
    mask = (film.lungs[nodule.side] > 0.5).astype(np.uint8)
    return Drawing(film.image, film.lesions[0], mask, facts)


def _nodule(finding: str, rng: np.random.Generator) -> _Nodule:
    looks = _LOOKS[finding]
    diagnosis = str(rng.choice(list(looks)))
    look = looks[diagnosis]
    return _Nodule(
        diagnosis=diagnosis,
        look=look,
        side=int(rng.integers(0, 2)),
        across=float(rng.uniform(-0.45, 0.45)),
        down=float(rng.uniform(-0.60, 0.35)),
        radius=float(rng.uniform(*look.millimetres)) / 2 / _HALF_MM,
        subtlety=int(rng.integers(1, 6)),
    )


def _paint(
    nodule: _Nodule, canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Coverage and added attenuation; 1 extremely subtle, 5 obvious."""
    shape, look = nodule.outline(chest), nodule.look
    wobble = look.roughness * canvas.texture(rng, 16)
    coverage = canvas.ellipse(shape, 0.03, wobble)
    start = rng.uniform(0, 2 * math.pi)
    for number in range(look.spicules):
        angle = start + 2 * math.pi * number / look.spicules
        reach = shape.rx * rng.uniform(1.4, 1.9)
        end = (shape.x + reach * math.cos(angle), shape.y + reach * math.sin(angle))
        coverage = np.maximum(coverage, 0.8 * canvas.line([(shape.x, shape.y), end], 0.02, 0.02))
    coverage = coverage * lungs
    return coverage, coverage * look.density * (0.26 + 0.06 * nodule.subtlety)


_FINDINGS = {"malignant": _paint, "benign": _paint}

MODALITY = Modality(
    findings=tuple(_FINDINGS),
    confounders=radiograph.MODALITY.confounders,
    draw=draw,
)
