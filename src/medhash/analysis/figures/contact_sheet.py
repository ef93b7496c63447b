"""Rows of panels that show a query and what was retrieved for it (ACH Fig. 9's style)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

RESULTS = 10
"""Results in one row of panels."""

RIGHT, WRONG = "#1a9641", "#d7191c"
_QUERY_WIDTH = 1.25


def row_panels(block: FigureBase, lines: int, *, gap: float = 0.04) -> NDArray[Any]:
    """Empty panels in a figure or a part of one.

    Args:
        block: where they go.
        lines: rows of panels.
        gap: between two rows, as a share of a panel's height.

    Returns:
        Axes (lines, 1 + RESULTS): on the left of each row the query's, which is wider.
    """
    ratios = [_QUERY_WIDTH, *[1.0] * RESULTS]
    grid = {"width_ratios": ratios, "wspace": 0.04, "hspace": gap}
    panels: NDArray[Any] = block.subplots(lines, RESULTS + 1, squeeze=False, gridspec_kw=grid)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.set_frame_on(False)
    return panels


def draw_query(axes: Axes, image: NDArray[np.uint8], label: str) -> None:
    """The query, uint8 (S, S, 3), with a text on its left."""
    axes.imshow(image, interpolation="nearest")
    axes.set_ylabel(label, fontsize=6.5)


def draw_result(axes: Axes, image: NDArray[np.uint8], *, relevant: bool | None) -> None:
    """A retrieved image, framed as right or wrong unless it is not known which it is.

    Green frame and check mark, or red frame and cross: not by colour alone.
    """
    axes.imshow(image, interpolation="nearest")
    if relevant is None:
        return
    colour = RIGHT if relevant else WRONG
    axes.set_frame_on(True)
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.0)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    mark = "✓" if relevant else "✗"
    place = axes.transAxes
    axes.text(0.94, 0.08, mark, transform=place, color=colour, fontsize=7, ha="right", bbox=box)
