"""What curves of precision share: their points, averaged over seeds, and their panels."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import cycle, product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import NOT_RUN, Context, Place, bits_label, seeds_of
from medhash.analysis.numbers.gains import seed_columns
from medhash.papers.specs import FigureSpec
from medhash.records.record import Record
from medhash.schema.variants import parts_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANEL_SIZE = (3.9, 3.0)
"""Width and height of one panel in inches."""

_MARKERS = "os^DvPX*<>"
_BASELINE_STYLE = "--"
_OTHER_STYLES: tuple[Any, ...] = ("-", "-.", ":", (0, (7, 1, 1, 1, 1, 1)), (0, (1, 3)))
_LEGEND_WIDTH = 1.3

POINT_COLUMNS = ("k", "radius", "recall", "precision", "precision_deviation")
"""Numeric columns of the points; those that a kind of figure lacks are empty."""

CSV_COLUMNS = (
    *("row", "column", "dataset", "method", "variant", "bits", "status"),
    *POINT_COLUMNS,
    *("n_seeds", "seeds", "scale", "protocol", "synthetic", "note"),
)


class CurveSpec(FigureSpec):
    """A figure of curves, one panel a dataset and code length.

    Colour and marker are the method, the line's style is the variant; with several seeds the
    curve is their mean and the band one standard deviation to either side.
    """

    axes: ClassVar[tuple[str, str]]

    def curve(self, records: Sequence[Record]) -> list[dict[str, object]]:
        """The points of one curve, from the records of its seeds."""
        raise NotImplementedError

    def label_axes(self, axes: Axes, points: pd.DataFrame) -> None:
        """Label and scale the axes of a panel with these points."""
        raise NotImplementedError

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """All points, in the order in which they are drawn, with :data:`CSV_COLUMNS`.

        A curve has one row a point. Precision and recall are fractions, means over seeds.
        """
        import pandas as pd

        by_place: dict[Place, list[Record]] = {}
        for record in facts:
            by_place.setdefault(Place.of(record.cell), []).append(record)
        rows: list[dict[str, object]] = []
        axes = product(self.bits, self.datasets, self.methods, self.trained_variants)
        for bits, dataset, method, variant in axes:
            place = Place(dataset, method, variant, bits)
            own = by_place.get(place, [])
            common = context.place_row(self, place, bool(own))
            if own:
                common |= seed_columns(seeds_of(own))
            rows += [common | point for point in (self.curve(own) if own else [{}])]
        frame = pd.DataFrame(rows, columns=list(CSV_COLUMNS))
        return frame.astype({"k": "Int64", "radius": "Int64", "n_seeds": "Int64"})

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Panels, datasets by code lengths, and one legend beside them."""
        rows, columns = len(self.bits), len(self.datasets)
        width, height = PANEL_SIZE
        figure = titled_figure(columns * width + _LEGEND_WIDTH, rows * height, titles)
        styles = _Styles(self.methods, self.trained_variants)
        panels = figure.subplots(rows, columns, squeeze=False)
        for (bits, dataset), axes in zip(
            product(self.bits, self.datasets), panels.flat, strict=True
        ):
            axes.set_title(f"{context.paper.dataset_title(dataset)}, {bits_label(bits)}")
            own = points[(points["dataset"] == dataset) & (points["bits"] == bits)]
            _draw_panel(axes, own, self, styles)
        legend = figure.legend(handles=styles.legend(context), loc="outside right center")
        for text in legend.get_texts():
            if text.get_text() in _Styles.HEADINGS:
                text.set_fontweight("bold")
        return figure


def mean_precision(values: Sequence[float]) -> dict[str, object]:
    """Mean over seeds and standard deviation, as a point has them."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"precision": float(np.mean(values)), "precision_deviation": deviation}


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


def _draw_panel(axes: Axes, points: pd.DataFrame, spec: CurveSpec, styles: _Styles) -> None:
    ran = points[points["status"] == "ran"]
    missing = points[points["status"] == NOT_RUN]
    if ran.empty:
        say_not_run(axes, missing["note"].iloc[0])
        return
    spec.label_axes(axes, ran)
    for (method, variant), curve in ran.groupby(["method", "variant"], sort=False):
        _draw_curve(axes, curve, spec.axes[0], styles.of(str(method), str(variant)))
    if not missing.empty:
        _list_missing(axes, missing["row"])


def _draw_curve(axes: Axes, curve: pd.DataFrame, x_name: str, style: dict[str, Any]) -> None:
    x = curve[x_name].to_numpy(dtype=float)
    precision = curve["precision"].to_numpy(dtype=float)
    deviation = curve["precision_deviation"].to_numpy(dtype=float)
    axes.plot(x, precision, **style)
    # One seed has no deviation (NaN), and NaN is not drawn.
    axes.fill_between(
        x, precision - deviation, precision + deviation, color=style["color"], alpha=0.12, lw=0
    )


def _list_missing(axes: Axes, rows: Iterable[str]) -> None:
    text = textwrap.fill(f"{NOT_RUN}: {', '.join(rows)}", 60)
    axes.set_title(f"{axes.get_title()}\n{text}")
