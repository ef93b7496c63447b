"""mAP against the settings of an ablation, one panel a parameter and dataset (ACH Fig. 10)."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator

from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import Context, Place
from medhash.analysis.numbers.summaries import summarise
from medhash.papers.specs import FigureSpec, Name
from medhash.records.record import Record
from medhash.schema.base import StrictModel
from medhash.schema.variants import BASELINE, reasons_about_lesions, split_variant

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.restriction import Restriction

COLUMNS = (
    *("panel", "label", "dataset", "method", "variant", "bits", "status", "map", "deviation"),
    *("n_seeds", "scale", "protocol", "synthetic", "note"),
)
PANEL_SIZE = (2.9, 2.3)
_MANY = 8


class SensitivityPanel(StrictModel):
    """One parameter of a sensitivity figure.

    Attributes:
        title: name of the parameter.
        points: label on the axis -> variant, mostly an ablation (``ach~window-6``).
        legend: what stands behind labels that do not explain themselves.
    """

    title: str
    points: dict[str, Name] = Field(min_length=1)
    legend: str = ""

    @field_validator("points", mode="before")
    @classmethod
    def _labels_are_text(cls, points: Any) -> Any:
        return (
            {str(label): v for label, v in points.items()} if isinstance(points, dict) else points
        )

    def only(self, is_kept: Callable[[str], bool]) -> SensitivityPanel:
        """The panel with some of its points."""
        points = {label: variant for label, variant in self.points.items() if is_kept(variant)}
        return self.model_copy(update={"points": points})

    def renamed(self, name: Callable[[str], str]) -> SensitivityPanel:
        """The panel with other variants."""
        points = {label: name(variant) for label, variant in self.points.items()}
        return self.model_copy(update={"points": points})


class Spec(FigureSpec):
    """mAP against settings.

    Attributes:
        panels: the parameters.
    """

    kind: Literal["sensitivity"]
    panels: tuple[SensitivityPanel, ...] = Field(min_length=1)

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The listed variants and those of the panels' points."""
        points = (variant for own in self.points_of_panels.values() for variant in own)
        return tuple(dict.fromkeys((*self.variants, *points)))

    @property
    def points_of_panels(self) -> dict[str, tuple[str, ...]]:
        """Title of a panel -> its variants."""
        return {panel.title: tuple(panel.points.values()) for panel in self.panels}

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """The points of the variants that run, without the ablations that are thinned."""

        def is_kept(variant: str) -> bool:
            base, ablation = split_variant(variant)
            kept = run.ablations
            return base in variants and (not ablation or kept is None or ablation in kept)

        variants = changes.get("variants", ())
        return {"panels": tuple(panel.only(is_kept) for panel in self.panels)}

    def merged(self, merge: Callable[[str], str]) -> Self:
        """The same with one variant for all that come to the same settings."""
        panels = tuple(panel.renamed(merge) for panel in self.panels)
        return self.model_copy(update={"panels": panels})

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """All points, panel by panel, with :data:`COLUMNS`; mAP as a fraction, mean over seeds.

        Variants without a panel's label are reference lines.
        """
        import pandas as pd

        summaries, rows = summarise(facts), []
        for panel in self.panels:
            labels = {variant: variant for variant in self.variants} | panel.points
            axes = product(labels.items(), self.datasets, self.methods, self.bits)
            for (label, variant), dataset, method, bits in axes:
                place = Place(dataset, method, variant, bits)
                found = summaries.get(place)
                row = context.place_row(self, place, found is not None)
                row |= {"panel": panel.title, "label": label}
                if found is not None:
                    row |= {"map": found.mean, "deviation": found.deviation}
                    row |= {"n_seeds": len(found.seeds)}
                rows.append(row)
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n_seeds": "Int64"})

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Panels of parameters in columns, datasets in rows; the baseline is a dashed line."""
        panels = [panel for panel in self.panels if panel.points]
        legends = [panel.legend for panel in panels if panel.legend]
        width, height = PANEL_SIZE
        rows, columns = len(self.datasets), max(len(panels), 1)
        lines = [*titles, *_merged_note(panels), *legends]
        figure = titled_figure(columns * width + 1.3, rows * height, lines)
        grid = figure.subplots(rows, columns, squeeze=False)
        for dataset, line in zip(self.datasets, grid, strict=True):
            own = points[points["dataset"] == dataset]
            title = textwrap.fill(context.paper.dataset_title(dataset), 24)
            line[0].set_ylabel(f"{title}\nmAP (%)")
            for panel, axes in zip(panels, line, strict=False):
                _draw_panel(axes, panel, own[own["panel"] == panel.title], self, context)
            _share_scale(line)
        entries: dict[str, Any] = {}
        for axes in grid.flat:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                entries.setdefault(label, handle)
        figure.legend(entries.values(), entries.keys(), loc="outside right center")
        return figure


def _draw_panel(
    axes: Axes, panel: SensitivityPanel, points: pd.DataFrame, spec: Spec, context: Context
) -> None:
    ran = points[points["status"] == "ran"]
    if ran.empty:
        say_not_run(axes, points["note"].iloc[0])
        return
    labels = list(panel.points)
    for method, bits in product(spec.methods, spec.bits):
        curve = ran[(ran["method"] == method) & (ran["bits"] == bits)].set_index("label")
        base = split_variant(next(iter(panel.points.values())))[0]
        _draw_curve(axes, curve, labels, panel, context.paper.method_title(method, base))
        baseline = curve[curve["variant"] == BASELINE]
        if len(baseline):
            style: dict[str, Any] = {"color": "0.35", "linestyle": "--", "linewidth": 1.0}
            title = context.paper.method_title(method)
            axes.axhline(100 * baseline["map"].iloc[0], label=title, **style)
    size = 8 if len(labels) <= _MANY else 6.5
    axes.set_xticks(range(len(labels)), labels, fontsize=size)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xlabel(textwrap.fill(panel.title, 38))


def _draw_curve(
    axes: Axes, curve: pd.DataFrame, labels: list[str], panel: SensitivityPanel, title: str
) -> None:
    import seaborn as sns

    found = [(x, label) for x, label in enumerate(labels) if label in curve.index]
    shown = curve.loc[[label for _, label in found], ["map", "deviation"]].astype(float)
    heights, errors = (100 * shown[column].to_numpy() for column in shown)
    places = [x for x, _ in found]
    colour = sns.color_palette("colorblind")[0]
    axes.errorbar(places, heights, yerr=errors, color=colour, marker="o", capsize=2, label=title)
    both = zip(found, heights, strict=True)
    chosen = [(x, h) for (x, label), h in both if not split_variant(panel.points[label])[1]]
    if chosen:
        style: dict[str, Any] = {"linestyle": "none", "markersize": 8, "markerfacecolor": "none"}
        xs, hs = zip(*chosen, strict=True)
        axes.plot(xs, hs, color=colour, marker="o", label="setting of the run", **style)


def _share_scale(line: Sequence[Axes]) -> None:
    """One range of mAP for a dataset, so that panels can be compared."""
    drawn = [axes for axes in line if axes.has_data()]
    if drawn:
        least = min(axes.get_ylim()[0] for axes in drawn)
        greatest = max(axes.get_ylim()[1] for axes in drawn)
        for axes in drawn:
            axes.set_ylim(least, greatest)


def _merged_note(panels: Sequence[SensitivityPanel]) -> list[str]:
    """Of sizes in patches: which labels came to the same settings on this run's smaller grid."""
    variants = [variant for panel in panels for variant in panel.points.values()]
    if not any(map(reasons_about_lesions, variants)):
        return []
    texts = []
    for panel in panels:
        for variant in dict.fromkeys(panel.points.values()):
            labels = [label for label, other in panel.points.items() if other == variant]
            if len(labels) > 1:
                texts.append(f"{' = '.join(labels)} ({panel.title})")
    note = "Labels are sizes on the paper's grid of patches, scaled to this run's grid."
    return [f"{note} The same there: {'; '.join(texts)}." if texts else note]
