"""Scores by what a dataset tells of its images beside their classes: diagnosis and CDR (Y-Net).

Y-Net's Section IV-C-2 asks whether the first ten images have the query's disease, where a class
(malignant) holds several, and how far their ratio of cup to disc is from the query's. It says
neither which precision is meant nor over which queries (docs/fidelity.md).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from medhash.data.prepared import PreparedDataset
from medhash.retrieval.chance import chance
from medhash.retrieval.counting import Numbers
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.gaps import gaps_at
from medhash.retrieval.representation import Representation
from medhash.schema.settings import EvaluationSettings

DIAGNOSIS, CDR, GLAUCOMA = "diagnosis", "cdr", "Glaucoma"

Found = tuple[dict[str, Any], dict[str, Any]]
"""Metrics as a record keeps them, and what a random order scores."""


def attribute_scores(
    vectors: Representation, scoring: EvaluationSettings, index: Path | None
) -> Found:
    """The metrics that a dataset's attributes allow; none of a column that its index lacks.

    Images without the attribute are left out, queries and items: they have neither the same
    disease nor another one.

    Args:
        vectors: of a cell.
        scoring: protocol and cutoffs.
        index: the dataset's ``index.csv``; None where nobody asks for these metrics.
    """
    metrics: dict[str, Any] = {}
    random: dict[str, Any] = {}
    if index is not None:
        dataset = PreparedDataset(index.parent)
        for own, by_chance in (
            _diseases(dataset, vectors, scoring),
            _gaps(dataset, vectors, scoring),
        ):
            metrics |= own
            random |= by_chance
    return metrics, random


def _diseases(
    dataset: PreparedDataset, vectors: Representation, scoring: EvaluationSettings
) -> Found:
    """P@K and AP@K where an image is relevant if its diagnosis is the query's.

    A diagnosis is a disease, and in brackets its kind: ``lung cancer(adenocarcinoma)``.
    """
    if DIAGNOSIS not in dataset.index:
        return {}, {}
    texts = dataset.column(DIAGNOSIS)
    known = _with(vectors, texts != "")
    if known is None:
        return {}, {}
    diseases = np.array([text.partition("(")[0].strip() for text in texts])
    metrics, random = {}, {}
    for name, each in {"disease": diseases, "fine_disease": texts}.items():
        labels = (each[:, None] == np.unique(each)).astype(np.uint8)
        sides = labels[known.query_rows], labels[known.database_rows]
        own = _changed(known, query_labels=sides[0], database_labels=sides[1])
        found = evaluate(own, scoring.protocol, scoring.cutoffs, scoring.map_at).metrics
        by_chance = chance(*sides, scoring.cutoffs, scoring.map_at)["random"]
        for metric in ("precision_at", "map_at"):
            metrics[f"{name}_{metric}"] = found[metric]
            random[f"{name}_{metric}"] = by_chance[metric]
    return metrics, random


def _gaps(dataset: PreparedDataset, vectors: Representation, scoring: EvaluationSettings) -> Found:
    """The mean CDR gap over all queries, and over those with glaucoma, which has stages."""
    if CDR not in dataset.index:
        return {}, {}
    ratios = dataset.numbers(CDR)
    known = _with(vectors, ~np.isnan(ratios))
    if known is None:
        return {}, {}
    sides = ratios[known.query_rows], ratios[known.database_rows]
    cutoffs = [k for k in sorted(set(scoring.cutoffs)) if k <= len(sides[1])]
    gaps = gaps_at(known, sides, cutoffs, stable=scoring.protocol == "stable")
    of_all = np.abs(sides[0][:, None] - sides[1]).mean(axis=1)
    ill = np.array([GLAUCOMA in dataset.classes_of(row) for row in known.query_rows])
    asked = {"cdr_gap": np.ones_like(ill)} | ({"cdr_gap_glaucoma": ill} if ill.any() else {})
    return (
        {name: _means(gaps, queries) for name, queries in asked.items()},
        {name: _means(dict.fromkeys(cutoffs, of_all), queries) for name, queries in asked.items()},
    )


def _means(gaps: dict[int, Numbers], queries: NDArray[np.bool_]) -> dict[str, float]:
    return {str(k): float(each[queries].mean()) for k, each in gaps.items()}


def _with(vectors: Representation, known: NDArray[np.bool_]) -> Representation | None:
    """The vectors of those images that have an attribute; None where no query or no item has."""
    parts = {"query": known[vectors.query_rows], "database": known[vectors.database_rows]}
    if not all(part.any() for part in parts.values()):
        return None
    names = vectors.array_names()
    return _changed(vectors, **{n: getattr(vectors, n)[parts[n.partition("_")[0]]] for n in names})


def _changed(vectors: Representation, **arrays: Any) -> Representation:
    """Every representation is a dataclass."""
    return cast(Representation, replace(cast(Any, vectors), **arrays))
