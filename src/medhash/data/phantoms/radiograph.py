"""Frontal chest radiograph: opacities of COVID-19, other lung disease and viral pneumonia.

The scene is built as the attenuation that a ray meets (0 air, about 1 mediastinum) and then
exposed, so that penetration decides whether the spine shows through the heart, as in ACH Fig. 1b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane, blend, branches
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish

# Attenuation shown black and white, and the film's gamma, for each penetration.
_EXPOSURES = {"low": (0.02, 0.82, 0.85), "normal": (0.06, 1.05, 1.0), "high": (0.10, 1.30, 1.1)}


@dataclass(frozen=True)
class Chest:
    """Where the lungs and the heart are; ``lungs``: the patient's right (picture's left), left."""

    x: float
    y: float
    width: float
    lungs: tuple[Ellipse, Ellipse]
    heart: Ellipse
    tilt: float


Opacity = Callable[[Canvas, Chest, Plane, np.random.Generator], tuple[Plane, Plane]]
"""Draws a finding into the lungs (canvas, chest, both lungs' coverage, the image's random numbers):
coverage in [0, 1], and what it adds to the attenuation."""


class Film(NamedTuple):
    """A drawn film.

    Attributes:
        image: float64 (S, S).
        lesions: float64 (S, S) each, coverage of each finding.
        chest: where the organs are.
        lungs: float64 (S, S) each, coverage of the patient's right lung and of the left one.
    """

    image: Plane
    lesions: tuple[Plane, ...]
    chest: Chest
    lungs: tuple[Plane, Plane]


def draw(request: Request) -> Drawing:
    """Draw one film; see :class:`~medhash.data.phantoms.modality.Request`."""
    drawn = film(request, _FINDINGS[request.finding])
    return Drawing(drawn.image, drawn.lesions[0])


def film(request: Request, *findings: Opacity) -> Film:
    """A chest with findings that add up, exposed and marked as the confounders say."""
    canvas, rng = request.canvas, request.rng
    chest = _geometry(request)
    each = _lungs(canvas, chest)
    lungs = np.maximum(*each)
    attenuation = _soft_tissue(canvas, chest, lungs, request)
    attenuation = attenuation + _vessels(canvas, chest, rng) * lungs
    painted = [paint(canvas, chest, lungs, rng) for paint in findings]
    opacity = sum((added for _, added in painted), canvas.zeros())
    # Lung behind an opacity is denser, but never denser than soft tissue.
    attenuation = attenuation + opacity * np.clip((0.95 - attenuation) / 0.75, 0.0, 1.0)
    attenuation = attenuation + _bones(canvas, chest, request.patient)
    image = _display(request, attenuation, rng)
    lesions = tuple(coverage for coverage, _ in painted)
    return Film(_artifacts(request, chest, image, rng), lesions, chest, each)


def _geometry(request: Request) -> Chest:
    patient, rng = request.patient, request.rng
    portable = request.confounders["view"] == "ap"
    x, y = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
    tilt = rng.uniform(-0.04, 0.04)
    width = patient.uniform(0.92, 1.08)
    # A bedside film is taken lying down: shorter lungs, a wider heart.
    height = patient.uniform(0.66, 0.74) * (0.84 if portable else 1.0)
    heart_size = patient.uniform(0.90, 1.10) * (1.22 if portable else 1.0)
    right = Ellipse(x - 0.40 * width, y - 0.05, 0.33 * width, height, 0.10 + tilt, 2.4)
    left = Ellipse(x + 0.41 * width, y - 0.04, 0.31 * width, height, -0.10 + tilt, 2.4)
    heart = Ellipse(x + 0.13, y + 0.27, 0.27 * heart_size, 0.23 * heart_size, 0.55 + tilt)
    return Chest(x, y, width, (right, left), heart, tilt)


def _lungs(canvas: Canvas, chest: Chest) -> tuple[Plane, Plane]:
    """Lung fields: two ellipses cut off by the domes of the diaphragm."""
    right, left = (canvas.ellipse(shape, softness=0.03) for shape in chest.lungs)
    bottom = chest.lungs[0].y + chest.lungs[0].ry
    for shape, lift in ((chest.lungs[0], 0.06), (chest.lungs[1], 0.01)):
        dome = Ellipse(shape.x, bottom + 0.30 - lift, shape.rx * 1.35, 0.50)
        right, left = (lung * (1.0 - canvas.ellipse(dome, 0.03)) for lung in (right, left))
    return right, left


def _soft_tissue(canvas: Canvas, chest: Chest, lungs: Plane, request: Request) -> Plane:
    broad = request.confounders["habitus"] == "broad"
    x, y = chest.x, chest.y
    torso = Ellipse(x, y + 0.45, (1.16 if broad else 1.03) * chest.width, 1.25, chest.tilt, 3.2)
    neck = canvas.box(x - 0.24, -1.0, x + 0.24, y - 0.6)
    body = np.maximum(canvas.ellipse(torso, 0.08), canvas.blur(neck, 0.03))
    attenuation = body * (0.72 + 0.02 * canvas.texture(request.patient, 8))
    attenuation = blend(attenuation, lungs, 0.30 if broad else 0.22)
    middle = Ellipse(x, y - 0.05, 0.15, 0.85, chest.tilt, 3.0)
    for shape, value in ((middle, 0.88), (chest.heart, 0.90)):
        attenuation = blend(attenuation, canvas.ellipse(shape, 0.05) * body, value)
    knob = Ellipse(x + 0.13, y - 0.26, 0.10, 0.11)
    attenuation = blend(attenuation, canvas.ellipse(knob, 0.04), 0.86)
    trachea = canvas.line([(x, -1.0), (x + 0.01, y - 0.32)], 0.09, softness=0.04)
    attenuation = attenuation - 0.16 * trachea
    if broad:
        for shape in chest.lungs:
            breast = Ellipse(shape.x * 1.1, y + 0.30, 0.36, 0.30)
            attenuation = attenuation + 0.12 * canvas.ellipse(breast, 0.14) * body
    bubble = Ellipse(chest.lungs[1].x + 0.02, y + 0.74, 0.10, 0.05)
    return attenuation - 0.16 * canvas.ellipse(bubble, 0.08)


def _vessels(canvas: Canvas, chest: Chest, rng: np.random.Generator) -> Plane:
    """Hilar shadows and the vessels that fan out of them."""
    hila, tree = [], []
    for side in (-1, 1):
        root = (chest.x + side * 0.15, chest.y - 0.02)
        hila.append(canvas.ellipse(Ellipse(root[0] + side * 0.04, root[1], 0.09, 0.15), 0.10))
        for direction in (-1.0, -0.2, 0.5, 1.1):
            heading = direction + rng.uniform(-0.2, 0.2)
            angle = heading if side > 0 else np.pi - heading
            tree += branches(rng, root, angle, 0.24, 2)
    vessels = canvas.lines(((points, 0.022 * width) for points, width in tree), 0.03)
    coverage = np.maximum(vessels, 1.4 * np.maximum(*hila))
    return 0.10 * coverage


def _bones(canvas: Canvas, chest: Chest, patient: np.random.Generator) -> Plane:
    """Ribs, clavicles, shoulder blades' edges and the spine."""
    coverage, cage = canvas.zeros(), []
    slope = patient.uniform(0.16, 0.26)
    for side in (-1, 1):
        for rib in range(8):
            coverage = np.maximum(coverage, _rib(canvas, chest, side, -0.76 + 0.145 * rib, slope))
        lung = chest.lungs[(side + 1) // 2]
        cage.append(lung._replace(rx=lung.rx * 1.25, ry=lung.ry * 1.08))
    coverage = coverage * np.maximum(*(canvas.ellipse(half, 0.06) for half in cage))
    for side in (-1, 1):
        start, end = (
            (chest.x + side * 0.09, chest.y - 0.66),
            (chest.x + side * 0.95, chest.y - 0.84),
        )
        bend = (chest.x + side * 0.40, chest.y - 0.70)
        clavicle = canvas.line([start, bend, end], 0.065, softness=0.02)
        coverage = np.maximum(coverage, 1.3 * clavicle)
    vertebrae = 0.8 + 0.3 * np.sin((canvas.y - chest.y) * 42.0)
    column = canvas.line([(chest.x, -1.0), (chest.x, 1.0)], 0.17, softness=0.03)
    return 0.10 * coverage + 0.15 * column * np.clip(vertebrae, 0.0, 1.0)


def _rib(canvas: Canvas, chest: Chest, side: int, top: float, slope: float) -> Plane:
    """A posterior arc with bright edges and, fainter, the anterior arc that meets it."""
    reach = 0.70 * chest.width * np.sqrt(max(1.0 - ((top - 0.1) / 1.15) ** 2, 0.1))
    across = np.linspace(0.10, 1.0, 7)
    outer = [
        (chest.x + side * reach * u, chest.y + top + slope * (1.9 * u * u - 0.4 * u))
        for u in across
    ]
    inner = [
        (chest.x + side * reach * u, chest.y + top + slope * (1.5 + 1.6 * (1 - u)))
        for u in across[3:]
    ]
    band, core = canvas.line(outer, 0.055, 0.02), canvas.line(outer, 0.020, 0.02)
    return np.maximum(band - 0.45 * core, 0.5 * canvas.line(inner, 0.05, 0.02))


def patches(canvas: Canvas, spots: Sequence[Ellipse], rng: np.random.Generator) -> Plane:
    """Fluffy coverage of several ellipses."""
    coverage = canvas.zeros()
    wobble = 0.28 * canvas.texture(rng, 12)
    for spot in spots:
        coverage = np.maximum(coverage, canvas.ellipse(spot, 0.16, wobble))
    return coverage


def _covid(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Patchy opacities at the periphery of both lungs, lower zones first."""
    spots = []
    for focus in range(rng.integers(4, 8)):
        lung = chest.lungs[focus % 2]
        side = -1 if focus % 2 == 0 else 1
        around = rng.uniform(-0.35, 0.85)
        x = lung.x + side * np.cos(around) * lung.rx * rng.uniform(0.55, 0.85)
        y = lung.y + np.sin(around) * lung.ry * rng.uniform(0.5, 0.8)
        spots.append(Ellipse(x, y, rng.uniform(0.11, 0.17), rng.uniform(0.13, 0.22)))
    coverage = patches(canvas, spots, rng) * lungs
    grain = 1.0 + 0.25 * canvas.texture(rng, 18)
    return coverage, coverage * grain * rng.uniform(0.32, 0.50)


def _focal(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """One consolidation in one lung, with air bronchograms left out."""
    lung = chest.lungs[rng.integers(0, 2)]
    x = lung.x + lung.rx * rng.uniform(-0.25, 0.25)
    y = lung.y + lung.ry * rng.uniform(-0.55, 0.45)
    spot = Ellipse(x, y, rng.uniform(0.20, 0.28), rng.uniform(0.20, 0.30), rng.uniform(-0.5, 0.5))
    coverage = patches(canvas, [spot], rng) * lungs
    return coverage, coverage * rng.uniform(0.42, 0.60)


def _perihilar(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Diffuse streaky opacities around both hila, the periphery spared."""
    spots = [
        Ellipse(chest.x + side * 0.24, chest.y + rng.uniform(-0.05, 0.12), 0.22, 0.40)
        for side in (-1, 1)
    ]
    coverage = patches(canvas, spots, rng) * lungs
    streaks = np.abs(canvas.texture(rng, 22)) * 0.8 + 0.35
    return coverage, coverage * streaks * rng.uniform(0.32, 0.50)


def _clear(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    return canvas.zeros(), canvas.zeros()


def _display(request: Request, attenuation: Plane, rng: np.random.Generator) -> Plane:
    canvas = request.canvas
    low, high, gamma = _EXPOSURES[request.confounders["penetration"]]
    low, high = low + rng.uniform(-0.03, 0.03), high + rng.uniform(-0.05, 0.05)
    attenuation = canvas.blur(attenuation, 0.008)
    image = np.clip((attenuation - low) / (high - low), 0.0, 1.0) ** gamma
    if request.confounders["processing"] == "enhanced":
        # Local contrast enhancement, as some detectors' software applies it.
        image = 0.5 + 0.75 * (image - 0.5) + 0.9 * (image - canvas.blur(image, 0.12))
    return np.clip(finish(canvas, image, rng, 0.022), 0.0, 1.0)


def _artifacts(request: Request, chest: Chest, image: Plane, rng: np.random.Generator) -> Plane:
    """Tubes and electrodes on the patient, letters on the film."""
    canvas, kind = request.canvas, request.confounders["artifact"]
    if kind == "tube":
        end = (chest.x + rng.uniform(-0.06, 0.06), chest.y + 0.15)
        tube = [(chest.x + 0.10, -1.0), (chest.x + 0.02, chest.y - 0.5), end]
        wire = [(0.95, rng.uniform(-0.9, -0.4)), (0.3, -0.15), (-0.2, rng.uniform(0.2, 0.6))]
        lines = np.maximum(canvas.line(tube, 0.04), canvas.line(wire, 0.022))
        image = blend(image, lines, 0.95)
        for x, y in ((-0.55, -0.35), wire[2]):
            image = blend(image, canvas.ellipse(Ellipse(x, y, 0.055, 0.055)), 1.0)
    elif kind == "marker":
        image = blend(image, canvas.text("L", 0.78, -0.86, 0.26), 1.0)
    elif kind == "text":
        image = blend(image, canvas.text("AP", -0.95, -0.95, 0.14), 1.0)
        image = blend(image, canvas.text("12.4.21", -0.95, 0.84, 0.12), 1.0)
    return image


_FINDINGS = {
    "COVID": _covid,
    "Lung_Opacity": _focal,
    "Normal": _clear,
    "Viral Pneumonia": _perihilar,
    # As Curated X-ray calls them.
    "COVID-19": _covid,
    "Pneumonia-Bacterial": _focal,
    "Pneumonia-Viral": _perihilar,
}

MODALITY = Modality(
    findings=("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"),
    confounders={
        "view": ("pa", "ap"),
        "habitus": ("slim", "broad"),
        "penetration": ("low", "normal", "high"),
        "processing": ("standard", "enhanced"),
        "artifact": ("none", "tube", "marker", "text"),
    },
    draw=draw,
)

CURATED = replace(
    MODALITY, findings=("COVID-19", "Normal", "Pneumonia-Bacterial", "Pneumonia-Viral")
)
