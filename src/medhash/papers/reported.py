"""What a paper reports: every number of its tables, as printed (``config/papers/reported/``).

A row is typed as the paper prints it, one text of cells separated by spaces, so that the file can
be read against the page: ``DSH+ACH(8/8): 75.08(↑0.24)  74.64(↑0.79)``. Digits are kept (``100.00``,
``6.904e-4``): they say how far the paper rounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from medhash.errors import MedhashError
from medhash.papers.derivations import Derivation, NumberText
from medhash.papers.specs import FileName
from medhash.schema.base import Count, StrictModel
from medhash.schema.measures import MeasureAt
from medhash.schema.validation import check_name, read_model

REPORTED_FOLDER = Path("config/papers/reported")

SUMMARY_ROW = "Summary(W/T/L)"
"""The row of wins, ties and losses, as printed."""

SUMMARY_METRIC = "W/T/L"

_NUMBER = re.compile(r"(?P<value>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\((?P<arrow>[↑↓]\d+\.\d+)\))?")
_SUMMARY = re.compile(r"(?P<value>\d+/\d+/\d+|\(\d+/\d+/\d+\))(?P<arrow>)")
_LABEL = re.compile(r"(?P<method>.*?)(?:\((?P<proportion>\d+/\d+)\))?")


class ReportedColumn(NamedTuple):
    """A column of a table: the heading as printed, mostly a dataset, and a value of an axis.

    Attributes:
        dataset: the heading.
        at: the value: a code length, a cutoff or a measure (``ndcg_at@100``).
        axis: which of these.
    """

    dataset: str
    at: str
    axis: str = "bits"

    def __str__(self) -> str:
        return f"{self.dataset}/{self.label}"

    @property
    def label(self) -> str:
        """What stands below the heading: ``8 bits``, ``top-10``, ``NDCG@100``."""
        if self.axis == "measure":
            return MeasureAt.parse(self.at).title
        return f"{self.at} bits" if self.axis == "bits" else f"top-{self.at}"

    @property
    def bits(self) -> int | None:
        """The code length, None where columns are something else."""
        return int(self.at) if self.axis == "bits" else None

    @property
    def cutoff(self) -> int | None:
        """The K, None where columns are something else."""
        return int(self.at) if self.axis == "cutoff" else None


class ReportedValue(NamedTuple):
    """One printed number with its place; ``value`` keeps the printed digits."""

    paper: str
    table: str
    dataset: str
    method: str
    axis: str
    at: str
    metric: str
    value: str


@dataclass(frozen=True)
class ReportedRow:
    """A row of a table.

    Attributes:
        method: the label without the proportion behind it.
        proportion: ``7/8``, or empty.
        values: column -> the number as printed.
        arrows: column -> the printed improvement (``↑0.24``), where there is one.
    """

    method: str
    proportion: str
    values: dict[ReportedColumn, str]
    arrows: dict[ReportedColumn, str]

    @property
    def numbers(self) -> dict[ReportedColumn, Decimal]:
        """The values as numbers; not for :data:`SUMMARY_ROW`."""
        return {column: Decimal(value) for column, value in self.values.items()}


class ReportedTable(StrictModel):
    """A printed table.

    Attributes:
        title: what it shows, in a few words.
        metric: what its numbers are.
        regenerated_by: the table in ``config/papers/<paper>.yaml`` that regenerates it.
        columns: dataset as printed -> the values of :attr:`axis` below it, in the printed order.
        axis: what these are: code lengths, cutoffs or measures.
        rows: label as printed -> cells as printed, separated by spaces.
        notes: oddities of the printed table, and what stands in its place here.
    """

    title: str
    metric: str
    regenerated_by: FileName | None = None
    columns: dict[str, tuple[Count | str, ...]] = Field(min_length=1)
    axis: Literal["bits", "cutoff", "measure"] = "bits"
    rows: dict[str, str] = Field(min_length=1)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        for column in self.column_list:
            if self.axis == "measure":
                MeasureAt.parse(column.at)
            elif not (column.at.isascii() and column.at.isdigit()):
                raise ValueError(f"'{column.at}' is no whole number; columns are by {self.axis}")
        if len(self.by_method) != len(self.rows):
            raise ValueError("two rows have the same method")
        return self

    @cached_property
    def column_list(self) -> tuple[ReportedColumn, ...]:
        """All columns, from left to right."""
        return tuple(
            ReportedColumn(heading, str(value), self.axis)
            for heading, values in self.columns.items()
            for value in values
        )

    @cached_property
    def by_method(self) -> dict[str, ReportedRow]:
        """Method as printed, without proportion -> its row."""
        rows = (_parse_row(label, text, self.column_list) for label, text in self.rows.items())
        return {row.method: row for row in rows}

    def metric_of(self, method: str) -> str:
        """What the numbers of a row are."""
        return SUMMARY_METRIC if method == SUMMARY_ROW else self.metric


class ReportedLesions(StrictModel):
    """What a paper's text says of searches with lesion patches (ACH Section V-D-2).

    Attributes:
        place: where it says so.
        regenerated_by: the table in ``config/papers/<paper>.yaml`` that regenerates it.
        baseline: the method as printed.
        treatment: the method with the paper's own module, as printed.
        precision: dataset as printed -> P@10 (%) of the baseline.
        gain: dataset as printed -> how much more the treatment has, in points.
        saved_time: dataset as printed -> how much less time a search takes than with whole
            images, in percent.
    """

    place: str
    regenerated_by: FileName
    baseline: str
    treatment: str
    precision: dict[str, NumberText]
    gain: dict[str, NumberText]
    saved_time: dict[str, NumberText]


class ReportedPaper(StrictModel):
    """A paper's printed numbers, and what it derives from them.

    Attributes:
        paper: the file's name without suffix.
        tables: number as printed (``III``) -> table.
        lesions: numbers of its text that no table holds.
        derived: numbers and statements of the paper that follow, or should, from other numbers.
    """

    paper: FileName
    tables: dict[str, ReportedTable]
    lesions: ReportedLesions | None = None
    derived: tuple[Derivation, ...] = ()

    def table(self, number: str) -> ReportedTable:
        """A table by its printed number; a MedhashError if there is none."""
        check_name(number, self.tables, "table", f"{_path(self.paper)}: derived")
        return self.tables[number]

    def regenerated(self, name: str) -> ReportedTable | None:
        """The table that ``name`` in ``config/papers/<paper>.yaml`` regenerates."""
        tables = self.tables.values()
        return next((table for table in tables if table.regenerated_by == name), None)

    def row(self, table: str, method: str) -> ReportedRow:
        """A row by its printed method; a MedhashError if there is none."""
        rows = self.table(table).by_method
        check_name(method, rows, "row", f"{_path(self.paper)}: derived: Table {table}")
        return rows[method]


def load_reported(folder: Path = REPORTED_FOLDER) -> dict[str, ReportedPaper]:
    """Read the reported values of every paper that has a file.

    Args:
        folder: holds one ``<paper>.yaml`` a paper.

    Returns:
        Paper -> its reported values, by name.

    Raises:
        MedhashError: the folder holds no file, or a file is refused; names file, key and value.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise MedhashError(f"{folder}: no reported values here; run this in the project's folder")
    return {path.stem: read_model(ReportedPaper, path, "paper") for path in paths}


def find_reported(paper: str, folder: Path = REPORTED_FOLDER) -> ReportedPaper | None:
    """The reported values of one paper, or None where it has no file.

    Raises:
        MedhashError: the file is refused; names file, key and value.
    """
    path = folder / f"{paper}.yaml"
    return read_model(ReportedPaper, path, "paper") if path.is_file() else None


def reported_values(paper: ReportedPaper) -> list[ReportedValue]:
    """Every number of a paper's tables, row by row as printed."""
    return [
        ReportedValue(
            paper=paper.paper,
            table=number,
            dataset=column.dataset,
            method=method,
            axis=column.axis,
            at=column.at,
            metric=table.metric_of(method),
            value=value,
        )
        for number, table in paper.tables.items()
        for method, row in table.by_method.items()
        for column, value in row.values.items()
    ]


def reported_text(
    paper: ReportedPaper, regenerated_by: str, row: str, column: ReportedColumn
) -> str | None:
    """What a paper prints where a regenerated table has a cell, in the paper's unit, as printed.

    Args:
        paper: the reported values.
        regenerated_by: name of the table in ``config/papers/<paper>.yaml`` (``table3``).
        row: the method's title as printed (``HashNet+ACH``), or :data:`SUMMARY_ROW`.
        column: the heading as printed, and what stands below it.

    Returns:
        The text (``82.55``, ``(11/0/1)``), or None where the paper prints none.
    """
    table = paper.regenerated(regenerated_by)
    if table is None or row not in table.by_method:
        return None
    return table.by_method[row].values.get(column)


def _path(paper: str) -> Path:
    return REPORTED_FOLDER / f"{paper}.yaml"


def _parse_row(label: str, text: str, columns: tuple[ReportedColumn, ...]) -> ReportedRow:
    cells = text.split()
    if len(cells) != len(columns):
        raise ValueError(f"row '{label}' has {len(cells)} cells, the table {len(columns)} columns")
    pattern = _SUMMARY if label == SUMMARY_ROW else _NUMBER
    matches: dict[ReportedColumn, re.Match[str]] = {}
    for column, cell in zip(columns, cells, strict=True):
        match = pattern.fullmatch(cell)
        if match is None:
            raise ValueError(f"row '{label}': '{cell}' is not a number as papers print them")
        matches[column] = match
    method, proportion = _LABEL.fullmatch(label).groups()  # type: ignore[union-attr]
    return ReportedRow(
        method=method,
        proportion=proportion or "",
        values={column: match["value"] for column, match in matches.items()},
        arrows={column: match["arrow"] for column, match in matches.items() if match["arrow"]},
    )
