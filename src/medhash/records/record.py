"""A cell's record: its numbers, written and read by one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from medhash.errors import MedhashError
from medhash.schema.base import NaturalNumber, Score
from medhash.schema.cell import Cell
from medhash.schema.measures import MeasureAt
from medhash.stored import Part, read_model

if TYPE_CHECKING:
    import pandas as pd

MAP = MeasureAt("map")
# A mean and what it is the mean of are both rounded.
_ROUNDING = 1e-9
Real = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_OF_ATTRIBUTES: Any = Field(default_factory=dict, exclude_if=lambda value: not value)


class PrecisionRecallCurve(Part):
    """Precision and recall of codes within a Hamming radius, or of descriptors down to a rank.

    ``radius`` is 0, 1, …, q; ``precision`` is ``None`` at a radius at which no query retrieves
    anything. ``rank`` are some ranks of the list, from 1 to the last.
    """

    radius: tuple[NaturalNumber, ...] | None = None
    rank: tuple[NaturalNumber, ...] | None = None
    precision: tuple[Score | None, ...]
    recall: tuple[Score, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if (self.radius is None) == (self.rank is None):
            raise ValueError("either radius or rank says where precision and recall are taken")
        if not len(self.places) == len(self.precision) == len(self.recall):
            where = "rank" if self.radius is None else "radius"
            raise ValueError(f"{where}, precision and recall differ in length")
        return self

    @model_serializer(mode="wrap")
    def _without_the_other(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def places(self) -> tuple[int, ...]:
        """The radii, or the ranks."""
        return self.radius or self.rank or ()

    @property
    def area(self) -> float:
        """Area under the curve, in [0, 1].

        The trapezoid rule between radii at which anything is retrieved; down to recall 0 the
        curve keeps the precision of the first of them.
        """
        points = [
            (recall, precision)
            for recall, precision in zip(self.recall, self.precision, strict=True)
            if precision is not None
        ]
        if not points:
            return 0.0
        recall, precision = np.asarray([(0.0, points[0][1]), *points]).T
        return float(np.trapezoid(precision, recall))


class Scores(Part):
    """Retrieval metrics as means over the queries; those at a cutoff are keyed by K.

    All are fractions but ACG and weighted mAP, which count shared labels and may exceed 1, and the
    CDR gaps. The last six are known where the dataset tells diagnoses or CDRs
    (:mod:`medhash.records.attributes`).
    """

    map: Score
    map_weighted: Real | None = None
    map_at: dict[int, Score] = Field(default_factory=dict)
    precision_at: dict[int, Score] = Field(default_factory=dict)
    recall_at: dict[int, Score] = Field(default_factory=dict)
    ndcg_at: dict[int, Score] = Field(default_factory=dict)
    acg_at: dict[int, Real] = Field(default_factory=dict)
    hit_ratio_at: dict[int, Score] = Field(default_factory=dict)
    mrr_at: dict[int, Score] = Field(default_factory=dict)
    disease_precision_at: dict[int, Score] = _OF_ATTRIBUTES
    disease_map_at: dict[int, Score] = _OF_ATTRIBUTES
    fine_disease_precision_at: dict[int, Score] = _OF_ATTRIBUTES
    fine_disease_map_at: dict[int, Score] = _OF_ATTRIBUTES
    cdr_gap: dict[int, Real] = _OF_ATTRIBUTES
    cdr_gap_glaucoma: dict[int, Real] = _OF_ATTRIBUTES


class Metrics(Scores):
    """The metrics of one cell under one protocol for ties.

    ``tie_range`` is the least and greatest mAP over all orders of equal distances. ``bits`` is the
    length of a vector, also where ``distance`` is none of codes.
    """

    protocol: Literal["tie-aware", "stable"]
    pr_curve: PrecisionRecallCurve | None = None
    tie_range: tuple[Score, Score] | None = None
    queries: NaturalNumber
    queries_without_relevant: NaturalNumber
    database: NaturalNumber
    distance: Literal["hamming", "euclidean", "cosine"] = "hamming"
    bits: Annotated[int, Field(strict=True, ge=1)]


class StableMetrics(Part):
    """The papers' own protocol: a stable sort, ties in database order."""

    map: Score


class TrainingFacts(Part):
    """What a table has to say about how a cell was trained, and for how long."""

    selection: Literal["last-epoch", "best-query-map"]
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = None


class GradedScores(Part):
    """Further metrics of each query, in the order of the queries.

    Those but mAP@K tell degrees of relevance apart.
    """

    map_weighted: tuple[Real, ...]
    map_at: dict[int, tuple[Score, ...]] = Field(default_factory=dict)
    ndcg_at: dict[int, tuple[Score, ...]]
    acg_at: dict[int, tuple[Real, ...]]

    def check(self, queries: int) -> None:
        """Refuse another number of queries, with a ValueError that names the metric."""
        lists = {"map_weighted": self.map_weighted}
        lists |= {f"map_at.{k}": values for k, values in self.map_at.items()}
        lists |= {f"ndcg_at.{k}": values for k, values in self.ndcg_at.items()}
        lists |= {f"acg_at.{k}": values for k, values in self.acg_at.items()}
        for name, values in lists.items():
            if len(values) != queries:
                raise ValueError(
                    f"per_query.{name} has {len(values)} values, but there are {queries} queries"
                )


class Record(Part):
    """One cell's numbers, ``record.json``.

    What they were made from and with is in the record's receipt, and nowhere else.

    Attributes:
        schema_version: of the file's form.
        scale: name of the scale.
        cell: which cell.
        synthetic: whether its images are phantoms.
        dataset_title: the dataset as printed.
        method_title: the method as printed.
        metrics: under the protocol of the settings.
        stable: under the papers' own protocol.
        chance: what answers score that look at no image, ``random``, ``majority`` and, where
            relevance has degrees, ``ideal`` (:mod:`medhash.retrieval.chance`); the same for every
            cell of a split.
        per_query_ap: average precision of each query, in the order of the query set.
        per_query: further metrics of each query, where relevance has degrees or
            ``evaluation.graded`` asks for them.
        query_rows: the queries: rows of the dataset's ``index.csv``, in the same order.
        training: what a table says of the training.
    """

    what: ClassVar[str] = "record"
    remedy: ClassVar[str] = "evaluate the cell again"

    schema_version: Literal[1] = Field(alias="schema")
    scale: str
    cell: Cell
    synthetic: Annotated[bool, Field(strict=True)]
    dataset_title: str = ""
    method_title: str = ""
    metrics: Metrics
    stable: StableMetrics
    chance: dict[Literal["random", "majority", "ideal"], Scores] = Field(default_factory=dict)
    per_query_ap: tuple[Score, ...]
    per_query: GradedScores | None = None
    query_rows: tuple[NaturalNumber, ...]
    training: TrainingFacts

    @property
    def protocol(self) -> str:
        """How equal distances were scored."""
        return self.metrics.protocol

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not len(self.per_query_ap) == len(self.query_rows) == self.metrics.queries:
            raise ValueError(
                f"metrics.queries is {self.metrics.queries}, but there are "
                f"{len(self.per_query_ap)} values in per_query_ap and "
                f"{len(self.query_rows)} in query_rows"
            )
        if len(set(self.query_rows)) != len(self.query_rows):
            raise ValueError("query_rows names a query twice")
        if self.metrics.bits != self.cell.bits:
            raise ValueError(
                f"metrics.bits is {self.metrics.bits}, but cell.bits is {self.cell.bits}"
            )
        # A query without a relevant item counts as 0, so that the mean runs over all of them.
        if self.per_query_ap and abs(fmean(self.per_query_ap) - self.metrics.map) > _ROUNDING:
            raise ValueError(
                f"metrics.map is {self.metrics.map}, but the mean of per_query_ap is "
                f"{fmean(self.per_query_ap)}"
            )
        if self.per_query is not None:
            self.per_query.check(self.metrics.queries)
        return self


def load_record(path: Path) -> Record:
    """Read and check one ``record.json``.

    Raises:
        MedhashError: the file is missing, is not JSON, or is not a record of this version; the
            message names the file and the key.
    """
    return read_model(path, Record, what="record")


def per_query(records: Sequence[Record], measured: MeasureAt = MAP) -> pd.Series:
    """A measure's value of every query, averaged over the seeds in which it is a query.

    Returns:
        float64 Series indexed by query row (sorted).

    Raises:
        MedhashError: a record has no values of single queries; the message names its cell.
    """
    import pandas as pd

    rows = np.concatenate([np.asarray(record.query_rows, dtype=np.int64) for record in records])
    values = np.concatenate([_by_query(record, measured) for record in records])
    return pd.Series(values, index=rows).groupby(level=0).mean().sort_index()


def _by_query(record: Record, measured: MeasureAt) -> NDArray[np.float64]:
    values = measured.measure.by_query(record, measured.cutoff)
    if values is None:
        raise MedhashError(
            f"record of cell {record.cell}: has no {measured.title} of each query, which a paired "
            "test needs; set evaluation.graded to true (and name the cutoff in "
            "evaluation.cutoffs), and score the cell again"
        )
    return np.asarray(values)
