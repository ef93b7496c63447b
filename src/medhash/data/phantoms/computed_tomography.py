"""Axial chest CT: ground-glass lesions of COVID-19 among lungs, heart, spine and vessels.

The scene is built in Hounsfield units and then windowed, as a scanner's console does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane, blend, branches
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish

_AIR, _LUNG, _FAT, _TISSUE, _BONE = -1000.0, -840.0, -95.0, 45.0, 420.0
# Window (lowest, highest) in Hounsfield units. The mediastinal one is wider than in the clinic
# (-160 to 240), so that ground glass stays visible in it, if faintly.
_WINDOWS = {"lung": (-1150.0, 150.0), "mediastinal": (-700.0, 330.0)}


@dataclass(frozen=True)
class _Chest:
    """One slice's geometry: the body, the lungs' outer border and where the organs sit."""

    centre: tuple[float, float]
    body: Ellipse
    lungs: Ellipse
    scale: float
    level: str


def draw(request: Request) -> Drawing:
    """Draw one slice; see :class:`~medhash.data.phantoms.modality.Request`."""
    canvas, rng = request.canvas, request.rng
    chest = _geometry(request)
    lungs = _lungs(canvas, chest, rng)
    density = _body(canvas, chest, request.patient)
    density = blend(density, lungs, _LUNG + 25.0 * canvas.texture(rng, 24))
    lesion, lesion_density = _FINDINGS[request.finding](canvas, chest, lungs, rng)
    density = np.maximum(density, blend(density, lesion, lesion_density))
    density = np.maximum(density, _vessels(canvas, chest, lungs, rng))
    density = _organs(canvas, chest, density, request.patient, rng)
    image = _display(request, density, rng)
    return Drawing(_artifacts(request, chest, image, rng), lesion)


def _geometry(request: Request) -> _Chest:
    patient, rng = request.patient, request.rng
    scale = {"full": 1.0, "tight": 1.24}[request.confounders["field_of_view"]]
    centre = (rng.uniform(-0.04, 0.04), rng.uniform(-0.05, 0.03))
    rx, ry = patient.uniform(0.80, 0.92) * scale, patient.uniform(0.70, 0.80) * scale
    tilt = patient.uniform(-0.05, 0.05)
    shrink = {"upper": 0.88, "middle": 1.0, "lower": 0.97}[request.confounders["level"]]
    body = Ellipse(*centre, rx, ry, tilt, 2.35)
    lungs = Ellipse(*centre, rx * 0.80 * shrink, ry * 0.79 * shrink, tilt, 2.25)
    return _Chest(centre, body, lungs, scale, request.confounders["level"])


def _at(chest: _Chest, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Ellipse:
    """An ellipse given relative to the body: 1 is the body's own radius."""
    body = chest.body
    return Ellipse(
        body.x + x * body.rx, body.y + y * body.ry, rx * body.rx, ry * body.ry, angle + body.angle
    )


def _lungs(canvas: Canvas, chest: _Chest, rng: np.random.Generator) -> Plane:
    """Two lungs: the chest's inside without the mediastinum and what bulges into it."""
    shift = rng.uniform(-0.02, 0.02)
    width = {"upper": 0.25, "middle": 0.20, "lower": 0.19}[chest.level]
    solid = [_at(chest, shift, -0.05, width, 0.85), _at(chest, 0.0, 0.55, 0.22, 0.34)]
    if chest.level == "middle":
        solid.append(_at(chest, 0.13, -0.28, 0.27, 0.34, 0.4))
    if chest.level == "lower":
        solid.append(_at(chest, 0.18, -0.26, 0.34, 0.38, 0.5))
        solid.append(_at(chest, -0.40, -0.24, 0.26, 0.28, -0.3))
    lungs = canvas.ellipse(chest.lungs)
    wobble = 0.03 * canvas.texture(rng, 8)
    for shape in solid:
        lungs = lungs * (1.0 - canvas.ellipse(shape, wobble=wobble))
    return lungs


def _body(canvas: Canvas, chest: _Chest, patient: np.random.Generator) -> Plane:
    """Couch, skin, fat, muscle, ribs and scapulae."""
    body = chest.body
    density = np.full((canvas.size, canvas.size), _AIR)
    couch = Ellipse(body.x, body.y - 1.6, 1.9, 1.6 + body.ry + 0.09)
    density = blend(density, canvas.ring(couch, 0.035) * (canvas.y > body.y), -350.0)
    density = blend(density, canvas.ellipse(body), _TISSUE)
    thickness = patient.uniform(0.03, 0.08)
    fat = Ellipse(body.x, body.y, body.rx - 0.015, body.ry - 0.015, body.angle, body.power)
    muscle = fat._replace(rx=body.rx - thickness, ry=body.ry - thickness * 0.8)
    density = blend(density, canvas.ellipse(fat), _FAT)
    density = blend(density, canvas.ellipse(muscle), _TISSUE)
    around = np.arctan2(canvas.y - body.y, canvas.x - body.x)
    count, phase = patient.integers(7, 10), patient.uniform(0.0, 6.0)
    pieces = np.clip((np.cos(2 * count * around + phase) - 0.1) * 4.0, 0.0, 1.0)
    ribs = canvas.ring(chest.lungs._replace(rx=body.rx * 0.845, ry=body.ry * 0.845), 0.045)
    return blend(density, ribs * pieces, _BONE)


def _vessels(canvas: Canvas, chest: _Chest, lungs: Plane, rng: np.random.Generator) -> Plane:
    """Vessel trees that grow from both hila; −1000 where there is none."""
    width = 0.021 * chest.scale / 2.2
    tree = []
    for side in (-1, 1):
        for direction in (-0.9, -0.1, 0.7):
            root = _at(chest, side * 0.2, 0.0, 0.1, 0.1)
            heading = direction + rng.uniform(-0.3, 0.3)
            angle = heading if side > 0 else np.pi - heading
            tree += branches(rng, (root.x, root.y), angle, 0.25, 3)
    coverage = canvas.lines((points, width * thickness) for points, thickness in tree)
    return blend(np.full_like(coverage, _AIR), coverage * lungs, -60.0)


def _organs(
    canvas: Canvas,
    chest: _Chest,
    density: Plane,
    patient: np.random.Generator,
    rng: np.random.Generator,
) -> Plane:
    """Airways, great vessels, heart chambers, liver, spine and sternum."""
    enhanced = _TISSUE + patient.choice([5.0, 90.0, 180.0])
    fatty = np.clip(canvas.texture(rng, 12) - 0.4, 0.0, 1.0)
    inner = canvas.ellipse(_at(chest, 0.0, -0.1, 0.15, 0.55), softness=0.1)
    density = blend(density, inner * fatty, _FAT)
    parts: list[tuple[Ellipse, float]] = [(_at(chest, 0.1, 0.33, 0.07, 0.09), enhanced)]
    if chest.level == "upper":
        parts += [(_at(chest, 0.06, -0.22, 0.15, 0.11, 0.7), enhanced)]
        parts += [(_at(chest, 0.0, 0.07, 0.065, 0.10), _AIR)]
    elif chest.level == "middle":
        parts += [(_at(chest, -0.04, -0.36, 0.09, 0.12), enhanced)]
        parts += [(_at(chest, 0.09, -0.22, 0.15, 0.09, -0.5), enhanced)]
        parts += [(_at(chest, side * 0.10, 0.08, 0.05, 0.06), _AIR) for side in (-1, 1)]
    else:
        parts += [(_at(chest, 0.18, -0.26, 0.26, 0.30, 0.5), enhanced - 20.0)]
        parts += [(_at(chest, -0.40, -0.24, 0.24, 0.26, -0.3), 65.0)]
    parts += [(_at(chest, 0.0, -0.76, 0.10, 0.05), _BONE * 0.7)]
    for shape, value in parts:
        density = blend(density, canvas.ellipse(shape, softness=0.02), value)
    return _spine(canvas, chest, density)


def _spine(canvas: Canvas, chest: _Chest, density: Plane) -> Plane:
    vertebra = _at(chest, 0.0, 0.50, 0.14, 0.15)
    density = blend(density, canvas.ellipse(vertebra), 210.0)
    density = blend(density, canvas.ring(vertebra, 0.025), _BONE + 150.0)
    for side in (-1, 1):
        start = (vertebra.x, vertebra.y + vertebra.ry * 1.2)
        end = (vertebra.x + side * 0.20 * chest.scale, vertebra.y + vertebra.ry * 1.7)
        density = blend(density, canvas.line([start, end], 0.05), _BONE)
    tip = [(vertebra.x, vertebra.y + vertebra.ry), (vertebra.x, vertebra.y + vertebra.ry * 2.4)]
    density = blend(density, canvas.line(tip, 0.05), _BONE)
    return blend(density, canvas.ellipse(_at(chest, 0.0, 0.70, 0.055, 0.055)), 30.0)


def _ground_glass(
    canvas: Canvas, chest: _Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """COVID-19: several hazy patches near the pleura, mostly posterior, on both sides."""
    coverage = canvas.zeros()
    wobble = 0.30 * canvas.texture(rng, 14)
    for focus in range(rng.integers(4, 8)):
        side = 1 if focus % 2 else -1
        around = rng.uniform(-0.5, 1.15)
        reach = rng.uniform(0.72, 0.92)
        x = chest.lungs.x + side * np.cos(around) * chest.lungs.rx * reach
        y = chest.lungs.y + np.sin(around) * chest.lungs.ry * reach
        long, short = rng.uniform(0.14, 0.26) * chest.scale, rng.uniform(0.09, 0.15) * chest.scale
        # Patches lie along the pleura: their long axis is the border's tangent.
        shape = Ellipse(x, y, long, short, side * (around + np.pi / 2))
        coverage = np.maximum(coverage, canvas.ellipse(shape, 0.05 * chest.scale, wobble))
    solid = np.clip(canvas.texture(rng, 10) - rng.uniform(0.2, 1.2), 0.0, 1.0)
    density = -470.0 + 60.0 * canvas.texture(rng, 20) + 430.0 * solid
    return coverage * lungs, density


def _nodule_or_nothing(
    canvas: Canvas, chest: _Chest, lungs: Plane, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Not COVID-19: in half of the slices one solid round nodule, otherwise clear lungs."""
    side, present = rng.choice([-1, 1]), rng.uniform() < 0.5
    x = chest.lungs.x + side * chest.lungs.rx * rng.uniform(0.45, 0.75)
    y = chest.lungs.y + chest.lungs.ry * rng.uniform(-0.35, 0.55)
    radius = rng.uniform(0.05, 0.10) * chest.scale
    wobble = 0.12 * canvas.texture(rng, 24)
    coverage = canvas.ellipse(Ellipse(x, y, radius, radius), 0.02, wobble) * lungs
    return coverage * float(present), np.full_like(coverage, _TISSUE)


def _display(request: Request, density: Plane, rng: np.random.Generator) -> Plane:
    canvas = request.canvas
    sharp = request.confounders["kernel"] == "sharp"
    low, high = _WINDOWS[request.confounders["window"]]
    # Scanners and exports differ a little beside the named window.
    low, high = low + rng.uniform(-60.0, 60.0), high + rng.uniform(-60.0, 60.0)
    density = canvas.blur(density, 0.006 if sharp else 0.014)
    return finish(canvas, (density - low) / (high - low), rng, 0.055 if sharp else 0.018)


def _artifacts(request: Request, chest: _Chest, image: Plane, rng: np.random.Generator) -> Plane:
    """What an author or a viewer drew on the picture."""
    canvas, image = request.canvas, np.clip(image, 0.0, 1.0)
    kind = request.confounders["artifact"]
    x, y = rng.uniform(-0.55, 0.45), rng.uniform(-0.3, 0.3)
    if kind == "arrow":
        shaft = [(x - 0.16, y + 0.16), (x, y)]
        head = [(x - 0.09, y + 0.01), (x, y), (x - 0.01, y + 0.09)]
        # Dark-rimmed, to be seen on lung and on bone.
        for width, shade in ((0.085, 0.0), (0.04, 1.0)):
            image = blend(image, canvas.lines([(shaft, width), (head, width)]), shade)
    elif kind == "text":
        image = blend(image, canvas.text("R", -0.95, chest.body.y - 0.05, 0.15), 1.0)
        image = blend(image, canvas.text("17.4", -0.95, 0.82, 0.12), 1.0)
        image = blend(image, canvas.text("A", 0.82, -0.95, 0.15), 1.0)
    return image


_FINDINGS = {"COVID": _ground_glass, "NonCOVID": _nodule_or_nothing}

MODALITY = Modality(
    findings=tuple(_FINDINGS),
    confounders={
        "level": ("upper", "middle", "lower"),
        "field_of_view": ("full", "tight"),
        "kernel": ("smooth", "sharp"),
        "window": ("lung", "mediastinal"),
        "artifact": ("none", "arrow", "text"),
    },
    draw=draw,
)
