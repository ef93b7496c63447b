"""The points of P@K and precision-recall curves, averaged over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from medhash.analysis.numbers.context import NOT_RUN, Context, is_synthetic, seeds_of
from medhash.analysis.numbers.summaries import Place
from medhash.papers.paper import FigureSpec
from medhash.records.record import Record

POINT_COLUMNS = ("k", "radius", "recall", "precision", "precision_deviation")
"""Numeric columns of :func:`curve_points`; those that a kind of figure lacks are empty."""

CSV_COLUMNS = (
    "row",
    "column",
    "dataset",
    "method",
    "variant",
    "bits",
    "status",
    *POINT_COLUMNS,
    "n_seeds",
    "seeds",
    "scale",
    "protocol",
    "synthetic",
    "note",
)


def curve_points(spec: FigureSpec, records: Sequence[Record], context: Context) -> pd.DataFrame:
    """All points of a figure, in the order in which they are drawn.

    Returns:
        Frame with :data:`CSV_COLUMNS`. A curve has one row a point; a curve that did not run has
        one row with that status. Precision and recall are fractions, means over seeds.
    """
    by_place: dict[Place, list[Record]] = {}
    for record in records:
        by_place.setdefault(Place.of(record.cell), []).append(record)
    curve = _CURVES[spec.kind]
    rows = []
    for place in places_of(spec):
        common = _common(place, context)
        if place in by_place:
            seeds = seeds_of(by_place[place])
            common |= {"status": "ran", "note": "", "n_seeds": len(seeds)}
            common |= {"seeds": " ".join(map(str, seeds))}
            rows += [common | point for point in curve(by_place[place])]
        else:
            note = context.why_not_run(spec, place.dataset)
            rows.append(common | {"status": NOT_RUN, "note": note})
    frame = pd.DataFrame(rows, columns=list(CSV_COLUMNS))
    return frame.astype({"k": "Int64", "radius": "Int64", "n_seeds": "Int64"})


def places_of(spec: FigureSpec) -> list[Place]:
    """The curves of a figure, panel by panel."""
    return [
        Place(dataset, method, variant, bits)
        for bits in spec.bits
        for dataset in spec.datasets
        for method in spec.methods
        for variant in spec.trained_variants
    ]


def _common(place: Place, context: Context) -> dict[str, object]:
    return {
        "row": context.paper.method_title(place.method, place.variant),
        "column": context.column_label(place.dataset, place.bits),
        **place._asdict(),
        "scale": context.scale,
        "protocol": context.protocol,
        "synthetic": str(is_synthetic(place.dataset)).lower(),
    }


def _precision_at_k(records: Sequence[Record]) -> list[dict[str, object]]:
    cutoffs = sorted(set.intersection(*(set(r.metrics.precision_at) for r in records)))
    points = []
    for cutoff in cutoffs:
        precisions = [record.metrics.precision_at[cutoff] for record in records]
        points.append({"k": cutoff, **_mean_precision(precisions)})
    return points


def _precision_recall(records: Sequence[Record]) -> list[dict[str, object]]:
    """One point a radius; a radius at which no seed retrieves anything has no precision."""
    curves = [record.metrics.pr_curve for record in records]
    points = []
    for index, radius in enumerate(curves[0].radius):
        precisions = [p for p in (curve.precision[index] for curve in curves) if p is not None]
        if precisions:
            recall = float(np.mean([curve.recall[index] for curve in curves]))
            points.append({"radius": radius, "recall": recall, **_mean_precision(precisions)})
    return points


def _mean_precision(values: Sequence[float]) -> dict[str, object]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"precision": float(np.mean(values)), "precision_deviation": deviation}


_CURVES: dict[str, Callable[[Sequence[Record]], list[dict[str, object]]]] = {
    "precision_at_k": _precision_at_k,
    "precision_recall": _precision_recall,
}
