"""Gains under readings of a paper: dots with intervals, a panel a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.numbers.context import NOT_RUN, Context
from medhash.analysis.numbers.multiverse import MultiverseSpec
from medhash.papers.specs import FigureSpec
from medhash.schema.variants import BASELINE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_WIDTH, ROW_HEIGHT = 1.6, 0.3
"""Of one panel, and of one reading in it, in inches."""

_LABEL_INCHES = 0.062
_MARKERS = "osD^v"


class Spec(MultiverseSpec, FigureSpec):
    """Gains under readings, each over the baseline under the same reading."""

    kind: Literal["multiverse"]

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """A row of panels a dataset; colour and marker are the variant, a bar the printed gain."""
        readings = self.all_readings
        side = _LABEL_INCHES * max(map(len, readings)) + 0.5
        width = side + PANEL_WIDTH * len(self.methods)
        height = ROW_HEIGHT * len(readings) + 0.7
        figure = titled_figure(max(width, 6.5), height * len(self.datasets) + 0.5, titles)
        rows = figure.subfigures(len(self.datasets), 1, squeeze=False)[:, 0]
        styles = _styles([variant for variant in self.variants if variant != BASELINE])
        for dataset, row in zip(self.datasets, rows, strict=True):
            if len(self.datasets) > 1:
                row.suptitle(context.paper.dataset_title(dataset), fontsize=8.5, fontweight="bold")
            row.supxlabel("gain in mAP (points) over the baseline", fontsize=8.5)
            axes = row.subplots(1, len(self.methods), sharey=True, squeeze=False)[0]
            for method, axis in zip(self.methods, axes, strict=True):
                axis.set_title(context.paper.method_title(method))
                own = points[(points["dataset"] == dataset) & (points["method"] == method)]
                _draw_panel(axis, own, readings, styles)
            axes[0].set_yticks(range(len(readings)), readings)
            axes[0].set_ylim(len(readings) - 0.5, -0.5)
        figure.legend(
            handles=_handles(styles, context, bool(points["printed_points"].notna().any())),
            title="Means over seeds; bars: 95 % intervals (Student's t), where there are several",
            loc="outside lower center",
            ncols=len(styles) + 1,
        )
        return figure


def _draw_panel(
    axes: Axes, points: pd.DataFrame, readings: Sequence[str], styles: dict[str, dict[str, Any]]
) -> None:
    """Variants stand below each other within the line of a reading."""
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.grid(visible=False, axis="y")
    for line in range(1, len(readings), 2):
        axes.axhspan(line - 0.5, line + 0.5, color="0.96", zorder=0)
    if (points["status"] != "ran").all():
        axes.text(0.5, 0.5, NOT_RUN, transform=axes.transAxes, ha="center", color="0.35")
        return
    gap = 0.7 / len(styles)
    for place, (variant, style) in enumerate(styles.items()):
        own = points[points["variant"] == variant]
        y = own["reading"].map(readings.index).to_numpy(float) + gap * (
            place - (len(styles) - 1) / 2
        )
        x = own["gain_points"].to_numpy(float)
        # One seed has no interval, what did not run no gain (NaN), and NaN is not drawn.
        half = own["interval_greatest_points"].to_numpy(float) - x
        axes.errorbar(x, y, xerr=half, linestyle="none", elinewidth=0.9, capsize=1.5, **style)
        printed = own["printed_points"].to_numpy(float)
        axes.scatter(printed, y, marker="|", s=34, linewidths=1.6, color=style["color"], alpha=0.55)


def _styles(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    import seaborn as sns

    colours = sns.color_palette("colorblind", len(variants))
    both = zip(variants, colours, _MARKERS, strict=False)
    return {variant: {"color": colour, "marker": marker} for variant, colour, marker in both}


def _handles(styles: dict[str, dict[str, Any]], context: Context, printed: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    titles = context.paper.variants
    handles = [
        Line2D([], [], linestyle="none", label=titles.get(variant, variant), **style)
        for variant, style in styles.items()
    ]
    bar = {"color": "0.4", "marker": "|", "markersize": 7, "markeredgewidth": 1.6}
    mark = Line2D([], [], linestyle="none", label="printed in the paper", **bar)  # type: ignore[arg-type]
    return [*handles, mark] if printed else handles
