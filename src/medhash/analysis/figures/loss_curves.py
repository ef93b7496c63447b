"""Two losses, their sum and their coupled loss, epoch by epoch (Y-Net Fig. 8)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.flow.files import cell_files
from medhash.papers.specs import Drawn, FigureSpec, Name
from medhash.schema.base import Count, Fraction
from medhash.schema.cell import Cell
from medhash.stored import Part, read_csv, read_model

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from medhash.configuration.loading import Configuration

SUM, COUPLED = "sum", "coupled"
NOTE = (
    "Means over the batches of an epoch, all of one training; each loss without its weight. The "
    "coupled loss (Eq. 2) is weighted by omega and 1 - omega: at omega 0.5 it is half of the sum, "
    "whatever is trained."
)
_STYLES = (
    {"color": "#c99700", "linestyle": "--", "marker": "s"},
    {"color": "#2e8b57", "linestyle": "-.", "marker": "^"},
    {"color": "#1f5fbf", "linestyle": "-", "marker": "o"},
    {"color": "#d7191c", "linestyle": "-", "marker": "D"},
)
"""Yellow, green, blue and red, as the paper has them."""


class _Coupling(Part):
    """How a method weighted its two losses."""

    loss: Literal["coupled", "sum"]
    omega: Fraction
    learned_omega: bool


class _Account(Part):
    """What is read of a cell's ``training.json``."""

    method_settings: _Coupling


class Spec(FigureSpec):
    """Losses against epochs, of the first seed; one panel a dataset and variant.

    Attributes:
        losses: column of ``train.csv`` -> its title: first the one that 1 - omega weighs, then the
            one that omega weighs.
        epochs: how many are shown, from the first.
    """

    one_seed: ClassVar[bool] = True
    shows_scores: ClassVar[bool] = False
    axes: ClassVar[tuple[str, str]] = ("epoch", "loss")

    kind: Literal["loss_curves"]
    losses: dict[Name, str]
    epochs: Count = 50

    def inputs(self, files: Configuration) -> list[Path]:
        """Records, losses and what was trained with."""
        return super().inputs(files) + [
            path
            for cell in self.cells()
            for path in cell_files(files.layout, cell, "losses", "facts").values()
        ]

    def drawn(self, facts: Sequence[Any], context: Context, files: Configuration) -> Drawn:
        """From the losses of the cells that ran.

        Raises:
            MedhashError: a cell has a record and no losses, lacks one of them, or its weights are
                not known.
        """
        import pandas as pd

        parts = [self._losses(each.cell, files.layout) for each in facts]
        points = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        titles = (context.heading(self), self.details(facts, context), NOTE)
        return points, lambda: self.draw(points, context, titles)

    def _losses(self, cell: Cell, layout: Layout) -> pd.DataFrame:
        """Columns: cell, dataset, variant, omega, curve, epoch (from 1), loss."""
        import pandas as pd

        paths = cell_files(layout, cell, "losses", "facts")
        table = read_csv(paths["losses"], ("epoch", *self.losses)).astype(float)[: self.epochs]
        how = read_model(paths["facts"], _Account, what="account of a training").method_settings
        weights = (1.0, 1.0) if how.loss == SUM else (1 - how.omega, how.omega)
        if how.learned_omega or 0 in weights:
            raise MedhashError(
                f"{paths['facts']}: omega was learned, or is 0 or 1, so that the losses cannot be "
                f"told without their weights; choose another variant for {self.key}"
            )
        pairs = zip(self.losses.items(), weights, strict=True)
        curves = {title: table[name] / weight for (name, title), weight in pairs}
        curves[SUM] = pd.DataFrame(curves).sum(axis=1)
        if how.loss == COUPLED:
            curves[COUPLED] = table[list(self.losses)].sum(axis=1)
        named: dict[str, Any] = {"cell": str(cell), "dataset": cell.dataset}
        named |= {"variant": cell.variant, "omega": how.omega}
        epochs = table["epoch"].astype(int)
        parts = [
            pd.DataFrame(named | {"curve": name, "epoch": epochs, "loss": values})
            for name, values in curves.items()
        ]
        return pd.concat(parts)

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """Datasets in columns, variants in rows."""
        figure = titled_figure(3.9 * len(self.datasets) + 1.5, 2.9 * len(self.variants), titles)
        panels = figure.subplots(len(self.variants), len(self.datasets), squeeze=False)
        handles: dict[str, Any] = {}
        grid = product(self.variants, self.datasets)
        for (variant, dataset), axes in zip(grid, panels.flat, strict=True):
            title = context.paper.method_title(self.methods[0], variant)
            axes.set_title(f"{context.paper.dataset_title(dataset)}, {title}")
            own = points[(points["dataset"] == dataset) & (points["variant"] == variant)]
            if own.empty:
                say_not_run(axes, context.why_not_run(self, dataset))
                continue
            names = (*self.losses.values(), SUM, COUPLED)
            for name, style in zip(names, _STYLES, strict=True):
                curve = own[own["curve"] == name]
                if len(curve):
                    (line,) = axes.plot(curve["epoch"], curve["loss"], markevery=0.1, **style)
                    handles[name] = line
            omega = own["omega"].iloc[0]
            axes.set(xlabel=f"epoch (omega {omega:g})", ylabel="loss", ylim=(0, None))
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(handles.values(), handles.keys(), loc="outside right center")
        return figure
