"""Score codes under a named protocol, and say the result as JSON or to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes, read_foreign
from medhash.retrieval.counting import Counts, count, most_shared
from medhash.retrieval.metrics import QueryScores, precision_recall, tie_aware_scores, tie_range
from medhash.retrieval.ranking import stable_scores

Protocol = Literal["tie-aware", "stable"]

DEFAULT_CUTOFFS = (1, 5, 10, 20, 50, 100, 200, 500, 1000)

# 2^s - 1 must stay a float; no image has this many labels.
_MOST_SHARED_LABELS = 1000

_METRICS_AT = {
    "map_at": "average_precision_at",
    "precision_at": "precision_at",
    "recall_at": "recall_at",
    "ndcg_at": "ndcg_at",
    "acg_at": "acg_at",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one set of codes.

    Attributes:
        metrics: ready for JSON, see :func:`evaluate`.
        scores: the values of each query under the protocol, of which the metrics are means.
    """

    metrics: dict[str, Any]
    scores: QueryScores

    @property
    def per_query_ap(self) -> NDArray[np.float64]:
        """Average precision of each query, float64 (queries,)."""
        return self.scores.average_precision


def evaluate(
    codes: Codes, protocol: Protocol = "tie-aware", cutoffs: Sequence[int] = DEFAULT_CUTOFFS
) -> Evaluation:
    """Score codes.

    The metrics are means over all queries, as plain Python numbers:

    * ``protocol``, ``queries``, ``database`` (items), ``bits``;
    * ``map``, ``map_weighted`` (mAP and mAP_w over the whole database);
    * ``map_at``, ``precision_at``, ``recall_at``, ``ndcg_at``, ``acg_at``: objects keyed by K as
      text. A cutoff beyond the database's size is left out: there is no such rank;
    * ``pr_curve``: ``radius`` 0 .. q, ``precision`` (``None`` where no query retrieves anything)
      and ``recall`` within the radius; the same in both protocols;
    * ``tie_range``: least and greatest mAP over all orders of ties; the same in both protocols;
    * ``queries_without_relevant``: how many queries have no relevant item. Each counts as 0 in
      every mean.

    ``medhash.retrieval.metrics.QueryScores`` defines the metrics. ACG and mAP_w count shared
    labels and can exceed 1.

    Args:
        codes: of queries and database.
        protocol: ``tie-aware`` (the expectation over random order within ties) or ``stable``
            (ties in database order, the papers' own).
        cutoffs: the K of the metrics at K; repeats count once.

    Raises:
        MedhashError: an unknown protocol, a cutoff that is not a whole number from 1, or more
            than 1000 shared labels.
    """
    _check(codes, protocol, cutoffs)
    reached = [k for k in sorted(set(cutoffs)) if k <= len(codes.database_codes)]
    counts = count(codes)
    if protocol == "stable":
        scores = stable_scores(codes, reached)
    else:
        scores = tie_aware_scores(counts, reached)
    metrics = _sizes(codes, counts) | means(scores) | _curve_and_range(counts)
    return Evaluation({"protocol": protocol} | metrics, scores)


def evaluate_file(
    path: Path,
    protocol: Protocol = "tie-aware",
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    per_query: bool = False,
) -> dict[str, Any]:
    """Score anybody's codes, as ``medhash evaluate CODES.npz --json`` prints it.

    Args:
        path: an ``.npz`` file, see :func:`medhash.retrieval.codes.read_foreign`.
        protocol: see :func:`evaluate`.
        cutoffs: see :func:`evaluate`.
        per_query: add the list ``per_query_ap``, in the order of the file.

    Raises:
        MedhashError: the file cannot be understood, or as :func:`evaluate`.
    """
    evaluation = evaluate(read_foreign(path), protocol, cutoffs)
    if not per_query:
        return evaluation.metrics
    return evaluation.metrics | {"per_query_ap": evaluation.per_query_ap.tolist()}


def summary_text(metrics: dict[str, Any]) -> str:
    """The metrics of :func:`evaluate` for people: a few lines and a table of the cutoffs."""
    least, greatest = metrics["tie_range"]
    lines = [
        f"{metrics['queries']} queries, {metrics['database']} database items, "
        f"{metrics['bits']} bits, protocol {metrics['protocol']}",
        f"mAP {metrics['map']:.4f}   (the order of ties could make it {least:.4f} to "
        f"{greatest:.4f})   weighted mAP {metrics['map_weighted']:.4f}",
    ]
    if metrics["queries_without_relevant"]:
        lines.append(
            f"{metrics['queries_without_relevant']} queries have no relevant item in the database; "
            "each counts as 0"
        )
    rows = [
        [k, *(f"{metrics[name][k]:.4f}" for name in _METRICS_AT)] for k in metrics["precision_at"]
    ]
    if rows:
        headers = ["K", "mAP@K", "P@K", "R@K", "NDCG@K", "ACG@K"]
        lines += ["", tabulate(rows, headers, disable_numparse=True, stralign="right")]
    return "\n".join(lines)


def _check(codes: Codes, protocol: str, cutoffs: Sequence[int]) -> None:
    if protocol not in get_args(Protocol):
        raise MedhashError(f"protocol is one of {', '.join(get_args(Protocol))}, not {protocol!r}")
    for cutoff in cutoffs:
        if isinstance(cutoff, bool) or not isinstance(cutoff, int) or cutoff < 1:
            raise MedhashError(f"a cutoff K is a whole number from 1, not {cutoff!r}")
    if most_shared(codes) > _MOST_SHARED_LABELS:
        raise MedhashError(
            f"query_labels and database_labels share up to {most_shared(codes)} labels; "
            f"at most {_MOST_SHARED_LABELS} can be scored"
        )


def _sizes(codes: Codes, counts: Counts) -> dict[str, Any]:
    return {
        "queries": len(codes.query_codes),
        "queries_without_relevant": int(np.sum(counts.total_relevant == 0)),
        "database": len(codes.database_codes),
        "bits": codes.bits,
    }


def means(scores: QueryScores) -> dict[str, Any]:
    """The metrics as means over the queries, ready for JSON; see :func:`evaluate`."""
    metrics: dict[str, Any] = {
        "map": float(scores.average_precision.mean()),
        "map_weighted": float(scores.weighted_average_precision.mean()),
    }
    for key, attribute in _METRICS_AT.items():
        values = getattr(scores, attribute)
        metrics[key] = {str(k): float(values[k].mean()) for k in values}
    return metrics


def _curve_and_range(counts: Counts) -> dict[str, Any]:
    precision, recall = precision_recall(counts)
    return {
        "pr_curve": {
            "radius": list(range(len(recall))),
            "precision": precision,
            "recall": recall,
        },
        "tie_range": [float(values.mean()) for values in tie_range(counts)],
    }
