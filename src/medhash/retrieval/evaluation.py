"""Score codes or descriptors under a named protocol, and say the result as JSON or to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes
from medhash.retrieval.counting import Counts, Numbers, most_shared, with_counts
from medhash.retrieval.metrics import (
    MapAt,
    QueryScores,
    joined,
    precision_recall,
    precision_recall_at,
    tie_aware_scores,
    tie_range,
)
from medhash.retrieval.ranking import stable_scores
from medhash.retrieval.reading import read_foreign
from medhash.retrieval.representation import Representation, length_text

Protocol = Literal["tie-aware", "stable"]

DEFAULT_CUTOFFS = (1, 5, 10, 20, 50, 100, 200, 500, 1000)

# 2^s - 1 must stay a float; no image has this many labels.
_MOST_SHARED_LABELS = 1000

_CURVE_POINTS = 50
"""Ranks at which a curve of descriptors is drawn, at most."""

_METRICS_AT = {
    "map_at": "average_precision_at",
    "precision_at": "precision_at",
    "recall_at": "recall_at",
    "ndcg_at": "ndcg_at",
    "acg_at": "acg_at",
    "hit_ratio_at": "hit_ratio_at",
    "mrr_at": "reciprocal_rank_at",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one set of codes or descriptors.

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
    vectors: Representation,
    protocol: Protocol = "tie-aware",
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    map_at: MapAt = "reachable",
) -> Evaluation:
    """Score codes or descriptors.

    The metrics are means over all queries, as plain Python numbers:

    * ``protocol``, ``queries``, ``database`` (items), ``distance``, ``bits`` (the length of a
      vector: numbers, where it is no code);
    * ``map``, ``map_weighted`` (mAP and mAP_w over the whole database);
    * ``map_at``, ``precision_at``, ``recall_at``, ``ndcg_at``, ``acg_at``, ``hit_ratio_at``,
      ``mrr_at`` (mean reciprocal rank): objects keyed by K as text. A cutoff beyond the database's
      size is left out: there is no such rank;
    * ``pr_curve``, the same in both protocols. Of codes: ``radius`` 0 .. q, ``precision``
      (``None`` where no query retrieves anything) and ``recall`` within the radius. Of
      descriptors: ``rank``, some ranks from 1 to the last, evenly spread over their logarithm,
      and the precision and recall of the items down to there;
    * ``tie_range``: least and greatest mAP over all orders of ties; the same in both protocols;
    * ``queries_without_relevant``: how many queries have no relevant item. Each counts as 0 in
      every mean.

    ``medhash.retrieval.metrics.QueryScores`` defines the metrics. ACG and mAP_w count shared
    labels and can exceed 1. Items are tied where their distances are equal to the last bit.

    Args:
        vectors: of queries and database.
        protocol: ``tie-aware`` (the expectation over random order within ties) or ``stable``
            (ties in database order, the papers' own).
        cutoffs: the K of the metrics at K; repeats count once.
        map_at: what ``map_at`` is divided by, see :data:`~medhash.retrieval.metrics.MapAt`.

    Raises:
        MedhashError: an unknown protocol, a denominator that the protocol has not, a cutoff that
            is not a whole number from 1, or more than 1000 shared labels.
    """
    _check(vectors, protocol, cutoffs, map_at)
    size = len(vectors.database_rows)
    reached = [k for k in sorted(set(cutoffs)) if k <= size]
    ranks = [] if isinstance(vectors, Codes) else _curve_ranks(size)

    def score(counts: Counts) -> _Block:
        return _Block(
            tie_aware_scores(counts, reached, map_at) if protocol == "tie-aware" else None,
            np.stack(tie_range(counts)),
            precision_recall_at(counts, ranks) if ranks else precision_recall(counts),
            int(np.sum(counts.total_relevant == 0)),
        )

    blocks = with_counts(score, vectors)
    tie_aware = [block.scores for block in blocks if block.scores]
    scores = joined(tie_aware) if tie_aware else stable_scores(vectors, reached, map_at)
    ties = np.concatenate([block.ties for block in blocks], axis=1)
    metrics = {
        "protocol": protocol,
        "queries": len(vectors.query_rows),
        "queries_without_relevant": sum(block.unanswerable for block in blocks),
        "database": size,
        "distance": vectors.distance,
        "bits": vectors.length,
        **means(scores),
        "pr_curve": _curve(blocks, ranks),
        "tie_range": [float(values.mean()) for values in ties],
    }
    return Evaluation(metrics, scores)


def evaluate_file(
    path: Path,
    protocol: Protocol = "tie-aware",
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    per_query: bool = False,
    map_at: MapAt = "reachable",
) -> dict[str, Any]:
    """Score anybody's codes or descriptors, as ``medhash evaluate FILE.npz --json`` prints it.

    Args:
        path: an ``.npz`` file, see :func:`medhash.retrieval.reading.read_foreign`.
        protocol: see :func:`evaluate`.
        cutoffs: see :func:`evaluate`.
        per_query: add the list ``per_query_ap``, in the order of the file.
        map_at: see :func:`evaluate`.

    Raises:
        MedhashError: the file cannot be understood, or as :func:`evaluate`.
    """
    evaluation = evaluate(read_foreign(path), protocol, cutoffs, map_at)
    if not per_query:
        return evaluation.metrics
    return evaluation.metrics | {"per_query_ap": evaluation.per_query_ap.tolist()}


def summary_text(metrics: dict[str, Any]) -> str:
    """The metrics of :func:`evaluate` for people: a few lines and a table of the cutoffs."""
    least, greatest = metrics["tie_range"]
    lines = [
        f"{metrics['queries']} queries, {metrics['database']} database items, "
        f"{length_text(metrics['bits'], metrics['distance'])}, protocol {metrics['protocol']}",
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
        headers = ["K", "mAP@K", "P@K", "R@K", "NDCG@K", "ACG@K", "HR@K", "MRR@K"]
        lines += ["", tabulate(rows, headers, disable_numparse=True, stralign="right")]
    return "\n".join(lines)


def _check(vectors: Representation, protocol: str, cutoffs: Sequence[int], map_at: str) -> None:
    if protocol not in get_args(Protocol):
        raise MedhashError(f"protocol is one of {', '.join(get_args(Protocol))}, not {protocol!r}")
    if map_at not in get_args(MapAt):
        raise MedhashError(f"map_at is one of {', '.join(get_args(MapAt))}, not {map_at!r}")
    if map_at == "found" and protocol != "stable":
        raise MedhashError(
            "map_at: found divides by what one order finds; it needs the protocol stable"
        )
    for cutoff in cutoffs:
        if isinstance(cutoff, bool) or not isinstance(cutoff, int) or cutoff < 1:
            raise MedhashError(f"a cutoff K is a whole number from 1, not {cutoff!r}")
    if most_shared(vectors) > _MOST_SHARED_LABELS:
        raise MedhashError(
            f"query_labels and database_labels share up to {most_shared(vectors)} labels; "
            f"at most {_MOST_SHARED_LABELS} can be scored"
        )


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


@dataclass(frozen=True, eq=False)
class _Block:
    """What is kept of the counts of some queries.

    Attributes:
        scores: under the protocol tie-aware.
        ties: least and greatest average precision, (2, queries).
        curve: precision and recall, at each rank (queries, ranks); of codes, which come at once,
            their means over all queries within each radius.
        unanswerable: queries without any relevant item.
    """

    scores: QueryScores | None
    ties: Numbers
    curve: tuple[Any, Any]
    unanswerable: int


def _curve_ranks(size: int) -> list[int]:
    ranks: list[int] = np.unique(np.geomspace(1, size, _CURVE_POINTS).round().astype(int)).tolist()
    return ranks


def _curve(blocks: Sequence[_Block], ranks: Sequence[int]) -> dict[str, Any]:
    """Precision and recall down to some ranks, or within each Hamming radius."""
    if not ranks:
        precision, recall = blocks[0].curve
        return {"radius": list(range(len(recall))), "precision": precision, "recall": recall}
    each = (np.concatenate(values) for values in zip(*(b.curve for b in blocks), strict=True))
    precision, recall = (values.mean(axis=0).tolist() for values in each)
    return {"rank": list(ranks), "precision": precision, "recall": recall}
