"""mAP against the strength of a phantom's confounder: a row a phantom, a column a method."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.numbers.confounding import ConfounderSpec, Panel, panel_title, panels_of
from medhash.analysis.numbers.context import NOT_RUN, Context
from medhash.papers.specs import FigureSpec
from medhash.schema.variants import BASELINE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANEL_SIZE = (1.75, 1.9)
"""Width and height of one panel in inches."""

_LEAST_WIDTH = 5.6
_BASELINE_LINE = "--"
_LINES = ("-", ":", "-.")
_MARKERS = "osD^vP"


class Spec(ConfounderSpec, FigureSpec):
    """mAP against the strength of a phantom's confounder."""

    kind: Literal["confounding"]

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Panels with one legend below them.

        Colour, marker and line are the variant; bars are 95 % intervals over seeds.
        """
        panels = panels_of(self)
        width = max(_LEAST_WIDTH, PANEL_SIZE[0] * len(self.methods) + 0.5)
        figure = titled_figure(width, (PANEL_SIZE[1] + 0.3) * len(panels) + 0.75, titles)
        rows = figure.subfigures(len(panels), 1, squeeze=False)[:, 0]
        styles = _styles(self.variants)
        for (panel, names), row in zip(panels.items(), rows, strict=True):
            row.suptitle(panel_title(panel, context), fontsize=8.5, fontweight="bold")
            row.supxlabel("strength of the confounder", fontsize=8.5)
            axes = row.subplots(1, len(self.methods), sharey=True, squeeze=False)[0]
            axes[0].set_ylabel("mAP (%)")
            for method, axis in zip(self.methods, axes, strict=True):
                axis.set_title(context.paper.method_title(method))
                axis.set_xticks([name.strength for name in names])
                axis.set_xlim(-0.08, 1.08)
                _draw_panel(axis, _own(points, panel, method), styles)
        figure.legend(
            handles=_handles(styles, context),
            title="Means over seeds; bars: 95 % intervals (Student's t), where there are several "
            "seeds",
            loc="outside lower center",
            ncols=len(styles),
        )
        return figure


def _own(points: pd.DataFrame, panel: Panel, method: str) -> pd.DataFrame:
    chosen = (points["phantom"] == panel.phantom) & (points["confounder"] == panel.confounder)
    return points[chosen & (points["method"] == method)]


def _draw_panel(axes: Axes, points: pd.DataFrame, styles: dict[str, dict[str, Any]]) -> None:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        text = f"{NOT_RUN}\n{textwrap.fill('(' + points['note'].iloc[0] + ')', 22)}"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.35")
        axes.grid(visible=False)
        return
    # Variants stand side by side, so that their bars do not hide each other.
    gap = 0.018 if len(styles) > 1 else 0.0
    for place, (variant, style) in enumerate(styles.items()):
        curve = ran[ran["variant"] == variant]
        x = curve["strength"].to_numpy(float) + gap * (place - (len(styles) - 1) / 2)
        y = curve["map_percent"].to_numpy(float)
        # One seed has no interval (NaN), and NaN is not drawn.
        half = y - curve["interval_least_percent"].to_numpy(float)
        axes.errorbar(x, y, half, capsize=1.8, elinewidth=0.9, capthick=0.9, **style)


def _styles(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of every variant: baseline dashed, last one solid."""
    import seaborn as sns

    colours = sns.color_palette("colorblind", len(variants))
    lines = dict(zip(reversed(variants), cycle(_LINES), strict=False)) | {BASELINE: _BASELINE_LINE}
    styles = {
        variant: {"color": colour, "marker": marker, "linestyle": lines[variant]}
        for variant, colour, marker in zip(variants, colours, cycle(_MARKERS), strict=False)
    }
    if BASELINE in styles:
        styles[BASELINE]["markerfacecolor"] = "white"
    return styles


def _handles(styles: dict[str, dict[str, Any]], context: Context) -> list[Line2D]:
    from matplotlib.lines import Line2D

    titles = context.paper.variants
    return [
        Line2D([], [], label=titles.get(variant, variant) or "baseline", **style)
        for variant, style in styles.items()
    ]
