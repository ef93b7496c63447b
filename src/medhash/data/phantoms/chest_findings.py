"""Frontal chest radiograph with several findings at once: those of NIH ChestX-ray14.

Every finding has its own place, shape and texture, and what they add to the attenuation is summed.
How many an image has, which go together and how often follow the 13,000 images that OSDH's
selection takes from the public label lists (docs/fidelity.md).
"""

from __future__ import annotations

import numpy as np

from medhash.data.phantoms import radiograph
from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane
from medhash.data.phantoms.modality import Drawing, Modality, Request
from medhash.data.phantoms.radiograph import Chest, Opacity, patches

_Painted = tuple[Plane, Plane]

# Labels of the 13,000 images, in hundreds; share of the images with 1, 2, … labels.
_HUNDREDS = {
    **{"Atelectasis": 24, "Cardiomegaly": 12, "Consolidation": 13, "Edema": 12, "Effusion": 29},
    **{"Emphysema": 10, "Fibrosis": 10, "Infiltration": 38, "Mass": 15, "Nodule": 16},
    **{"Pleural_Thickening": 12, "Pneumonia": 10, "Pneumothorax": 15},
}
_SHARES = (0.54, 0.31, 0.11, 0.03, 0.01)
# How much more, or less, often than by chance two go together, where that is 1.6 or 0.5 times.
_TOGETHER = {
    frozenset(("Emphysema", "Pneumothorax")): 4.8,
    frozenset(("Edema", "Pneumonia")): 2.8,
    frozenset(("Mass", "Nodule")): 2.2,
    frozenset(("Fibrosis", "Pleural_Thickening")): 2.1,
    frozenset(("Cardiomegaly", "Effusion")): 2.0,
    frozenset(("Edema", "Infiltration")): 1.8,
    frozenset(("Nodule", "Pleural_Thickening")): 1.7,
    frozenset(("Fibrosis", "Nodule")): 1.7,
    frozenset(("Infiltration", "Pneumonia")): 1.7,
    frozenset(("Atelectasis", "Consolidation")): 1.6,
    frozenset(("Edema", "Fibrosis")): 0.1,
    frozenset(("Edema", "Pneumothorax")): 0.2,
    frozenset(("Fibrosis", "Pneumonia")): 0.3,
    frozenset(("Emphysema", "Pneumonia")): 0.3,
    frozenset(("Cardiomegaly", "Pneumothorax")): 0.3,
    frozenset(("Pneumonia", "Pneumothorax")): 0.3,
    frozenset(("Edema", "Emphysema")): 0.3,
    frozenset(("Cardiomegaly", "Mass")): 0.4,
    frozenset(("Edema", "Pleural_Thickening")): 0.4,
    frozenset(("Cardiomegaly", "Nodule")): 0.5,
    frozenset(("Emphysema", "Fibrosis")): 0.5,
}


def draw(request: Request) -> Drawing:
    """Draw one film; see :class:`~medhash.data.phantoms.modality.Request`."""
    names = [name for name in _FINDINGS if name in (request.finding, *request.further)]
    film = radiograph.film(request, *(_FINDINGS[name] for name in names))
    findings = dict(zip(names, film.lesions, strict=True))
    return Drawing(film.image, np.maximum.reduce(film.lesions), findings=findings)


def further(finding: str, rng: np.random.Generator) -> set[str]:
    """What an image of a finding has besides: none to four, those that go with it more often."""
    others = [name for name in _FINDINGS if name != finding]
    weights = [_HUNDREDS[name] * _TOGETHER.get(frozenset((finding, name)), 1.0) for name in others]
    count = int(np.searchsorted(np.cumsum(_SHARES), rng.random(), side="right"))
    # Of exponential times with these rates the earliest: drawn one by one, without repetition.
    times = -np.log1p(-rng.random(len(others))) / weights
    return {others[place] for place in np.argsort(times)[:count]}


def _atelectasis(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Collapsed plates: straight, slanting bands in the lower half of one lung."""
    lung, coverage = chest.lungs[rng.integers(0, 2)], canvas.zeros()
    slope = rng.uniform(-0.12, 0.12)
    for height in (rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.5)):
        y = lung.y + lung.ry * height
        ends = [(lung.x - 0.8 * lung.rx, y - slope), (lung.x + 0.8 * lung.rx, y + slope)]
        coverage = np.maximum(coverage, canvas.line(ends, rng.uniform(0.07, 0.10), 0.02))
    coverage = coverage * lungs
    return coverage, 0.55 * coverage


def _cardiomegaly(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """The heart's width: what an enlarged heart covers of the lungs."""
    size = rng.uniform(1.45, 1.7)
    heart = chest.heart._replace(rx=chest.heart.rx * size, ry=chest.heart.ry * size)
    coverage = canvas.ellipse(heart, 0.04) * (1.0 - canvas.ellipse(chest.heart, 0.05)) * lungs
    return coverage, 0.65 * coverage


def _consolidation(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> _Painted:
    """A dense block that ends in a straight fissure."""
    lung, upper = chest.lungs[rng.integers(0, 2)], rng.random() < 0.5
    fissure = lung.y + lung.ry * rng.uniform(-0.15, 0.05)
    block = lung._replace(power=4.0, y=fissure + (-1 if upper else 1) * 0.28 * lung.ry)
    block = block._replace(rx=lung.rx * 0.75, ry=lung.ry * 0.26, angle=0.0)
    coverage = canvas.ellipse(block, 0.02) * lungs
    bronchi = np.clip(1.2 - 3.0 * np.abs(canvas.texture(rng, 8)), 0.0, 1.0)
    return coverage, coverage * (0.62 - 0.25 * bronchi)


def _edema(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Bat's wings: both hila hazy, with horizontal lines towards the edge."""
    wings = [
        Ellipse(chest.x + side * 0.34, chest.y + rng.uniform(-0.05, 0.05), 0.2, 0.36)
        for side in (-1, 1)
    ]
    coverage = patches(canvas, wings, rng) * lungs
    lines = 0.5 + 0.5 * np.sin(canvas.y * 55.0 + rng.uniform(0.0, 6.0))
    return coverage, coverage * (0.25 + 0.3 * lines)


def _effusion(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Fluid at the base of one lung or both, its upper edge a meniscus."""
    coverage = canvas.zeros()
    sides = [0, 1] if rng.random() < 0.3 else [int(rng.integers(0, 2))]
    for side in sides:
        lung = chest.lungs[side]
        outwards = (canvas.x - lung.x) / lung.rx * (1 if side else -1)
        level = lung.y + lung.ry * rng.uniform(0.15, 0.4)
        edge = level - 0.22 * lung.ry * np.clip(outwards, 0.0, 1.2) ** 2
        near = np.abs(canvas.x - lung.x) < 1.3 * lung.rx
        coverage = np.maximum(coverage, np.clip((canvas.y - edge) / 0.05 + 0.5, 0.0, 1.0) * near)
    coverage = coverage * lungs
    return coverage, 0.66 * coverage


def _emphysema(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Thin-walled, empty bullae in the upper zones."""
    coverage, walls = canvas.zeros(), canvas.zeros()
    for number in range(6):
        lung = chest.lungs[number % 2]
        x = lung.x + lung.rx * rng.uniform(-0.45, 0.45)
        y = lung.y + lung.ry * rng.uniform(-0.7, 0.0)
        bulla = Ellipse(x, y, rng.uniform(0.1, 0.15), rng.uniform(0.1, 0.15))
        coverage = np.maximum(coverage, canvas.ellipse(bulla, 0.02))
        walls = np.maximum(walls, canvas.ring(bulla, 0.03, 0.02))
    coverage, walls = coverage * lungs, walls * lungs
    return np.maximum(coverage, walls), 0.3 * walls - 0.22 * coverage * (1.0 - walls)


def _fibrosis(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """A coarse net in the lower zones of both lungs."""
    zones = [
        lung._replace(y=lung.y + 0.3 * lung.ry, rx=0.85 * lung.rx, ry=0.5 * lung.ry)
        for lung in chest.lungs
    ]
    coverage = np.maximum(*(canvas.ellipse(zone, 0.06) for zone in zones)) * lungs
    net = np.clip(1.3 - 2.2 * np.abs(canvas.texture(rng, 20)), 0.0, 1.0)
    return coverage, coverage * (0.5 * net - 0.03)


def _infiltration(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Faint, fluffy foci, anywhere in both lungs."""
    spots = []
    for focus in range(int(rng.integers(4, 7))):
        lung = chest.lungs[focus % 2]
        x = lung.x + lung.rx * rng.uniform(-0.6, 0.6)
        y = lung.y + lung.ry * rng.uniform(-0.6, 0.6)
        spots.append(Ellipse(x, y, rng.uniform(0.11, 0.16), rng.uniform(0.11, 0.18)))
    coverage = patches(canvas, spots, rng) * lungs
    return coverage, coverage * rng.uniform(0.26, 0.36)


def _disks(
    canvas: Canvas, chest: Chest, rng: np.random.Generator, count: int, sizes: tuple[float, float]
) -> Plane:
    """Round, sharp opacities."""
    coverage = canvas.zeros()
    for _ in range(count):
        lung, radius = chest.lungs[rng.integers(0, 2)], rng.uniform(*sizes)
        x = lung.x + lung.rx * rng.uniform(-0.45, 0.45)
        y = lung.y + lung.ry * rng.uniform(-0.5, 0.4)
        coverage = np.maximum(coverage, canvas.ellipse(Ellipse(x, y, radius, radius), 0.02))
    return coverage


def _mass(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """One large disk."""
    coverage = _disks(canvas, chest, rng, 1, (0.17, 0.24)) * lungs
    return coverage, 0.62 * coverage


def _nodule(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """Two or three small disks."""
    coverage = _disks(canvas, chest, rng, int(rng.integers(2, 4)), (0.06, 0.09)) * lungs
    return coverage, 0.62 * coverage


def _pleural_thickening(
    canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator
) -> _Painted:
    """A band along the chest wall of one lung."""
    side = int(rng.integers(0, 2))
    lung = chest.lungs[side]
    band = canvas.ring(lung._replace(rx=lung.rx * 0.86, ry=lung.ry * 0.9), 0.13, 0.03)
    outside = np.clip((canvas.x - lung.x) * (1 if side else -1) / 0.1, 0.0, 1.0)
    coverage = band * outside * lungs
    return coverage, 0.55 * coverage


def _pneumonia(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """One grainy cloud in one lung."""
    lung = chest.lungs[rng.integers(0, 2)]
    x = lung.x + lung.rx * rng.uniform(-0.2, 0.2)
    y = lung.y + lung.ry * rng.uniform(-0.4, 0.4)
    spot = Ellipse(x, y, rng.uniform(0.22, 0.28), rng.uniform(0.24, 0.32), rng.uniform(-0.5, 0.5))
    coverage = patches(canvas, [spot], rng) * lungs
    return coverage, coverage * (0.42 + 0.12 * canvas.texture(rng, 24))


def _pneumothorax(canvas: Canvas, chest: Chest, lungs: Plane, rng: np.random.Generator) -> _Painted:
    """A dark, empty rim around the upper part of one lung, which ends in a thin line."""
    side = int(rng.integers(0, 2))
    lung, shrink = chest.lungs[side], rng.uniform(0.62, 0.72)
    left = lung._replace(x=lung.x + (0.12 if side == 0 else -0.12), y=lung.y + 0.14)
    left = left._replace(rx=lung.rx * shrink, ry=lung.ry * shrink)
    own = canvas.ellipse(lung, 0.03) * lungs * np.clip((lung.y + 0.3 - canvas.y) / 0.1, 0.0, 1.0)
    coverage = own * (1.0 - canvas.ellipse(left, 0.02))
    return coverage, 0.35 * canvas.ring(left, 0.03, 0.02) * own - 0.24 * coverage


_FINDINGS: dict[str, Opacity] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _cardiomegaly,
    "Consolidation": _consolidation,
    "Edema": _edema,
    "Effusion": _effusion,
    "Emphysema": _emphysema,
    "Fibrosis": _fibrosis,
    "Infiltration": _infiltration,
    "Mass": _mass,
    "Nodule": _nodule,
    "Pleural_Thickening": _pleural_thickening,
    "Pneumonia": _pneumonia,
    "Pneumothorax": _pneumothorax,
}

MODALITY = Modality(
    findings=tuple(_FINDINGS),
    confounders=radiograph.MODALITY.confounders,
    draw=draw,
    further=further,
    films=6,
)
