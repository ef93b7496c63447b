"""Measures of methods against the code length, and against the depth of the list (OSDH Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import Context, Place, bits_label
from medhash.analysis.numbers.gains import seed_columns
from medhash.analysis.numbers.summaries import Summary, row_title, summarise
from medhash.papers.specs import FigureSpec
from medhash.schema.base import Count
from medhash.schema.measures import MEASURES, MeasureAt

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.restriction import Restriction

COLUMNS = (
    *("row", "against", "dataset", "method", "variant", "bits", "measure", "k", "status"),
    *("value", "deviation", "random", "n_seeds", "seeds", "scale", "protocol", "synthetic"),
    "note",
)
PANEL_SIZE = (2.5, 2.2)
"""Width and height of one panel in inches."""

_LEGEND_WIDTH = 1.3
_MARKERS = "osD^vPX*"
_LABELS = {"bits": "code length in bits", "depth": "number of retrieved images K"}


class ScorePanel(NamedTuple):
    """A panel: a measure, on a dataset, against ``bits`` or ``depth``."""

    dataset: str
    against: str
    measure: str


class Spec(FigureSpec):
    """One row of panels a dataset against the code length, one against the depth of the list.

    Attributes:
        measures: each is a panel: ``map``, or ``ndcg_at@100`` at one depth, against the code
            length; a measure that has a depth, named without one (``ndcg_at``), against it.
        depth_bits: the code length of panels against the depth.
    """

    kind: Literal["score_curves"]
    measures: tuple[str, ...] = Field(min_length=1)
    depth_bits: Count | None = None

    @model_validator(mode="after")
    def _is_drawn_somewhere(self) -> Spec:
        deep = [name for name in self.measures if _is_deep(name)]
        for name in self.measures:
            if name not in deep and MeasureAt.parse(name).measure.source != "record":
                raise ValueError(f"'measures': {name} is no score of a cell")
        if bool(deep) != (self.depth_bits is not None):
            raise ValueError("'depth_bits' belongs to measures against the depth, to no other")
        if deep and self.depth_bits not in self.bits:
            raise ValueError(f"'depth_bits': {self.depth_bits} is none of 'bits'")
        return self

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Where a run leaves the code length out, its longest stands for it."""
        bits = changes.get("bits", self.bits)
        if self.depth_bits is None or self.depth_bits in bits:
            return {}
        return {"depth_bits": max(bits)}

    def points(self, facts: Sequence[Any], context: Context) -> pd.DataFrame:
        """All points, panel by panel, with :data:`COLUMNS`.

        Values are means over seeds, as records have them; ``random`` is what a random order has.
        """
        import pandas as pd

        rows = [
            _point(self, context, panel, measured, place, summaries.get(place))
            for panel in panels_of(self)
            for measured in _measured(panel, facts)
            for summaries in [summarise(facts, measured)]
            for place in _places(self, panel)
        ]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.astype({"k": "Int64", "n_seeds": "Int64"})

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Panels with one legend beside them; bands are a standard deviation over seeds."""
        rows: dict[tuple[str, str], list[ScorePanel]] = {}
        for panel in panels_of(self):
            rows.setdefault(panel[:2], []).append(panel)
        most, (width, height) = max(map(len, rows.values())), PANEL_SIZE
        figure = titled_figure(most * width + _LEGEND_WIDTH, len(rows) * height, titles)
        grid = figure.subplots(len(rows), most, squeeze=False)
        styles = _styles(list(points["row"].unique()))
        for panels, axes in zip(rows.values(), grid, strict=True):
            for axis in axes[len(panels) :]:
                axis.set_axis_off()
            for panel, axis in zip(panels, axes, strict=False):
                own = points[
                    (points["dataset"] == panel.dataset) & (points["against"] == panel.against)
                ]
                _draw_panel(axis, own[own["measure"] == panel.measure], panel, styles)
                axis.set_title(_title(self, panel, context))
        figure.legend(handles=_handles(styles), loc="outside right center")
        return figure


def panels_of(spec: Spec) -> list[ScorePanel]:
    """The panels, row by row."""
    shallow = [("bits", name) for name in spec.measures if not _is_deep(name)]
    deep = [("depth", name) for name in spec.measures if _is_deep(name)]
    return [ScorePanel(dataset, *each) for dataset in spec.datasets for each in shallow + deep]


def _is_deep(name: str) -> bool:
    return name in MEASURES and MEASURES[name].at_cutoff


def _measured(panel: ScorePanel, records: Sequence[Any]) -> list[MeasureAt]:
    """What a panel shows: one measure, or one at every depth that all records have."""
    if panel.against == "bits":
        return [MeasureAt.parse(panel.measure)]
    scores = panel.measure
    depths = [set(getattr(r.metrics, scores)) for r in records if r.cell.dataset == panel.dataset]
    return [MeasureAt(scores, k) for k in sorted(set.intersection(*depths) if depths else {1})]


def _places(spec: Spec, panel: ScorePanel) -> list[Place]:
    bits = spec.bits if panel.against == "bits" else (spec.depth_bits or 0,)
    axes = product(spec.methods, spec.trained_variants, bits)
    return [Place(panel.dataset, method, variant, length) for method, variant, length in axes]


def _point(
    spec: Spec,
    context: Context,
    panel: ScorePanel,
    measured: MeasureAt,
    place: Place,
    summary: Summary | None,
) -> dict[str, object]:
    row = context.place_row(spec, place, summary is not None)
    row |= {"row": row_title(spec, place, context), "against": panel.against}
    row |= {"measure": panel.measure, "k": measured.cutoff}
    if summary is None:
        return row
    numbers = {"value": summary.mean, "deviation": summary.deviation}
    return row | numbers | seed_columns(summary.seeds) | {"random": summary.chance("random")}


def _title(spec: Spec, panel: ScorePanel, context: Context) -> str:
    if panel.against == "bits":
        what = MeasureAt.parse(panel.measure).title
    else:
        what = f"{MEASURES[panel.measure].title.format(k='K')}, {bits_label(spec.depth_bits or 0)}"
    several = len(spec.datasets) > 1
    return f"{context.paper.dataset_title(panel.dataset)}\n{what}" if several else what


def _draw_panel(
    axes: Axes, points: pd.DataFrame, panel: ScorePanel, styles: dict[str, dict[str, Any]]
) -> None:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        say_not_run(axes, points["note"].iloc[0])
        return
    x_name = "bits" if panel.against == "bits" else "k"
    for row, curve in ran.groupby("row", sort=False):
        x, y, half = (curve[n].to_numpy(float) for n in (x_name, "value", "deviation"))
        axes.plot(x, y, **styles[str(row)])
        # One seed has no deviation (NaN), and NaN is not drawn.
        axes.fill_between(x, y - half, y + half, color=styles[str(row)]["color"], alpha=0.12, lw=0)
    chance = ran.dropna(subset="random").drop_duplicates(x_name)
    axes.plot(chance[x_name].to_numpy(float), chance["random"].to_numpy(float), **_CHANCE)
    axes.set_xlabel(_LABELS[panel.against])
    if panel.against == "bits":
        axes.set_xticks(sorted(ran["bits"].unique()))
    else:
        axes.set_xscale("log")


_CHANCE: dict[str, Any] = {"color": "0.5", "linestyle": ":", "label": "random order"}


def _styles(rows: Sequence[str]) -> dict[str, dict[str, Any]]:
    import seaborn as sns

    colours = sns.color_palette("colorblind", len(rows))
    return {
        row: {"color": colour, "marker": marker, "label": row}
        for row, colour, marker in zip(rows, colours, cycle(_MARKERS), strict=False)
    }


def _handles(styles: dict[str, dict[str, Any]]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], **style) for style in (*styles.values(), _CHANCE)]
