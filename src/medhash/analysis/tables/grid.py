"""The grid of every table of scores: rows and columns are axes, its values a measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from medhash.analysis.numbers.context import (
    NOT_RUN,
    Context,
    GridColumn,
    Place,
    columns_of,
    grouped,
    is_synthetic,
)
from medhash.analysis.numbers.statistics import WinTieLoss
from medhash.analysis.numbers.summaries import Summary, row_title, shared_notes, summarise
from medhash.analysis.tables.rendering import Mark, PrintedCell, PrintedRow, PrintedTable
from medhash.papers.reported import SUMMARY_ROW
from medhash.papers.specs import OWN_SETTINGS, ArtefactSpec

COLUMNS = {
    **{name: name for name in ("row", "column", "dataset", "origin", "method", "variant", "bits")},
    **{name: name for name in ("status", "printed", "mark", "rank")},
    "value": "map_percent",
    "deviation": "deviation_percent",
    "half_width": "interval_half_points",
    **{name: name for name in ("n_seeds", "seeds", "against")},
    "difference": "difference_points",
    "difference_half_width": "difference_interval_half_points",
    "tie_least": "tie_least_percent",
    "tie_greatest": "tie_greatest_percent",
    "tie_spread": "tie_spread_points",
    "stable": "stable_map_percent",
    "random": "random_order_percent",
    "majority": "majority_first_percent",
    "reported": "reported_percent",
    "regenerated_minus_reported": "regenerated_minus_reported_points",
    **{name: name for name in ("queries", "queries_without_relevant", "database")},
    **{name: name for name in ("scale", "protocol", "synthetic", "note")},
}
"""What is known of a value -> its column in the CSV of a table of mAP."""

INTERVALS = (
    "Values are means over seeds ± half of the 95 % interval (Student's t); differences likewise, "
    "seed by seed."
)
ONE_SEED = (
    "One seed has no interval: how far chance in training moves a value is not known, nor whether "
    "it alone makes a difference."
)
INTERVAL = ("interval_least", "interval_greatest")
"""The columns of an interval over queries."""

_READING = "Bold: best, underlined: second best, among the rows of one method in one column."
_READING_WHOLE = "Bold: best, underlined: second best of a column."


@dataclass(frozen=True)
class GridRow:
    """A row of a table.

    Attributes:
        label: its name, without the proportion behind it.
        places: one a column.
        against: the row that its values are compared with.
        arrows: whether the difference stands behind each printed value.
        counted: whether the printed name says in how many columns the row is the better one.
    """

    label: str
    places: tuple[Place, ...]
    against: GridRow | None = None
    arrows: bool = False
    counted: bool = False


@dataclass(frozen=True)
class Standing:
    """A value compared with the others of its block and column.

    Attributes:
        rank: counts distinct printed values from the best (1).
        mark: best and second best; best needs two rows that ran, second best three.
        difference: printed value minus that of the row it is compared with, ``None`` where there
            is no such row or it did not run.
        half_width: half of the 95 % interval of the difference, seed by seed; ``None`` for one.
    """

    rank: int
    mark: Mark
    difference: Decimal | None
    half_width: float | None = None


@dataclass(frozen=True)
class Grid:
    """Every value of a table.

    Attributes:
        spec: the table.
        context: names, scale and the reported numbers.
        blocks: the rows; best and second best are marked within a block.
        facts: the files of cells that the table shows.
        columns: from left to right.
        labels: what stands below the heading of each column.
        ranked_whole: whether best and second best are those of all blocks together; they always
            are where a block is one row.
        intervals: whether an interval over queries stands behind each value.
    """

    spec: ArtefactSpec
    context: Context
    blocks: tuple[tuple[GridRow, ...], ...]
    facts: tuple[Any, ...]
    columns: tuple[GridColumn, ...]
    labels: tuple[str, ...] = field(default=())
    ranked_whole: bool = False
    intervals: bool = False

    @classmethod
    def of_lengths(
        cls,
        spec: ArtefactSpec,
        context: Context,
        blocks: tuple[tuple[GridRow, ...], ...],
        facts: Sequence[Any],
    ) -> Grid:
        """A grid whose columns are datasets and code lengths, of mAP."""
        return cls(spec, context, blocks, tuple(facts), tuple(columns_of(spec)))

    @cached_property
    def entries(self) -> list[tuple[GridRow, int, Place]]:
        """Every place with its row and the number of its column, row by row."""
        return [
            (row, number, place)
            for block in self.blocks
            for row in block
            for number, place in enumerate(row.places)
        ]

    @cached_property
    def ran(self) -> list[dict[Place, Summary]]:
        """What ran, column by column."""
        by_measure = {
            measured: summarise(self.facts, measured)
            for measured in dict.fromkeys(column.measured for column in self.columns)
        }
        return [by_measure[column.measured] for column in self.columns]

    @cached_property
    def standings(self) -> dict[tuple[GridRow, int], Standing]:
        """How the values that ran compare with each other."""
        together = (tuple(row for block in self.blocks for row in block),)
        return {
            (row, number): standing
            for block in (together if self._ranked_together else self.blocks)
            for number in range(len(self.columns))
            for row, standing in self._compared(block, number)
        }

    @property
    def _ranked_together(self) -> bool:
        return self.ranked_whole or all(len(block) == 1 for block in self.blocks)

    @property
    def summaries(self) -> list[Summary]:
        """Everything that ran, once a place."""
        found = {
            place: self.ran[number][place]
            for _, number, place in self.entries
            if place in self.ran[number]
        }
        return list(found.values())

    @property
    def title(self) -> str:
        """The caption."""
        return f"{self.context.heading(self.spec)} {self.context.details(self.spec, self.facts)}"

    def printed(
        self,
        *,
        notes: Sequence[str] = (),
        differences: str = "",
        more: tuple[tuple[PrintedRow, ...], ...] = (),
    ) -> PrintedTable:
        """The table, with the reported numbers beside its own below it.

        Args:
            notes: said first, if anything ran.
            differences: what proportions and arrows mean, said if there are any.
            more: further blocks of rows.
        """
        return PrintedTable(
            title=self.title,
            groups=self.groups(range(len(self.columns))),
            blocks=(*(tuple(map(self._printed_row, block)) for block in self.blocks), *more),
            notes=(*(notes if self.summaries else ()), *self._notes(differences)),
            comparison=self._comparison(),
        )

    def groups(self, numbers: Sequence[int]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns of a printed table: a heading over the labels below it."""
        columns = [self.columns[number] for number in numbers]
        if not self.labels:
            return self.context.column_groups(columns)
        return grouped(
            (self.heading(column), self.labels[number])
            for number, column in zip(numbers, columns, strict=True)
        )

    def heading(self, column: GridColumn) -> str:
        """What stands above a column."""
        return column.heading or self.context.heading_of(column.dataset, column.origin)

    def csv_rows(self, names: Mapping[str, str] = COLUMNS) -> list[dict[str, str]]:
        """One row a value, row by row of the table.

        Args:
            names: what is known of a value -> the column that says it.
        """
        return [self.csv_row(*entry, names) for entry in self.entries]

    def csv_row(
        self, row: GridRow, number: int, place: Place, names: Mapping[str, str] = COLUMNS
    ) -> dict[str, str]:
        """A value's row of the CSV."""
        reported = self.reported(row, number)
        values = self.csv_column(number) | {
            "row": row.label,
            **{name: str(value) for name, value in place._asdict().items()},
            "printed": self.printed_cell(row, number).text,
            "against": row.against.label if row.against else "",
            "reported": "" if reported is None else str(reported),
        }
        summary = self.ran[number].get(place)
        told = self.context.place_columns(
            self.spec, place.dataset, summary is not None, place.origin, place.method
        )
        values = told | values
        if summary is not None:
            values |= _numbers(summary, self.standings[row, number])
            if reported is not None:
                values["regenerated_minus_reported"] = str(summary.printed - reported)
            if self.intervals and summary.interval:
                factor = summary.measured.measure.factor
                ends = (f"{factor * end:.6f}" for end in summary.interval)
                values |= dict(zip(INTERVAL, ends, strict=True))
        return {name: values.get(known, "") for known, name in names.items()}

    def csv_column(self, number: int) -> dict[str, str]:
        """What a row of the CSV says of its column and of the run."""
        column = self.columns[number]
        measured, shown = column.measured, (column.dataset, column.origin)
        synthetic = any(map(is_synthetic, shown if any(shown) else self.spec.datasets))
        title = f"{self.heading(column)}/{self.labels[number]}" if self.labels else ""
        return {
            "column": title or self.context.column_label(column),
            **{name: str(getattr(column, name)) for name in ("dataset", "bits", "origin")},
            "measure": measured.name,
            "cutoff": "" if measured.cutoff is None else str(measured.cutoff),
            "unit": measured.measure.unit,
            "scale": self.context.scale,
            "protocol": self.context.protocol,
            "synthetic": str(synthetic).lower(),
        }

    def printed_cell(self, row: GridRow, number: int) -> PrintedCell:
        """A value as it is printed."""
        summary = self.ran[number].get(row.places[number])
        if summary is None:
            return PrintedCell(NOT_RUN)
        standing, value = self.standings[row, number], str(summary.printed)
        measure = summary.measured.measure
        if summary.half_width is not None:
            value += f" ± {measure.printed(summary.half_width)}"
        half = "" if standing.half_width is None else f" ± {measure.printed(standing.half_width)}"
        behind = _arrow(standing.difference, half) if row.arrows else ""
        if self.intervals and summary.interval:
            ends = (str(measure.printed(end)) for end in summary.interval)
            behind = f"[{', '.join(ends)}]"
        return PrintedCell(value, standing.mark, behind)

    def reported(self, row: GridRow, number: int) -> Decimal | None:
        """What the paper prints in the place of a value."""
        return self.context.reported_number(self.spec, row.label, self.columns[number])

    @cached_property
    def compared_columns(self) -> list[int]:
        """The columns whose group has a place that is both reported and regenerated."""
        compared = {
            self._group(number)
            for row, number, place in self.entries
            if place in self.ran[number] and self.reported(row, number) is not None
        }
        return [n for n in range(len(self.columns)) if self._group(n) in compared]

    def _group(self, number: int) -> tuple[str, str, str]:
        column = self.columns[number]
        return column.dataset, column.origin, column.heading

    def _notes(self, differences: str) -> list[str]:
        """What is said below the table."""
        notes = []
        if self.summaries:
            notes.append(_READING_WHOLE if self._ranked_together else _READING)
        shown = (s for (row, _), s in self.standings.items() if row.arrows or row.counted)
        if differences and any(standing.difference is not None for standing in shown):
            notes.append(differences)
        if any(summary.half_width is not None for summary in self.summaries):
            notes.append(INTERVALS)
        elif self.summaries:
            notes.append(ONE_SEED)
        if self.intervals and any(summary.interval for summary in self.summaries):
            notes.append(
                "In brackets: 95% interval of the mean over queries, by drawing the queries again "
                "(bootstrap, percentiles; each query's value is its mean over seeds)."
            )
        places = [place for _, _, place in self.entries]
        return [*notes, *shared_notes(self.spec, self.summaries, places, self.context)]

    def _printed_row(self, row: GridRow) -> PrintedRow:
        cells = tuple(self.printed_cell(row, number) for number in range(len(self.columns)))
        return PrintedRow(row.label, cells, self._proportion(row))

    def _proportion(self, row: GridRow) -> str:
        """``(7/8)``: in how many of the columns that ran the row is better."""
        standings = [self.standings.get((row, number)) for number in range(len(self.columns))]
        differences = [s.difference for s in standings if s and s.difference is not None]
        wins = sum(difference > 0 for difference in differences)
        return f"({wins}/{len(differences)})" if row.counted and differences else ""

    def _compared(self, block: Sequence[GridRow], number: int) -> list[tuple[GridRow, Standing]]:
        """The rows of a block that ran in one column, each with its standing."""
        ran = self.ran[number]
        values = {
            row: ran[row.places[number]].printed for row in block if row.places[number] in ran
        }
        best_first = sorted(
            set(values.values()), reverse=self.columns[number].measured.measure.higher_is_better
        )
        standings = []
        for row, value in values.items():
            rank = best_first.index(value) + 1
            other = ran.get(row.against.places[number]) if row.against else None
            standing = Standing(rank, _mark(rank, len(values)), None)
            if other is not None:
                half = ran[row.places[number]].difference_half_width(other)
                standing = replace(standing, difference=value - other.printed, half_width=half)
            standings.append((row, standing))
        return standings

    def _comparison(self) -> PrintedTable | None:
        """Reported / regenerated / difference, where both are known; never beside a phantom."""
        if not self.compared_columns:
            return None
        spec, context = self.spec, self.context
        return PrintedTable(
            title="Reported by the paper / regenerated / difference in points: "
            f"{spec.title}. {context.details(spec, self.facts)}",
            groups=self.groups(self.compared_columns),
            blocks=tuple(
                tuple(PrintedRow(row.label, self._compared_cells(row)) for row in block)
                for block in self.blocks
            ),
            notes=(_settings_note(context.scale),),
        )

    def _compared_cells(self, row: GridRow) -> tuple[PrintedCell, ...]:
        """``74.00 / 70.12 / -3.88`` in every compared column."""
        cells = []
        for number in self.compared_columns:
            reported, summary = self.reported(row, number), self.ran[number].get(row.places[number])
            parts = [
                "not reported" if reported is None else str(reported),
                NOT_RUN if summary is None else str(summary.printed),
            ]
            if reported is not None and summary is not None:
                parts.append(f"{summary.printed - reported:+}")
            cells.append(PrintedCell(" / ".join(parts)))
        return tuple(cells)


def lengths_row(
    spec: ArtefactSpec, context: Context, method: str, variant: str, **options: Any
) -> GridRow:
    """A row of :meth:`Grid.of_lengths`: a method and variant in every column."""
    places = tuple(Place.at(column, method, variant) for column in columns_of(spec))
    return GridRow(row_title(spec, places[0], context), places, **options)


def summary_row(texts: Iterable[str]) -> PrintedRow:
    """The row of wins, ties and losses, one text a column."""
    return PrintedRow(SUMMARY_ROW, tuple(map(PrintedCell, texts)))


def counted(counts: WinTieLoss, prefix: str = "") -> dict[str, str]:
    """Wins, ties and losses as columns of a CSV."""
    return {f"{prefix}{name}": str(count) for name, count in counts._asdict().items()}


def _numbers(summary: Summary, standing: Standing) -> dict[str, str]:
    texts = {
        "mark": standing.mark,
        "rank": str(standing.rank),
        "n_seeds": str(len(summary.seeds)),
        "seeds": " ".join(map(str, summary.seeds)),
        "difference": "" if standing.difference is None else str(standing.difference),
    }
    numbers = {"value": summary.mean, "deviation": summary.deviation}
    numbers |= {
        "half_width": summary.half_width,
        "difference_half_width": standing.half_width,
    }
    if summary.ties:
        numbers |= dict(zip(("tie_least", "tie_greatest"), summary.ties, strict=True))
        numbers |= {"tie_spread": summary.tie_spread, "stable": summary.stable}
    if summary.measured.measure.source == "record":
        numbers |= {answer: summary.chance(answer) for answer in ("random", "majority", "ideal")}
        sizes = ("queries", "queries_without_relevant", "database")
        texts |= {name: str(getattr(summary.metrics, name)) for name in sizes}
    factor = summary.measured.measure.factor
    return texts | {k: "" if v is None else f"{factor * v:.6f}" for k, v in numbers.items()}


def _settings_note(scale: str) -> str:
    if scale == OWN_SETTINGS:
        return "Regenerated with the paper's own settings, where it prints them."
    return (
        f"Regenerated at scale {scale}: with other settings than the paper's, so a difference says "
        "nothing about the paper."
    )


def _mark(rank: int, rows: int) -> Mark:
    if rank >= rows:
        return ""
    return "best" if rank == 1 else "second" if rank == 2 else ""


def _arrow(difference: Decimal | None, half: str) -> str:
    """``(↑9.11)``, as the papers print it; with its interval where there is one."""
    if difference is None:
        return ""
    sign = "↑" if difference > 0 else "↓" if difference < 0 else "="
    return f"({sign}{abs(difference)}{half})"
