"""Figures from records: one panel a dataset (and code length), as PDF and PNG.

Matplotlib and seaborn are imported on the first drawing only: a table needs neither.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medhash.analysis.figures.confounding import draw_confounding
from medhash.analysis.figures.curves import curve_points
from medhash.analysis.figures.drawing import say_not_run, titled_figure, write_figure
from medhash.analysis.figures.sensitivity import draw_sensitivity, sensitivity_points
from medhash.analysis.numbers.confounding import confounding_points, details
from medhash.analysis.numbers.context import NOT_RUN, Context, bits_label, select
from medhash.papers.paper import FigureSpec
from medhash.records.record import Record
from medhash.schema.variants import parts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANEL_SIZE = (3.9, 3.0)
"""Width and height of one panel in inches."""

_MARKERS = "os^DvPX*<>"
_BASELINE_STYLE = "--"
_OTHER_STYLES: tuple[Any, ...] = ("-", "-.", ":", (0, (7, 1, 1, 1, 1, 1)), (0, (1, 3)))
_LEGEND_WIDTH = 1.3


def make_figure(
    spec: FigureSpec, records: Sequence[Record], context: Context, output_stem: Path
) -> list[Path]:
    """Write ``<output_stem>.pdf``, ``.png`` and, with the points that are drawn, ``.csv``.

    Colour and marker are the method, the line's style is the variant; with several seeds the
    curve is their mean and the band one standard deviation to either side.

    Args:
        spec: the grid; a panel without any record says that it did not run.
        records: at least those of the grid that exist; others are ignored.
        context: names, scale and protocol.
        output_stem: path without suffix, such as ``results/small/ach/figures/fig7``.

    Returns:
        The three paths.

    Raises:
        MedhashError: a record of another scale or protocol. Nothing is written then.
    """
    chosen = select(spec, records, context)
    if spec.kind == "confounding":
        return _make_confounding(spec, chosen, context, output_stem)
    titles = (context.heading(spec), context.details(spec, chosen))
    if spec.kind == "sensitivity":
        points = sensitivity_points(spec, chosen, context)
        return write_figure(
            lambda: draw_sensitivity(spec, points, context, titles), points, output_stem
        )
    points = curve_points(spec, chosen, context)
    return write_figure(lambda: draw(spec, points, context, titles), points, output_stem)


def draw(spec: FigureSpec, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
    """Draw the panels, datasets by code lengths, and one legend beside them.

    Args:
        spec: the grid.
        points: from :func:`~medhash.analysis.figures.curves.curve_points`.
        context: names.
        titles: lines above the panels; long ones are wrapped.
    """
    rows, columns = len(spec.bits), len(spec.datasets)
    width, height = PANEL_SIZE
    figure = titled_figure(columns * width + _LEGEND_WIDTH, rows * height, titles)
    styles = _Styles(spec.methods, spec.trained_variants)
    panels = figure.subplots(rows, columns, squeeze=False)
    for bits, row in zip(spec.bits, panels, strict=True):
        for dataset, axes in zip(spec.datasets, row, strict=True):
            axes.set_title(f"{context.paper.dataset_title(dataset)}, {bits_label(bits)}")
            own = points[(points["dataset"] == dataset) & (points["bits"] == bits)]
            _draw_panel(axes, own, spec.kind, styles)
    legend = figure.legend(handles=styles.legend(context), loc="outside right center")
    for text in legend.get_texts():
        if text.get_text() in _Styles.HEADINGS:
            text.set_fontweight("bold")
    return figure


def _make_confounding(
    spec: FigureSpec, records: Sequence[Record], context: Context, output_stem: Path
) -> list[Path]:
    points = confounding_points(spec, records, context)
    titles = (context.heading(spec), details(spec, records, context))
    return write_figure(
        lambda: draw_confounding(spec, points, context, titles), points, output_stem
    )


class _Styles:
    """Colour and marker of every method, line style of every variant."""

    HEADINGS = ("Method", "Variant")

    def __init__(self, methods: Sequence[str], variants: Sequence[str]) -> None:
        import seaborn as sns

        colours = sns.color_palette("colorblind", len(methods))
        self._methods = {
            method: {"color": colour, "marker": marker}
            for method, colour, marker in zip(methods, colours, cycle(_MARKERS), strict=False)
        }
        # The solid line is for the variant with the most parts, the paper's own proposal.
        others = sorted(
            (variant for variant in variants if variant != "none"),
            key=lambda variant: -len(parts_of(variant)),
        )
        lines = {"none": _BASELINE_STYLE, **dict(zip(others, cycle(_OTHER_STYLES), strict=False))}
        self._variants = {variant: lines[variant] for variant in variants}

    def of(self, method: str, variant: str) -> dict[str, Any]:
        """Keyword arguments for a curve; a baseline's markers are hollow."""
        style = {**self._methods[method], "linestyle": self._variants[variant]}
        return style | {"markerfacecolor": "white"} if variant == "none" else style

    def legend(self, context: Context) -> list[Line2D]:
        """One entry a method and one a variant, each part under its heading."""
        from matplotlib.lines import Line2D

        def entry(label: str, **style: Any) -> Line2D:
            return Line2D([], [], label=label, **style)

        titles = context.paper.variants
        methods = [entry(context.paper.method_title(m), **s) for m, s in self._methods.items()]
        variants = [
            entry(titles.get(variant, variant) or "baseline", color="0.3", linestyle=style)
            for variant, style in self._variants.items()
        ]
        headings = [entry(heading, linestyle="none") for heading in self.HEADINGS]
        return [headings[0], *methods, entry(" ", linestyle="none"), headings[1], *variants]


def _draw_panel(axes: Axes, points: pd.DataFrame, kind: str, styles: _Styles) -> None:
    ran = points[points["status"] == "ran"]
    missing = points[points["status"] == NOT_RUN]
    if ran.empty:
        say_not_run(axes, missing["note"].iloc[0])
        return
    _label_axes(axes, kind)
    x_name = "k" if kind == "precision_at_k" else "recall"
    for (method, variant), curve in ran.groupby(["method", "variant"], sort=False):
        _draw_curve(axes, curve, x_name, styles.of(str(method), str(variant)))
    if kind == "precision_at_k":
        _scale_cutoffs(axes, ran["k"])
    if not missing.empty:
        _list_missing(axes, missing["row"])


def _label_axes(axes: Axes, kind: str) -> None:
    if kind == "precision_at_k":
        axes.set_xlabel("number of retrieved images K")
        axes.set_ylabel("precision at K")
    else:
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.set_xlim(-0.02, 1.02)


def _draw_curve(axes: Axes, curve: pd.DataFrame, x_name: str, style: dict[str, Any]) -> None:
    x = curve[x_name].to_numpy(dtype=float)
    precision = curve["precision"].to_numpy(dtype=float)
    deviation = curve["precision_deviation"].to_numpy(dtype=float)
    axes.plot(x, precision, **style)
    # One seed has no deviation (NaN), and NaN is not drawn.
    axes.fill_between(
        x, precision - deviation, precision + deviation, color=style["color"], alpha=0.12, lw=0
    )


def _scale_cutoffs(axes: Axes, cutoffs: pd.Series) -> None:
    """A logarithmic axis where the cutoffs span more than one order of magnitude."""
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    if cutoffs.max() > 10 * cutoffs.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())


def _list_missing(axes: Axes, rows: Iterable[str]) -> None:
    text = textwrap.fill(f"{NOT_RUN}: {', '.join(rows)}", 60)
    axes.set_title(f"{axes.get_title()}\n{text}")
