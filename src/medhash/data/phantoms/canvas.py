"""Soft-edged shapes and seeded textures on a square image.

Coordinates run from −1 to 1, x to the right and y downwards, so that a scene looks the same at
every image size. Everything is double precision and uses no routine whose result depends on the
machine beyond the last bits, which rounding to 8 bits removes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float64]
Point = tuple[float, float]

# Letters and digits of burnt-in text, 3 x 5 dots, rows from the top.
_GLYPHS = {
    "L": "100 100 100 100 111",
    "R": "110 101 110 101 101",
    "A": "010 101 111 101 101",
    "P": "110 101 110 100 100",
    "T": "111 010 010 010 010",
    "1": "010 110 010 010 111",
    "2": "110 001 010 100 111",
    "3": "110 001 010 001 110",
    "4": "101 101 111 001 001",
    "7": "111 001 010 010 010",
    ".": "000 000 000 000 010",
}


class Ellipse(NamedTuple):
    """Centre, radii and rotation (radians) of an ellipse; ``power`` 2 is round, more is squarer."""

    x: float
    y: float
    rx: float
    ry: float
    angle: float = 0.0
    power: float = 2.0


class Canvas:
    """The coordinate planes of one image of ``size`` × ``size`` pixels.

    Attributes:
        size: pixels along one side.
        x: float64 (size, size), horizontal coordinate of each pixel's centre.
        y: float64 (size, size), vertical coordinate.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        ticks = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
        self._ticks = ticks
        self.x: Plane = np.broadcast_to(ticks[None, :], (size, size))
        self.y: Plane = np.broadcast_to(ticks[:, None], (size, size))
        self._pixel = 2.0 / size

    def zeros(self) -> Plane:
        """An empty plane."""
        return np.zeros((self.size, self.size))

    def radius(self, shape: Ellipse) -> Plane:
        """Normalised radius: 0 at the ellipse's centre, 1 on its border."""
        cosine, sine = math.cos(shape.angle), math.sin(shape.angle)
        dx, dy = self.x - shape.x, self.y - shape.y
        u = (cosine * dx + sine * dy) / shape.rx
        v = (cosine * dy - sine * dx) / shape.ry
        if shape.power == 2.0:
            return np.sqrt(u * u + v * v)
        powered = np.abs(u) ** shape.power + np.abs(v) ** shape.power
        return np.asarray(powered ** (1.0 / shape.power))

    def ellipse(self, shape: Ellipse, softness: float = 0.0, wobble: Plane | None = None) -> Plane:
        """Coverage in [0, 1] of an ellipse.

        Args:
            shape: the ellipse.
            softness: width of the border's ramp in coordinate units; at least one pixel is used.
            wobble: added to the normalised radius, to make the border irregular.
        """
        radius = self.radius(shape)
        if wobble is not None:
            radius = radius + wobble
        ramp = max(softness, self._pixel)
        return np.clip(0.5 + (1.0 - radius) * (min(shape.rx, shape.ry) / ramp), 0.0, 1.0)

    def ring(self, shape: Ellipse, width: float, softness: float = 0.0) -> Plane:
        """Coverage of a band of ``width`` that is centred on an ellipse's border."""
        ramp = max(softness, self._pixel)
        distance = np.abs(self.radius(shape) - 1.0) * min(shape.rx, shape.ry)
        return np.clip(0.5 + (width / 2 - distance) / ramp, 0.0, 1.0)

    def line(self, points: Sequence[Point], width: float, softness: float = 0.0) -> Plane:
        """Coverage of a polyline of ``width`` with round ends."""
        return self.lines([(points, width)], softness)

    def lines(
        self, polylines: Iterable[tuple[Sequence[Point], float]], softness: float = 0.0
    ) -> Plane:
        """Coverage of many polylines, each with its own width.

        Only the pixels around each piece are computed: vessels and wires are many and thin.
        """
        ramp = max(softness, self._pixel)
        coverage = self.zeros()
        for points, width in polylines:
            for start, end in pairwise(points):
                self._add_piece(coverage, start, end, width, ramp)
        return coverage

    def box(self, left: float, top: float, right: float, bottom: float) -> Plane:
        """Coverage of an upright rectangle."""
        inside_x = np.minimum(self.x - left, right - self.x) / self._pixel
        inside_y = np.minimum(self.y - top, bottom - self.y) / self._pixel
        return np.clip(0.5 + np.minimum(inside_x, inside_y), 0.0, 1.0)

    def text(self, letters: str, left: float, top: float, height: float) -> Plane:
        """Coverage of burnt-in text in a 3 × 5 dot font."""
        dot = height / 5
        coverage = self.zeros()
        for place, letter in enumerate(letters):
            for row, dots in enumerate(_GLYPHS[letter].split()):
                for column in (column for column in range(3) if dots[column] == "1"):
                    x, y = left + (place * 4 + column) * dot, top + row * dot
                    coverage = np.maximum(coverage, self.box(x, y, x + dot, y + dot))
        return coverage

    def texture(self, rng: np.random.Generator, cells: int) -> Plane:
        """Smooth random texture of mean about 0 and standard deviation about 1.

        It has ``cells`` independent values along one side whatever the image size, so that it
        draws the same numbers, and shows the same pattern, at every size.
        """
        lattice = rng.uniform(-1.0, 1.0, (cells + 3, cells + 3))
        weights = _cubic_weights(self.size, cells)
        return weights @ lattice @ weights.T * 3.6

    def grain(self, rng: np.random.Generator) -> Plane:
        """Independent noise for each pixel, uniform with standard deviation 1."""
        return rng.uniform(-1.0, 1.0, (self.size, self.size)) * np.sqrt(3.0)

    def blur(self, plane: Plane, width: float) -> Plane:
        """Gaussian blur whose standard deviation is ``width`` in coordinate units."""
        return np.asarray(ndimage.gaussian_filter(plane, width / self._pixel, truncate=3.0))

    def _add_piece(
        self, coverage: Plane, start: Point, end: Point, width: float, ramp: float
    ) -> None:
        """Raise ``coverage`` to that of one straight piece, around which a window is computed."""
        reach = width / 2 + ramp
        rows, columns = self._span(start[1], end[1], reach), self._span(start[0], end[0], reach)
        window = coverage[rows, columns]
        if not window.size:
            return
        along_x, along_y = end[0] - start[0], end[1] - start[1]
        squared = max(along_x * along_x + along_y * along_y, 1e-12)
        x = self._ticks[columns] - start[0]
        y = self._ticks[rows, None] - start[1]
        place = np.minimum(np.maximum((x * along_x + y * along_y) / squared, 0.0), 1.0)
        distance = np.sqrt((x - place * along_x) ** 2 + (y - place * along_y) ** 2)
        piece = np.minimum(0.5 + (width / 2 - distance) / ramp, 1.0)
        np.maximum(window, piece, out=window)

    def _span(self, first: float, second: float, reach: float) -> slice:
        low, high = min(first, second) - reach, max(first, second) + reach
        start = math.floor((low + 1.0) / self._pixel)
        stop = math.ceil((high + 1.0) / self._pixel)
        return slice(min(max(start, 0), self.size), min(max(stop, 0), self.size))


def blend(image: Plane, coverage: Plane, value: float | Plane) -> Plane:
    """Paint ``value`` over ``image`` where ``coverage`` is 1, mixed in between."""
    return image + coverage * (value - image)


def branches(
    rng: np.random.Generator, start: Point, direction: float, length: float, depth: int
) -> list[tuple[list[Point], float]]:
    """A random tree of polylines, thick at its root.

    Returns:
        Pairs (points, relative width), the root first; width halves about every two levels.
    """
    points = [start]
    angle = direction
    for _ in range(3):
        angle += float(rng.uniform(-0.25, 0.25))
        x, y = points[-1]
        points.append((x + math.cos(angle) * length / 3, y + math.sin(angle) * length / 3))
    tree = [(points, 0.72**-depth)]
    if depth > 0:
        for sign in (-1, 1):
            turned = angle + sign * rng.uniform(0.3, 0.7)
            tree += branches(rng, points[-1], turned, length * rng.uniform(0.6, 0.85), depth - 1)
    return tree


@lru_cache(maxsize=32)
def _cubic_weights(size: int, cells: int) -> Plane:
    """Uniform cubic B-spline weights of ``cells + 3`` lattice values at ``size`` pixels."""
    place = (np.arange(size) + 0.5) * (cells / size)
    first = np.minimum(np.floor(place).astype(int), cells - 1)
    t = place - first
    basis = np.stack(
        [
            (1 - t) ** 3,
            3 * t**3 - 6 * t**2 + 4,
            -3 * t**3 + 3 * t**2 + 3 * t + 1,
            t**3,
        ],
        axis=1,
    )
    weights = np.zeros((size, cells + 3))
    weights[np.arange(size)[:, None], first[:, None] + np.arange(4)] = basis / 6
    return weights
