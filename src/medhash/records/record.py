"""Records of cells, read back and checked, and one tidy frame of their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medhash.errors import MedhashError
from medhash.schema.cell import Cell

# Sums of floating-point numbers may pass 1 by their last bits.
_ROUNDING = 1e-9
Fraction = Annotated[float, Field(ge=0.0, le=1.0 + _ROUNDING, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]

FRAME_COLUMNS = (
    "paper",
    "dataset",
    "method",
    "variant",
    "bits",
    "seed",
    "origin",
    "scale",
    "synthetic",
    "protocol",
    "map",
    "stable_map",
    "tie_least",
    "tie_greatest",
    "queries",
    "queries_without_relevant",
    "database",
)


class _Part(BaseModel):
    # The keys that no table or figure reads (provenance, most of training) are free to grow.
    model_config = ConfigDict(extra="ignore", frozen=True)


class PrecisionRecallCurve(_Part):
    """Precision and recall of everything within Hamming radius 0, 1, …, q.

    ``precision`` is ``None`` at a radius at which no query retrieves anything.
    """

    radius: tuple[Count, ...]
    precision: tuple[Fraction | None, ...]
    recall: tuple[Fraction, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if not len(self.radius) == len(self.precision) == len(self.recall):
            raise ValueError("radius, precision and recall differ in length")
        return self


class Metrics(_Part):
    """The retrieval metrics of one cell, as fractions, under one protocol for ties."""

    protocol: Literal["tie-aware", "stable"]
    map: Fraction
    precision_at: dict[int, Fraction]
    pr_curve: PrecisionRecallCurve
    tie_range: tuple[Fraction, Fraction]
    queries: Count
    queries_without_relevant: Count
    database: Count
    bits: Annotated[int, Field(strict=True, ge=1)]


class StableMetrics(_Part):
    """The papers' own protocol: a stable sort, ties in database order."""

    map: Fraction


class TrainingFacts(_Part):
    """What a table has to say about how a cell was trained, and for how long."""

    selection: Literal["last-epoch", "best-query-map"]
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = None


class Record(_Part):
    """One cell's numbers: the part of ``record.json`` that tables and figures read.

    ``per_query_ap`` and ``query_rows`` stand in the order of the query set; a query row is a row
    of the dataset's ``index.csv``.
    """

    schema_version: Literal[1] = Field(alias="schema")
    scale: str
    cell: Cell
    synthetic: Annotated[bool, Field(strict=True)]
    metrics: Metrics
    stable: StableMetrics
    per_query_ap: tuple[Fraction, ...]
    query_rows: tuple[Count, ...]
    training: TrainingFacts

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
        return self


def load_record(path: Path) -> Record:
    """Read and check one ``record.json``.

    Raises:
        MedhashError: the file is missing, is not JSON, or is not a record of this version; the
            message names the file and the key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MedhashError(f"{path}: the record cannot be read ({error.strerror}).") from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise MedhashError(
            f"{path}: not a whole medhash record: {_first_problem(error)}. "
            "Delete the file and let the workflow write it again."
        ) from error


def load_records(paths: Iterable[Path]) -> list[Record]:
    """Read and check records, sorted by their cells.

    Raises:
        MedhashError: as :func:`load_record`, or two files hold the same cell.
    """
    found: dict[Cell, tuple[Path, Record]] = {}
    for path in paths:
        record = load_record(path)
        if record.cell in found:
            raise MedhashError(
                f"{path} and {found[record.cell][0]} both hold cell {record.cell}; "
                "give each cell's record once."
            )
        found[record.cell] = (path, record)
    return sorted((record for _, record in found.values()), key=lambda record: record.cell)


def records_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row a record, with the columns :data:`FRAME_COLUMNS`; metrics are fractions."""
    rows = [
        (
            *astuple(record.cell),
            record.scale,
            record.synthetic,
            record.metrics.protocol,
            record.metrics.map,
            record.stable.map,
            *record.metrics.tie_range,
            record.metrics.queries,
            record.metrics.queries_without_relevant,
            record.metrics.database,
        )
        for record in records
    ]
    return pd.DataFrame(rows, columns=list(FRAME_COLUMNS))


def per_query_ap(records: Sequence[Record]) -> pd.Series:
    """Average precision of every query, averaged over the seeds in which it is a query.

    Returns:
        float64 Series indexed by query row (sorted).
    """
    rows = np.concatenate([np.asarray(record.query_rows, dtype=np.int64) for record in records])
    values = np.concatenate([np.asarray(record.per_query_ap) for record in records])
    return pd.Series(values, index=rows).groupby(level=0).mean().sort_index()


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"
