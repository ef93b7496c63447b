"""How often C2F-LP points at a known lesion against epochs: a row a dataset, a column a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.numbers.context import NOT_RUN, Context
from medhash.analysis.numbers.pointing import PointingSpec
from medhash.papers.specs import FigureSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_SIZE = (2.1, 1.7)
"""Width and height of one panel in inches."""

_LEAST_WIDTH = 6.5


class Spec(PointingSpec, FigureSpec):
    """Hit rates of C2F-LP beside those of chance."""

    kind: Literal["pointing"]

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Colour is the variant: solid C2F-LP, dotted its salient area, dashed any patch."""
        import seaborn as sns

        width = max(_LEAST_WIDTH, PANEL_SIZE[0] * len(self.methods) + 0.6)
        height = (PANEL_SIZE[1] + 0.25) * len(self.datasets) + 0.7
        figure = titled_figure(width, height, titles)
        rows = figure.subfigures(len(self.datasets), 1, squeeze=False)[:, 0]
        palette = sns.color_palette("colorblind", len(self.variants))
        colours = dict(zip(self.variants, palette, strict=True))
        for dataset, row in zip(self.datasets, rows, strict=True):
            row.suptitle(context.paper.dataset_title(dataset), fontsize=8.5, fontweight="bold")
            axes = row.subplots(1, len(self.methods), sharey=True, squeeze=False)[0]
            axes[0].set_ylabel("hits (%)")
            for method, axis in zip(self.methods, axes, strict=True):
                axis.set(title=context.paper.method_title(method), xlabel="epoch")
                axis.xaxis.get_major_locator().set_params(integer=True)
                own = points[(points["dataset"] == dataset) & (points["method"] == method)]
                _draw_panel(axis, own, colours)
        figure.legend(handles=_handles(colours, context), loc="outside lower center", ncols=3)
        return figure


def _draw_panel(axes: Axes, points: pd.DataFrame, colours: dict[str, Any]) -> None:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        axes.text(0.5, 0.5, NOT_RUN, transform=axes.transAxes, ha="center", color="0.35")
        return
    for variant, colour in colours.items():
        own = ran[ran["variant"] == variant]
        x, y = (own[name].to_numpy(float) for name in ("epoch", "hit_percent"))
        axes.plot(x, y, color=colour, marker="o")
        least, most = (own[f"interval_{e}_percent"].to_numpy(float) for e in ("least", "greatest"))
        axes.fill_between(x, least, most, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, own["window_percent"].to_numpy(float), color=colour, linestyle=":")
    axes.axhline(ran["chance_percent"].iloc[0], color="0.35", linestyle="--", linewidth=1.0)
    axes.set_ylim(bottom=0)


def _handles(colours: dict[str, Any], context: Context) -> list[Any]:
    from matplotlib.lines import Line2D

    titles = context.paper.variants
    handles = [
        Line2D([], [], color=colour, marker="o", label=titles.get(variant) or "baseline")
        for variant, colour in colours.items()
    ]
    area = "any patch of the salient area, on average"
    handles.append(Line2D([], [], color="0.35", linestyle=":", label=area))
    image = "any patch of the image"
    return [*handles, Line2D([], [], color="0.35", linestyle="--", label=image)]
