"""A grid of mAP values, printed and as rows of a CSV: what ACH Tables III, V, VI and VII share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from medhash.analysis.numbers.context import NOT_RUN, Column, Context, columns_of, is_synthetic
from medhash.analysis.numbers.summaries import (
    Place,
    Summary,
    percent,
    printed_percent,
    row_title,
    shared_notes,
    summarise,
)
from medhash.analysis.tables.rendering import Mark, PrintedCell, PrintedRow
from medhash.papers.paper import TableSpec
from medhash.records.record import Record

CSV_COLUMNS = (
    "row",
    "column",
    "dataset",
    "origin",
    "method",
    "variant",
    "bits",
    "status",
    "printed",
    "mark",
    "rank",
    "map_percent",
    "deviation_percent",
    "n_seeds",
    "seeds",
    "against",
    "difference_points",
    "tie_least_percent",
    "tie_greatest_percent",
    "tie_spread_points",
    "stable_map_percent",
    "reported_percent",
    "regenerated_minus_reported_points",
    "queries",
    "queries_without_relevant",
    "database",
    "scale",
    "protocol",
    "synthetic",
    "note",
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        places: one a column.
        against: the places that its values are compared with, one a column; empty for none.
        arrows: whether the difference stands behind each printed value.
        counted: whether the printed name says in how many columns the row is the better one.
    """

    places: tuple[Place, ...]
    against: tuple[Place, ...] = ()
    arrows: bool = False
    counted: bool = False


@dataclass(frozen=True)
class Standing:
    """A value compared with the others of its block and column.

    Attributes:
        rank: counts distinct printed values from the best (1).
        mark: best and second best; best needs two rows that ran, second best three.
        difference: printed mAP minus that of the place it is compared with, ``None`` where there
            is no such place or it did not run.
    """

    rank: int
    mark: Mark
    difference: Decimal | None


@dataclass(frozen=True)
class MapGrid:
    """Every value of a table.

    Attributes:
        spec: the table.
        context: names, scale and the reported numbers.
        blocks: the rows, a block a method; best and second best are marked within a block.
        records: those that the table shows.
    """

    spec: TableSpec
    context: Context
    blocks: tuple[tuple[Row, ...], ...]
    records: tuple[Record, ...]

    @cached_property
    def columns(self) -> list[Column]:
        """The columns from left to right."""
        return columns_of(self.spec)

    @cached_property
    def entries(self) -> list[tuple[Row, Column, Place]]:
        """Every place with its row and column, row by row."""
        return [
            (row, column, place)
            for block in self.blocks
            for row in block
            for column, place in zip(self.columns, row.places, strict=True)
        ]

    @cached_property
    def ran(self) -> dict[Place, Summary]:
        """What ran."""
        return summarise(self.records)

    @cached_property
    def standings(self) -> dict[tuple[Row, Column], Standing]:
        """How the values that ran compare with each other."""
        return {
            (row, column): standing
            for block in self.blocks
            for number, column in enumerate(self.columns)
            for row, standing in _compared(block, number, self.ran)
        }

    @property
    def title(self) -> str:
        """The caption."""
        return f"{self.context.heading(self.spec)} {self.context.details(self.spec, self.records)}"

    @property
    def has_differences(self) -> bool:
        """Whether any row that shows how it compares could be compared."""
        return any(
            standing.difference is not None
            for (row, _), standing in self.standings.items()
            if row.arrows or row.counted
        )

    def row_title(self, row: Row) -> str:
        """A row's name as the paper prints it, without the proportion behind it."""
        return row_title(self.spec, row.places[0], self.context)

    def printed_blocks(self) -> tuple[tuple[PrintedRow, ...], ...]:
        """The rows as they are printed."""
        return tuple(tuple(map(self._printed_row, block)) for block in self.blocks)

    def csv_rows(self) -> list[dict[str, str]]:
        """One row a value, row by row of the table, with :data:`CSV_COLUMNS`."""
        return [self.csv_row(*entry) for entry in self.entries]

    def csv_row(self, row: Row, column: Column, place: Place) -> dict[str, str]:
        """A place's row of the CSV."""
        title = self.row_title(row)
        reported = self.context.reported_number(self.spec, title, *column)
        values = dict.fromkeys(CSV_COLUMNS, "") | {
            "row": title,
            **self.csv_column(column),
            **{name: str(value) for name, value in place._asdict().items()},
            "printed": self._printed(row, column, place).text,
            "against": row_title(self.spec, row.against[0], self.context) if row.against else "",
            "reported_percent": "" if reported is None else str(reported),
        }
        if place not in self.ran:
            note = self.context.why_not_run(self.spec, place.dataset, place.origin)
            return values | {"status": NOT_RUN, "note": note}
        values |= {"status": "ran"} | _numbers(self.ran[place], self.standings[row, column])
        if reported is not None:
            difference = self.ran[place].printed_map - reported
            values["regenerated_minus_reported_points"] = str(difference)
        return values

    def csv_column(self, column: Column) -> dict[str, str]:
        """What a row of the CSV says of its column and of the run."""
        return {
            "column": self.context.column_label(*column),
            **{name: str(value) for name, value in column._asdict().items()},
            "scale": self.context.scale,
            "protocol": self.context.protocol,
            "synthetic": str(any(map(is_synthetic, (column.dataset, column.origin)))).lower(),
        }

    def notes(self, differences: str = "") -> tuple[str, ...]:
        """What is said below the table.

        Args:
            differences: what proportions and arrows mean, said if there are any.
        """
        reading = []
        if self.ran:
            reading.append(
                "Bold: best, underlined: second best, among the rows of one method in one column."
            )
        if differences and self.has_differences:
            reading.append(differences)
        if any(summary.deviation is not None for summary in self.ran.values()):
            reading.append("Values are means over seeds ± their sample standard deviation.")
        places = [(column, place) for _, column, place in self.entries]
        return (*reading, *shared_notes(self.spec, self.ran, places, self.context))

    def _printed_row(self, row: Row) -> PrintedRow:
        cells = tuple(
            self._printed(row, column, place)
            for column, place in zip(self.columns, row.places, strict=True)
        )
        return PrintedRow(self.row_title(row) + self._proportion(row), cells)

    def _proportion(self, row: Row) -> str:
        """``(7/8)``: in how many of the columns that ran the row is better."""
        standings = [self.standings.get((row, column)) for column in self.columns]
        differences = [s.difference for s in standings if s and s.difference is not None]
        wins = sum(difference > 0 for difference in differences)
        return f"({wins}/{len(differences)})" if row.counted and differences else ""

    def _printed(self, row: Row, column: Column, place: Place) -> PrintedCell:
        if place not in self.ran:
            return PrintedCell(NOT_RUN)
        summary, standing = self.ran[place], self.standings[row, column]
        value = str(summary.printed_map)
        if summary.deviation is not None:
            value += f" ± {printed_percent(summary.deviation)}"
        return PrintedCell(value, standing.mark, _arrow(standing.difference) if row.arrows else "")


def _compared(
    block: Sequence[Row], number: int, ran: dict[Place, Summary]
) -> list[tuple[Row, Standing]]:
    """The rows of a block that ran in one column, each with its standing."""
    values = {
        row: ran[row.places[number]].printed_map for row in block if row.places[number] in ran
    }
    descending = sorted(set(values.values()), reverse=True)
    standings = []
    for row, value in values.items():
        rank = descending.index(value) + 1
        other = ran.get(row.against[number]) if row.against else None
        difference = None if other is None else value - other.printed_map
        standings.append((row, Standing(rank, _mark(rank, len(values)), difference)))
    return standings


def _mark(rank: int, rows: int) -> Mark:
    if rank >= rows:
        return ""
    return "best" if rank == 1 else "second" if rank == 2 else ""


def _arrow(difference: Decimal | None) -> str:
    """``(↑9.11)``, as the papers print it."""
    if difference is None:
        return ""
    sign = "↑" if difference > 0 else "↓" if difference < 0 else "="
    return f"({sign}{abs(difference)})"


def _numbers(summary: Summary, standing: Standing) -> dict[str, str]:
    return {
        "mark": standing.mark,
        "rank": str(standing.rank),
        "map_percent": percent(summary.mean_map),
        "deviation_percent": percent(summary.deviation),
        "n_seeds": str(len(summary.seeds)),
        "seeds": " ".join(map(str, summary.seeds)),
        "difference_points": "" if standing.difference is None else str(standing.difference),
        "tie_least_percent": percent(summary.tie_least),
        "tie_greatest_percent": percent(summary.tie_greatest),
        "tie_spread_points": percent(summary.tie_spread),
        "stable_map_percent": percent(summary.stable_map),
        "queries": str(summary.queries),
        "queries_without_relevant": str(summary.queries_without_relevant),
        "database": str(summary.database),
    }
