"""mAP on the papers' splits and without their leakage: a panel a dataset, a line a row."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.figures.drawing import TITLE_LINE, say_not_run, titled_figure
from medhash.analysis.numbers.context import Context, bits_label
from medhash.analysis.numbers.leakage import COMPARED, LeakageSpec
from medhash.papers.specs import FigureSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_WIDTH, _LINE_HEIGHT = 3.6, 0.2
_TITLE_CHARACTERS = 32
_STYLES: tuple[dict[str, Any], ...] = (
    {"marker": "o", "color": "0.25"},
    {"marker": "o", "color": "0.25", "markerfacecolor": "white"},
    {"marker": "D", "color": "C3"},
)
"""Of the paper's split, of its clean queries, of the clean split."""


class Spec(LeakageSpec, FigureSpec):
    """How much of each mAP was leakage."""

    kind: Literal["leakage"]

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """A panel a dataset and code length; a line goes from the paper's to the clean split."""
        panels = list(product(self.pairs, self.bits))
        headings = [
            textwrap.fill(context.heading_of(dataset, self.origin_of(dataset)), _TITLE_CHARACTERS)
            for dataset, _ in panels
        ]
        wrapped = max(heading.count("\n") for heading in headings)
        height = _LINE_HEIGHT * len(self.rows) + 0.9 + TITLE_LINE * wrapped
        figure = titled_figure(_PANEL_WIDTH * len(panels) + 0.6, height, titles)
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for (dataset, bits), heading, axes in zip(panels, headings, every, strict=True):
            axes.set_title(f"{heading}, {bits_label(bits)}")
            own = points[(points["dataset"] == dataset) & (points["bits"] == bits)]
            _draw_panel(axes, own)
        figure.legend(
            handles=_handles(),
            title="Means over seeds; bars: 95 % intervals (Student's t), where there are several "
            "seeds",
            loc="outside lower center",
            ncols=len(COMPARED),
        )
        return figure


def _draw_panel(axes: Axes, points: pd.DataFrame) -> None:
    names = list(dict.fromkeys(points["row"]))
    ran = points[points["status"] == "ran"]
    if ran.empty:
        say_not_run(axes, points["note"].iloc[0])
        return
    place = {name: -number for number, name in enumerate(names)}
    for name, own in ran.groupby("row", sort=False):
        ends = own[own["scored"].isin(COMPARED[::2])]["map_percent"]
        axes.plot(ends, [place[str(name)]] * len(ends), color="0.75", linewidth=1, zorder=1)
    for scored, style in zip(COMPARED, _STYLES, strict=True):
        own = ran[ran["scored"] == scored]
        x = own["map_percent"].to_numpy(float)
        # One seed has no interval (NaN), and NaN is not drawn.
        half = x - own["interval_least_percent"].to_numpy(float)
        y = own["row"].map(place).to_numpy(float)
        axes.errorbar(x, y, xerr=half, linestyle="none", capsize=1.5, elinewidth=0.8, **style)
    axes.set_yticks(list(place.values()), labels=names)
    axes.set_ylim(0.5 - len(names), 0.5)
    axes.set_xlabel("mAP (%)")


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="none", label=scored, **style)
        for scored, style in zip(COMPARED, _STYLES, strict=True)
    ]
