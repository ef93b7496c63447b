"""Dermatoscopic image of a skin lesion: seven diagnoses, several pictures of one lesion.

What the lesion is like comes from the lesion's own random numbers, how it was photographed from the
image's: pictures of one lesion show it turned, nearer or farther, in other light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhash.data.phantoms.canvas import Canvas, Ellipse, Plane
from medhash.data.phantoms.modality import Drawing, Modality, Request, finish

Colour = tuple[float, float, float]

_TONES: dict[str, Colour] = {"fair": (0.90, 0.70, 0.62), "olive": (0.74, 0.53, 0.42)}


@dataclass(frozen=True)
class _Look:
    """How a diagnosis looks.

    Attributes:
        colour: red, green, blue.
        roughness: of the border.
        softness: of the border, of half a picture.
        patches: dark blots in it, as melanoma has.
        dots: bright or red dots in it.
        dot_colour: theirs.
        centre: coverage of a pale centre.
        vessels: branching vessels over it.
    """

    colour: Colour
    roughness: float = 0.06
    softness: float = 0.06
    patches: int = 0
    dots: int = 0
    dot_colour: Colour = (1.0, 0.95, 0.8)
    centre: float = 0.0
    vessels: int = 0


_LOOKS = {
    "nv": _Look((0.45, 0.28, 0.18)),
    "mel": _Look((0.36, 0.22, 0.17), roughness=0.24, softness=0.05, patches=4),
    "bkl": _Look((0.58, 0.42, 0.28), roughness=0.10, softness=0.02, dots=9),
    "bcc": _Look((0.86, 0.54, 0.52), roughness=0.10, softness=0.12, vessels=5),
    "akiec": _Look((0.80, 0.38, 0.34), roughness=0.22, softness=0.16, dots=5),
    "vasc": _Look((0.62, 0.14, 0.24), softness=0.03, dots=7, dot_colour=(0.40, 0.04, 0.18)),
    "df": _Look((0.60, 0.38, 0.28), softness=0.10, centre=0.8),
}


def draw(request: Request) -> Drawing:
    """Draw one picture; see :class:`~medhash.data.phantoms.modality.Request`."""
    canvas, look = request.canvas, _LOOKS[request.finding]
    outline = _outline(request)
    image = _skin(request)
    image, lesion = _paint_lesion(canvas, image, look, outline, request.patient)
    return Drawing(_photograph(request, image), lesion)


def _outline(request: Request) -> Ellipse:
    """The lesion where this picture has it."""
    lesion, rng = request.patient, request.rng
    near = 1.3 if request.confounders["distance"] == "near" else 1.0
    size, narrow = lesion.uniform(0.30, 0.46) * near, lesion.uniform(0.70, 1.0)
    x, y = rng.uniform(-0.12, 0.12, 2)
    turn = rng.uniform(0, math.pi)
    return Ellipse(float(x), float(y), size, size * narrow, float(turn))


def _skin(request: Request) -> NDArray[np.float64]:
    canvas = request.canvas
    tone = np.array(_TONES[request.confounders["skin"]])
    texture = 1.0 + 0.03 * canvas.texture(request.rng, 20) + 0.03 * canvas.texture(request.rng, 5)
    return tone * texture[..., None]


def _paint_lesion(
    canvas: Canvas,
    image: NDArray[np.float64],
    look: _Look,
    outline: Ellipse,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], Plane]:
    """The picture with the lesion, and the lesion's coverage."""
    wobble = look.roughness * canvas.texture(rng, 9)
    lesion = canvas.ellipse(outline, look.softness, wobble)
    shade = np.array(look.colour) * (1.0 + 0.08 * canvas.texture(rng, 14))[..., None]
    image = _blend(image, lesion, shade)
    for _ in range(look.patches):
        blot = _inside(outline, rng, 0.6, rng.uniform(0.25, 0.5))
        image = _blend(image, lesion * canvas.ellipse(blot, 0.08), np.array((0.14, 0.10, 0.16)))
    for _ in range(look.dots):
        dot = _inside(outline, rng, 0.75, rng.uniform(0.09, 0.16))
        image = _blend(image, lesion * canvas.ellipse(dot, 0.03), np.array(look.dot_colour))
    if look.centre:
        pale = outline._replace(rx=outline.rx * 0.4, ry=outline.ry * 0.4)
        coverage = look.centre * canvas.ellipse(pale, 0.08)
        image = _blend(image, coverage, np.array((0.96, 0.88, 0.82)))
    for _ in range(look.vessels):
        angle = rng.uniform(0, 2 * math.pi)
        start = (outline.x, outline.y)
        bend = outline.rx * 0.6
        middle = (start[0] + bend * math.cos(angle), start[1] + bend * math.sin(angle))
        end = (middle[0] + bend * math.cos(angle + 0.7), middle[1] + bend * math.sin(angle + 0.7))
        line = canvas.line([start, middle, end], 0.025, 0.01) * lesion
        image = _blend(image, line, np.array((0.62, 0.10, 0.14)))
    return image, lesion


def _inside(outline: Ellipse, rng: np.random.Generator, reach: float, share: float) -> Ellipse:
    """A small circle somewhere in the lesion; it turns with the lesion."""
    angle, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform()) * reach
    u, v = outline.rx * far * math.cos(angle), outline.ry * far * math.sin(angle)
    cosine, sine = math.cos(outline.angle), math.sin(outline.angle)
    x, y = outline.x + cosine * u - sine * v, outline.y + sine * u + cosine * v
    return Ellipse(x, y, outline.rx * share, outline.rx * share)


def _photograph(request: Request, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hairs, light, a ruler, and the sensor's noise."""
    canvas, rng, confounders = request.canvas, request.rng, request.confounders
    if confounders["hair"] == "hairy":
        for _ in range(9):
            x, y, angle = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, math.pi)
            reach = (0.9 * math.cos(angle), 0.9 * math.sin(angle))
            hair = canvas.line([(x - reach[0], y - reach[1]), (x + reach[0], y + reach[1])], 0.018)
            image = _blend(image, hair, np.array((0.12, 0.09, 0.08)))
    if confounders["ruler"] == "present":
        for place in np.linspace(-0.9, 0.9, 13):
            tick = canvas.box(float(place) - 0.008, 0.84, float(place) + 0.008, 0.98)
            image = _blend(image, tick, np.array((0.05, 0.05, 0.05)))
    if confounders["light"] == "bluish":
        image = image * np.array((0.86, 0.96, 1.12))
    edge = canvas.ellipse(Ellipse(0.0, 0.0, 1.15, 1.15), 0.35)
    noisy = [finish(canvas, image[..., c] * (0.55 + 0.45 * edge), rng, 0.012) for c in range(3)]
    return np.stack(noisy, axis=-1)


def _blend(
    image: NDArray[np.float64], coverage: Plane, colour: NDArray[np.float64]
) -> NDArray[np.float64]:
    return image + coverage[..., None] * (colour - image)


MODALITY = Modality(
    findings=tuple(_LOOKS),
    confounders={
        "skin": tuple(_TONES),
        "distance": ("far", "near"),
        "hair": ("none", "hairy"),
        "ruler": ("none", "present"),
        "light": ("white", "bluish"),
    },
    draw=draw,
    films=6,
    group="lesion_id",
)
