"""Precision against recall within each Hamming radius (ACH Fig. 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from medhash.analysis.figures.curves import CurveSpec, mean_precision
from medhash.records.record import Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Spec(CurveSpec):
    """Precision against recall; a cell without Hamming distances has no curve."""

    axes: ClassVar[tuple[str, str]] = ("recall", "precision")

    kind: Literal["precision_recall"]

    def curve(self, records: Sequence[Record]) -> list[dict[str, object]]:
        """One point a radius; a radius at which no seed retrieves anything has no precision."""
        curves = [r.metrics.pr_curve for r in records if r.metrics.pr_curve is not None]
        points: list[dict[str, object]] = []
        for index, radius in enumerate(curves[0].places if curves else ()):
            precisions = [p for p in (curve.precision[index] for curve in curves) if p is not None]
            if precisions:
                recall = float(np.mean([curve.recall[index] for curve in curves]))
                points.append({"radius": radius, "recall": recall, **mean_precision(precisions)})
        return points

    def label_axes(self, axes: Axes, points: pd.DataFrame) -> None:
        """Recall runs from 0 to 1."""
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.set_xlim(-0.02, 1.02)
