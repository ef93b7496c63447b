"""Precision of the first K results against K (ACH Fig. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from medhash.analysis.figures.curves import CurveSpec, mean_precision
from medhash.records.record import Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Spec(CurveSpec):
    """P@K against K."""

    axes: ClassVar[tuple[str, str]] = ("k", "precision")

    kind: Literal["precision_at_k"]

    def curve(self, records: Sequence[Record]) -> list[dict[str, object]]:
        """One point a cutoff that all seeds have."""
        cutoffs = sorted(set.intersection(*(set(r.metrics.precision_at) for r in records)))
        return [
            {"k": k, **mean_precision([record.metrics.precision_at[k] for record in records])}
            for k in cutoffs
        ]

    def label_axes(self, axes: Axes, points: pd.DataFrame) -> None:
        """The axis is logarithmic where the cutoffs span more than one order of magnitude."""
        from matplotlib.ticker import NullLocator, StrMethodFormatter

        axes.set_xlabel("number of retrieved images K")
        axes.set_ylabel("precision at K")
        if points["k"].max() > 10 * points["k"].min():
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
