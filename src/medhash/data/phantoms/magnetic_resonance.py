"""Axial head MRI: glioma, meningioma, pituitary tumour or none, after contrast.

Tissue maps (scalp, skull, grey and white matter, fluid) get the sequence's brightness; a tumour's
enhancement is bright in either sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane, blend
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish


@dataclass(frozen=True)
class _Contrast:
    """Brightness of each tissue in one sequence."""

    scalp: float
    skull: float
    fluid: float
    grey: float
    white: float
    oedema: float
    enhancing: float


_SEQUENCES = {
    "t1": _Contrast(0.70, 0.07, 0.10, 0.34, 0.43, 0.25, 0.92),
    "t2": _Contrast(0.48, 0.05, 0.64, 0.40, 0.28, 0.56, 0.90),
}


@dataclass(frozen=True)
class _Head:
    """Outlines of the head and of the brain; the nose points up."""

    head: Ellipse
    brain: Ellipse
    ventricles: float


def draw(request: Request) -> Drawing:
    """Draw one slice; see :class:`~medhash.data.phantoms.modality.Request`."""
    canvas, rng = request.canvas, request.rng
    contrast = _SEQUENCES[request.confounders["sequence"]]
    head = _geometry(request)
    image = _head(canvas, head, contrast, request.patient)
    level = request.confounders["level"]
    image = _LEVELS[level](canvas, head, contrast, image, request.patient)
    lesion, layers = _FINDINGS[request.finding](canvas, head, contrast, rng)
    for coverage, value in layers:
        image = blend(image, coverage, value)
    return Drawing(_display(request, head, image, rng), lesion)


def _geometry(request: Request) -> _Head:
    patient, rng = request.patient, request.rng
    zoom = {"full": 0.90, "tight": 1.02}[request.confounders["field_of_view"]]
    x, y = rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)
    rx, ry = patient.uniform(0.68, 0.78) * zoom, patient.uniform(0.86, 0.94) * zoom
    head = Ellipse(x, y, rx, ry, rng.uniform(-0.10, 0.10), 2.15)
    brain = head._replace(rx=rx - 0.115 * zoom, ry=ry - 0.12 * zoom)
    return _Head(head, brain, patient.uniform(0.75, 1.3))


def _at(head: _Head, x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Ellipse:
    """An ellipse given relative to the brain, turned with the head."""
    brain = head.brain
    cosine, sine = float(np.cos(brain.angle)), float(np.sin(brain.angle))
    dx, dy = x * brain.rx, y * brain.ry
    centre = (brain.x + cosine * dx - sine * dy, brain.y + sine * dx + cosine * dy)
    return Ellipse(*centre, rx * brain.rx, ry * brain.rx, angle + brain.angle)


def _head(canvas: Canvas, head: _Head, contrast: _Contrast, patient: np.random.Generator) -> Plane:
    """Scalp, skull, fluid and the folded cortex around white matter."""
    zoom = head.head.ry / 0.9
    image = canvas.ellipse(head.head) * contrast.scalp
    skull = head.head._replace(rx=head.head.rx - 0.05 * zoom, ry=head.head.ry - 0.05 * zoom)
    image = blend(image, canvas.ellipse(skull), contrast.skull)
    image = blend(image, canvas.ellipse(head.brain), contrast.fluid * 0.8)
    folds = canvas.texture(patient, 22)
    surface = canvas.ellipse(head.brain._replace(rx=head.brain.rx * 0.97, ry=head.brain.ry * 0.97))
    depth = 1.0 - canvas.radius(head.brain)
    # Furrows are thin lines where the texture changes sign, only near the surface.
    furrows = np.clip(1.2 - np.abs(folds) * 2.2, 0.0, 1.0) * np.clip(1.2 - depth * 4.0, 0.0, 1.0)
    image = blend(image, surface * (1.0 - 0.9 * furrows), contrast.grey)
    core = np.clip((depth - 0.22 + 0.11 * np.abs(folds)) * 9.0, 0.0, 1.0)
    image = blend(image, core, contrast.white)
    top, bottom = _at(head, 0.0, -0.98, 0.1, 0.1), _at(head, 0.0, 0.98, 0.1, 0.1)
    falx = canvas.line([(top.x, top.y), (bottom.x, bottom.y)], 0.025)
    between = np.clip((0.42 - depth) * 8.0, 0.0, 1.0)
    return blend(image, falx * between, contrast.fluid * 0.7 + 0.1)


def _ventricle_level(
    canvas: Canvas, head: _Head, contrast: _Contrast, image: Plane, patient: np.random.Generator
) -> Plane:
    """Lateral ventricles as a butterfly, and the deep grey nuclei beside them."""
    size = head.ventricles
    for side in (-1, 1):
        nucleus = _at(head, side * 0.30, 0.02, 0.14, 0.22, side * 0.25)
        image = blend(image, canvas.ellipse(nucleus, 0.05), contrast.grey)
    for side in (-1, 1):
        front = _at(head, side * 0.13, -0.22, 0.075 * size, 0.25, side * 0.35)
        back = _at(head, side * 0.20, 0.30, 0.075 * size, 0.26, side * -0.45)
        for horn in (front, back):
            image = blend(image, canvas.ellipse(horn, 0.02), contrast.fluid)
    third = _at(head, 0.0, 0.08, 0.03 * size, 0.14)
    return blend(image, canvas.ellipse(third), contrast.fluid)


def _high_level(
    canvas: Canvas, head: _Head, contrast: _Contrast, image: Plane, patient: np.random.Generator
) -> Plane:
    """Above the ventricles: the falx all the way and broad white matter."""
    top, bottom = _at(head, 0.0, -0.95, 0.1, 0.1), _at(head, 0.0, 0.95, 0.1, 0.1)
    falx = canvas.line([(top.x, top.y), (bottom.x, bottom.y)], 0.035)
    return blend(image, falx, contrast.fluid * 0.7 + 0.1)


def _base_level(
    canvas: Canvas, head: _Head, contrast: _Contrast, image: Plane, patient: np.random.Generator
) -> Plane:
    """Near the skull's base: eyes, the basal cistern, brain stem and cerebellum."""
    for side in (-1, 1):
        eye = _at(head, side * 0.42, -0.86, 0.20, 0.20)
        orbit = eye._replace(rx=eye.rx * 1.35, ry=eye.ry * 1.25)
        image = blend(image, canvas.ellipse(orbit), contrast.scalp * 0.9)
        image = blend(image, canvas.ellipse(eye), contrast.fluid)
        wing = _at(head, side * 0.62, -0.33, 0.34, 0.05, side * 0.35)
        image = blend(image, canvas.ellipse(wing, 0.03), contrast.skull)
    stem = _at(head, 0.0, 0.20, 0.20, 0.18)
    image = blend(image, canvas.ellipse(_at(head, 0.0, 0.0, 0.24, 0.17), 0.03), contrast.fluid)
    image = blend(image, canvas.ellipse(stem, 0.02), contrast.white)
    hindbrain = canvas.ellipse(_at(head, 0.0, 0.62, 0.62, 0.42), 0.03)
    leaves = contrast.grey + 0.05 * np.sin(canvas.radius(_at(head, 0.0, 0.42, 0.05, 0.05)) * 5.0)
    image = blend(image, hindbrain * 0.85, leaves)
    return blend(image, canvas.ellipse(_at(head, 0.0, 0.40, 0.06, 0.05)), contrast.fluid)


_Layers = list[tuple[Plane, float | Plane]]


def _glioma(
    canvas: Canvas, head: _Head, contrast: _Contrast, rng: np.random.Generator
) -> tuple[Plane, _Layers]:
    """Inside one hemisphere: an irregular bright rim, a dead core, oedema around."""
    side = rng.choice([-1, 1])
    radius = rng.uniform(0.25, 0.38)
    x, y = side * rng.uniform(0.36, 0.52), rng.uniform(-0.45, 0.45)
    shape = _at(head, x, y, radius, radius * rng.uniform(0.8, 1.2), rng.uniform(0.0, 3.0))
    wobble = 0.16 * canvas.texture(rng, 14)
    around = shape._replace(rx=shape.rx * 1.55, ry=shape.ry * 1.55)
    brain = canvas.ellipse(head.brain._replace(rx=head.brain.rx * 0.94, ry=head.brain.ry * 0.94))
    oedema = canvas.ellipse(around, 0.14, wobble * 1.6) * brain
    whole = canvas.ellipse(shape, 0.03, wobble) * brain
    thickness = rng.uniform(0.30, 0.50)
    inner = shape._replace(rx=shape.rx * (1 - thickness), ry=shape.ry * (1 - thickness))
    core = canvas.ellipse(inner, 0.03, wobble * 1.5) * brain
    rim = contrast.enhancing + 0.06 * canvas.texture(rng, 20)
    dead = contrast.fluid * 0.6 + 0.10
    return whole, [(oedema * 0.8, contrast.oedema), (whole, rim), (core, dead)]


def _meningioma(
    canvas: Canvas, head: _Head, contrast: _Contrast, rng: np.random.Generator
) -> tuple[Plane, _Layers]:
    """On the border, with a broad base on the dura: smooth, round and evenly bright."""
    around = rng.uniform(0.0, 2 * np.pi)
    radius = rng.uniform(0.24, 0.38)
    reach = 1.0 - 0.75 * radius
    shape = _at(head, np.cos(around) * reach, np.sin(around) * reach, radius, radius)
    coverage = canvas.ellipse(shape, 0.02) * canvas.ellipse(head.brain)
    tail = canvas.ring(head.brain, 0.03) * canvas.ellipse(
        shape._replace(rx=shape.rx * 1.6, ry=shape.ry * 1.6)
    )
    return coverage, [(tail, contrast.enhancing), (coverage, contrast.enhancing)]


def _pituitary(
    canvas: Canvas, head: _Head, contrast: _Contrast, rng: np.random.Generator
) -> tuple[Plane, _Layers]:
    """In the midline, in the sella before the brain stem: a bright, lobed mass."""
    radius = rng.uniform(0.20, 0.29)
    shape = _at(
        head, rng.uniform(-0.05, 0.05), rng.uniform(-0.14, -0.02), radius * 1.1, radius * 0.9
    )
    coverage = canvas.ellipse(shape, 0.02, 0.08 * canvas.texture(rng, 12))
    bright = contrast.enhancing - 0.06 + 0.03 * canvas.texture(rng, 16)
    return coverage, [(coverage, bright)]


def _healthy(
    canvas: Canvas, head: _Head, contrast: _Contrast, rng: np.random.Generator
) -> tuple[Plane, _Layers]:
    return canvas.zeros(), []


def _display(request: Request, head: _Head, image: Plane, rng: np.random.Generator) -> Plane:
    """Coil sensitivity, ghosts, noise, the viewer's window and burnt-in text."""
    canvas, kind = request.canvas, request.confounders["artifact"]
    side = {"even": 0.0, "left": -1.0, "right": 1.0}[request.confounders["coil"]]
    image = image * (1.0 + 0.35 * side * canvas.x)
    if kind == "ghost":
        shift = canvas.size // 4
        image = image + 0.13 * (np.roll(image, shift, axis=0) + np.roll(image, -shift, axis=0))
    image = canvas.blur(image, 0.009) * rng.uniform(0.88, 1.12)
    image = np.clip(finish(canvas, image, rng, 0.022), 0.0, 1.0)
    if kind == "text":
        image = blend(image, canvas.text("R", -0.95, -0.08, 0.16), 1.0)
        image = blend(image, canvas.text("T1.2", 0.42, 0.83, 0.12), 1.0)
    return image


_LEVELS = {"high": _high_level, "ventricles": _ventricle_level, "base": _base_level}

_FINDINGS = {
    "glioma_tumor": _glioma,
    "meningioma_tumor": _meningioma,
    "no_tumor": _healthy,
    "pituitary_tumor": _pituitary,
}

MODALITY = Modality(
    findings=tuple(_FINDINGS),
    confounders={
        "level": tuple(_LEVELS),
        "field_of_view": ("full", "tight"),
        "sequence": tuple(_SEQUENCES),
        "coil": ("even", "left", "right"),
        "artifact": ("none", "ghost", "text"),
    },
    draw=draw,
)
