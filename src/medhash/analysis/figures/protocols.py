"""Gains over the baseline by two protocols each, one against the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.numbers.context import NOT_RUN, Context
from medhash.analysis.numbers.protocols import COMPARISONS, ProtocolsSpec
from medhash.papers.specs import FigureSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 1.9
_HEIGHT = 2.5


class Spec(ProtocolsSpec, FigureSpec):
    """Protocols side by side: a panel a choice, a point a gain."""

    axes: ClassVar[tuple[str, str] | None] = ("gain_first_points", "gain_second_points")

    kind: Literal["protocols"]

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """What lies on the line does not move; a filled point is a verdict that turns."""
        figure = titled_figure(_WIDTH * len(COMPARISONS), _HEIGHT, titles)
        axes = figure.subplots(1, len(COMPARISONS), squeeze=False)[0]
        for axis, name in zip(axes, COMPARISONS, strict=True):
            first, second = COMPARISONS[name]
            axis.set_xlabel(first)
            axis.set_ylabel(second)
            _draw(axis, points[(points["comparison"] == name) & (points["status"] != NOT_RUN)])
        figure.supxlabel("gain over the baseline in points")
        return figure


def _draw(axis: Axes, own: pd.DataFrame) -> None:
    if own.empty:
        axis.set(xticks=[], yticks=[])
        axis.text(0.5, 0.5, NOT_RUN, ha="center", va="center", transform=axis.transAxes)
        return
    axis.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    axis.axhline(0, color="0.8", linewidth=0.8)
    axis.axvline(0, color="0.8", linewidth=0.8)
    for changed, face in (("false", "none"), ("true", "C3")):
        part = own[own["changed"] == changed]
        x, y = (part[f"gain_{end}_points"].astype(float) for end in ("first", "second"))
        axis.scatter(x, y, s=14, facecolors=face, edgecolors="C3" if changed == "true" else "C0")
