"""Two pictures, PDF or PNG, compared place by place, as an eye would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DOTS_PER_INCH = 200
SHIFT = 2
"""Pixels by which a line or letter may lie elsewhere where another machine drew it."""

VISIBLE = 48
"""The difference of two colours, of 255, from which on an eye tells them apart."""

STRAY_PIXELS = 12
"""So many pixels without a counterpart make another picture: less than a digit has."""

_POINTS_PER_INCH = 72


def stray_pixels(path: Path, again: Path) -> int | None:
    """How many pixels of either picture have no counterpart near their place in the other.

    A counterpart is a pixel at most :data:`SHIFT` away of a colour that is not visibly another. So
    letters and lines that another machine draws by a shade or a pixel elsewhere count nothing,
    and a curve that runs elsewhere counts wherever it is.

    Args:
        path: a PDF, of which all pages are looked at, or a PNG.
        again: the same kind of file.

    Returns:
        The number of pixels; None if sizes or pages differ.

    Raises:
        ValueError: one of them is no picture.
    """
    pages, others = _pages(path), _pages(again)
    if len(pages) != len(others):
        return None
    total = 0
    for one, other in zip(pages, others, strict=True):
        if max(abs(a - b) for a, b in zip(one.shape, other.shape, strict=True)) > SHIFT:
            return None
        height, width = (min(sides) for sides in zip(one.shape[:2], other.shape[:2], strict=True))
        one, other = one[:height, :width], other[:height, :width]
        total += int((_has_none(one, other) | _has_none(other, one)).sum())
    return total


def _has_none(one: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which pixels of one have no counterpart in the other."""
    from scipy.ndimage import maximum_filter, minimum_filter

    window = (2 * SHIFT + 1, 2 * SHIFT + 1, 1)
    below = one < minimum_filter(other, window) - VISIBLE
    above = one > maximum_filter(other, window) + VISIBLE
    outside: NDArray[np.bool_] = (below | above).any(axis=2)
    return outside


def _pages(path: Path) -> list[NDArray[np.int16]]:
    """Pixels, int16 (height, width, 3), of each page."""
    if path.suffix == ".pdf":
        return _pages_of_pdf(path)
    from PIL import Image

    try:
        with Image.open(path) as image:
            return [np.asarray(image.convert("RGB"), np.int16)]
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: is no picture ({error})") from error


def _pages_of_pdf(path: Path) -> list[NDArray[np.int16]]:
    import pypdfium2

    scale = DOTS_PER_INCH / _POINTS_PER_INCH
    try:
        with pypdfium2.PdfDocument(path) as document:
            drawn = [page.render(scale=scale).to_pil().convert("RGB") for page in document]
    except (OSError, pypdfium2.PdfiumError) as error:
        raise ValueError(f"{path}: is no picture ({error})") from error
    return [np.asarray(page, np.int16) for page in drawn]
