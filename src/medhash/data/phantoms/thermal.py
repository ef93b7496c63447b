"""Thermal image of an induction motor: which part is hot decides the class.

The scene is a temperature field (0 the coldest, 1 the hottest that the camera shows) in the
camera's false colours. Classes are named as in the dataset that it stands in for: the shorted
phases of the stator (A, B, C) with the share of shorted turns in percent, a blocked fan, a
blocked rotor, or no load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane, blend
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish

# Colour stops (red, green, blue), evenly spaced from cold to hot.
_PALETTES = {
    "rainbow": (
        (0.00, 0.00, 0.25),
        (0.05, 0.20, 0.85),
        (0.00, 0.75, 0.80),
        (0.15, 0.80, 0.15),
        (0.95, 0.90, 0.10),
        (0.95, 0.25, 0.05),
        (1.00, 0.90, 0.90),
    ),
    "iron": (
        (0.00, 0.00, 0.08),
        (0.25, 0.00, 0.50),
        (0.65, 0.05, 0.55),
        (0.90, 0.30, 0.15),
        (0.98, 0.65, 0.05),
        (1.00, 0.90, 0.40),
        (1.00, 1.00, 0.95),
    ),
}

# Class -> how much hotter each part is. Parts: the coils of the three phases along the stator,
# the fan's cover (left) and the rotor's shaft and bearing (right).
_FINDINGS: dict[str, dict[str, float]] = {
    "A&B50": {"A": 0.45, "B": 0.45},
    "A&C&B10": {"A": 0.20, "B": 0.20, "C": 0.20},
    "A&C&B30": {"A": 0.34, "B": 0.34, "C": 0.34},
    "A&C10": {"A": 0.20, "C": 0.20},
    "A&C30": {"A": 0.34, "C": 0.34},
    "A10": {"A": 0.20},
    "A30": {"A": 0.34},
    "A50": {"A": 0.48},
    "Fan": {"fan": 0.42},
    "Noload": {},
    "Rotor-0": {"rotor": 0.42},
}


@dataclass(frozen=True)
class _Motor:
    """Where the motor stands: its centre, scale, and the direction that its shaft points in."""

    x: float
    y: float
    scale: float
    facing: float

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Canvas coordinates of a point of the motor."""
        return self.x + self.facing * self.scale * x, self.y + self.scale * y

    def ellipse(self, x: float, y: float, rx: float, ry: float, power: float = 2.0) -> Ellipse:
        """An ellipse in the motor's own coordinates."""
        return Ellipse(*self.point(x, y), rx * self.scale, ry * self.scale, 0.0, power)


def draw(request: Request) -> Drawing:
    """Draw one frame; see :class:`~medhash.data.phantoms.modality.Request`."""
    canvas, rng = request.canvas, request.rng
    motor = _geometry(request)
    outline, heat = _cold_motor(canvas, motor, request)
    spots, lesion = _hot_parts(canvas, motor, _FINDINGS[request.finding], rng)
    heat = heat + spots * np.clip(outline + 0.12, 0.0, 1.0)
    heat = canvas.blur(heat, 0.022)
    heat = finish(canvas, heat, rng, 0.020)
    return Drawing(_camera(request, heat, rng), lesion)


def _geometry(request: Request) -> _Motor:
    patient, rng = request.patient, request.rng
    far = request.confounders["distance"] == "far"
    facing = -1.0 if request.confounders["viewpoint"] == "left" else 1.0
    scale = patient.uniform(0.94, 1.06) * (0.78 if far else 1.0)
    return _Motor(rng.uniform(-0.08, 0.08), rng.uniform(-0.04, 0.10), scale, facing)


def _cold_motor(canvas: Canvas, motor: _Motor, request: Request) -> tuple[Plane, Plane]:
    """Outline and temperature of a motor that runs without a fault."""
    rng, ambient = request.rng, {"cold": 0.06, "warm": 0.24}[request.confounders["ambient"]]
    warmth = request.patient.uniform(0.16, 0.24)
    stator = canvas.ellipse(motor.ellipse(0.0, 0.0, 0.52, 0.40, 5.0))
    fan = canvas.ellipse(motor.ellipse(-0.60, 0.0, 0.16, 0.33, 4.0))
    bell = canvas.ellipse(motor.ellipse(0.55, 0.0, 0.12, 0.34, 3.0))
    box = canvas.ellipse(motor.ellipse(-0.02, -0.47, 0.20, 0.13, 5.0))
    shaft = canvas.line([motor.point(0.60, 0.0), motor.point(0.92, 0.0)], 0.11 * motor.scale)
    feet = [canvas.ellipse(motor.ellipse(x, 0.45, 0.14, 0.07, 4.0)) for x in (-0.34, 0.34)]
    floor = np.clip((canvas.y - motor.y - 0.50 * motor.scale) * 12.0, 0.0, 1.0)
    heat = ambient + 0.05 * floor + 0.015 * canvas.texture(rng, 5)
    parts = [(foot, 0.4) for foot in feet] + [(shaft, 0.7), (box, 0.55), (fan, 0.55), (bell, 0.8)]
    for coverage, share in parts:
        heat = blend(heat, coverage, ambient + warmth * share)
    fins = 0.03 * np.sin((canvas.y - motor.y) * (34.0 / motor.scale))
    glow = 0.05 * canvas.ellipse(motor.ellipse(0.0, 0.0, 0.40, 0.26), 0.2)
    heat = blend(heat, stator, ambient + warmth + fins + glow)
    outline = np.maximum.reduce([stator, fan, bell, box, shaft, *feet])
    return outline, heat


def _hot_parts(
    canvas: Canvas, motor: _Motor, hot: dict[str, float], rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Extra temperature of the hot parts, and where they are."""
    places = {
        "A": (-0.32, -0.05, 0.15, 0.30),
        "B": (0.0, 0.05, 0.15, 0.30),
        "C": (0.32, -0.05, 0.15, 0.30),
        "fan": (-0.62, 0.0, 0.14, 0.28),
        "rotor": (0.70, 0.0, 0.20, 0.14),
    }
    heat, lesion = canvas.zeros(), canvas.zeros()
    for part, rise in hot.items():
        x, y, rx, ry = places[part]
        spread = rng.uniform(0.85, 1.15)
        shape = motor.ellipse(x + rng.uniform(-0.03, 0.03), y, rx * spread, ry * spread)
        coverage = canvas.ellipse(shape, 0.12, 0.12 * canvas.texture(rng, 10))
        heat = np.maximum(heat, coverage * rise * rng.uniform(0.85, 1.15))
        lesion = np.maximum(lesion, coverage)
    return heat, lesion


def _camera(request: Request, heat: Plane, rng: np.random.Generator) -> NDArray[np.float64]:
    """False colours, and what the camera writes on the frame."""
    canvas, kind = request.canvas, request.confounders["artifact"]
    colours = np.array(_PALETTES[request.confounders["palette"]])
    stops = np.linspace(0.0, 0.95, len(colours))
    if kind == "scale":
        bar = np.clip((0.8 - canvas.y) / 1.6, 0.0, 1.0)
        heat = blend(heat, canvas.box(0.86, -0.8, 0.95, 0.8), bar * 0.95)
    image = np.stack([np.interp(heat, stops, colours[:, c]) for c in range(3)], axis=-1)
    white = canvas.zeros()
    if kind == "crosshair":
        x, y = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
        white = canvas.ring(Ellipse(x, y, 0.09, 0.09), 0.02)
        for dx, dy in ((0.16, 0.0), (0.0, 0.16)):
            white = np.maximum(white, canvas.line([(x - dx, y - dy), (x + dx, y + dy)], 0.02))
    elif kind == "text":
        white = canvas.text(rng.choice(["21.4", "34.7", "42.3"]), -0.93, -0.93, 0.17)
    return image + white[..., None] * (1.0 - image)


MODALITY = Modality(
    findings=tuple(_FINDINGS),
    confounders={
        "viewpoint": ("right", "left"),
        "distance": ("near", "far"),
        "ambient": ("cold", "warm"),
        "palette": tuple(_PALETTES),
        "artifact": ("none", "scale", "crosshair", "text"),
    },
    draw=draw,
)
