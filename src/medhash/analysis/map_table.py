"""Mean average precision of every method and variant (the form of ACH Table III)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from medhash.analysis.comparison import comparison_table
from medhash.analysis.context import NOT_RUN, Context, bits_label, is_synthetic
from medhash.analysis.records import Record
from medhash.analysis.rendering import Mark, PrintedCell, PrintedRow, PrintedTable
from medhash.analysis.summaries import (
    Place,
    Summary,
    columns_of,
    percent,
    printed_percent,
    shared_notes,
    summarise,
)
from medhash.causal.variants import parts_of
from medhash.configuration.papers import TableSpec

BASELINE = "none"

CSV_COLUMNS = (
    "row",
    "column",
    "dataset",
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


def map_table(
    spec: TableSpec, records: Sequence[Record], context: Context
) -> tuple[pd.DataFrame, PrintedTable]:
    """Build the table; a block is a method with its variants.

    Best and second best are marked within a block and column, as the paper marks them; equal
    printed values share the mark. Best needs two rows that ran, second best three.

    Returns:
        The CSV's frame (columns :data:`CSV_COLUMNS`, one row a dataset x method x variant x bits,
        all values text) and the printed table.
    """
    ran = summarise(records)
    standings = _standings(spec, ran)
    grid = _Grid(spec, context, ran, standings)
    places = grid.places
    printed = PrintedTable(
        title=f"{context.heading(spec)} {context.details(spec, records)}",
        groups=tuple(
            (context.paper.dataset_title(dataset), tuple(map(bits_label, spec.bits)))
            for dataset in spec.datasets
        ),
        blocks=tuple(grid.block(method) for method in spec.methods),
        notes=(*_reading_notes(ran, standings), *shared_notes(spec, ran, places, context)),
        comparison=comparison_table(spec, records, ran, context),
    )
    rows = [grid.csv_row(place) for place in places]
    return pd.DataFrame(rows, columns=list(CSV_COLUMNS)), printed


@dataclass(frozen=True)
class _Standing:
    """A place compared with the others of its block and column.

    ``rank`` counts distinct printed values from the best (1); ``difference`` is the printed mAP
    minus the baseline's, ``None`` for the baseline and where the baseline did not run.
    """

    rank: int
    mark: Mark
    difference: Decimal | None


@dataclass(frozen=True)
class _Grid:
    """Every place of the table, printed or as a row of the CSV."""

    spec: TableSpec
    context: Context
    ran: Mapping[Place, Summary]
    standings: Mapping[Place, _Standing]

    @property
    def places(self) -> list[Place]:
        """All places, row by row."""
        return [
            place
            for method in self.spec.methods
            for variant in self.spec.trained_variants
            for place in self.row(method, variant)
        ]

    def row(self, method: str, variant: str) -> list[Place]:
        """The places of one row, column by column."""
        columns = columns_of(self.spec)
        return [Place(dataset, method, variant, bits) for dataset, bits in columns]

    def block(self, method: str) -> tuple[PrintedRow, ...]:
        """A method and its variants, printed."""
        rows = []
        for variant in self.spec.trained_variants:
            places = self.row(method, variant)
            label = self.context.paper.method_title(method, variant) + self.proportion(places)
            rows.append(PrintedRow(label, tuple(map(self.printed, places))))
        return tuple(rows)

    def proportion(self, places: Sequence[Place]) -> str:
        """``(7/8)``: in how many of the columns that ran the row beats its baseline."""
        standings = [self.standings[place] for place in places if place in self.standings]
        differences = [s.difference for s in standings if s.difference is not None]
        wins = sum(difference > 0 for difference in differences)
        return f"({wins}/{len(differences)})" if differences else ""

    def printed(self, place: Place) -> PrintedCell:
        """A place as it is printed."""
        if place not in self.ran:
            return PrintedCell(NOT_RUN)
        summary, standing = self.ran[place], self.standings[place]
        value = str(summary.printed_map)
        if summary.deviation is not None:
            value += f" ± {printed_percent(summary.deviation)}"
        return PrintedCell(value, standing.mark, _arrow(place.variant, standing.difference))

    def csv_row(self, place: Place) -> dict[str, str]:
        """A place's row of the CSV."""
        title = self.context.paper.method_title(place.method, place.variant)
        reported = self.context.reported_number(self.spec, title, place.dataset, place.bits)
        row = dict.fromkeys(CSV_COLUMNS, "") | {
            "row": title,
            "column": self.context.column_label(place.dataset, place.bits),
            **{name: str(value) for name, value in place._asdict().items()},
            "printed": self.printed(place).text,
            "reported_percent": "" if reported is None else str(reported),
            "scale": self.context.scale,
            "protocol": self.context.protocol,
            "synthetic": str(is_synthetic(place.dataset)).lower(),
        }
        if place in self.ran:
            numbers = _numbers(self.ran[place], self.standings[place])
            if reported is not None:
                difference = self.ran[place].printed_map - reported
                numbers["regenerated_minus_reported_points"] = str(difference)
            return row | {"status": "ran"} | numbers
        note = self.context.why_not_run(self.spec, place.dataset)
        return row | {"status": NOT_RUN, "note": note}


def _standings(spec: TableSpec, ran: Mapping[Place, Summary]) -> dict[Place, _Standing]:
    standings = {}
    for method in spec.methods:
        for dataset, bits in columns_of(spec):
            places = [Place(dataset, method, variant, bits) for variant in spec.trained_variants]
            standings.update(_compared([p for p in places if p in ran], ran))
    return standings


def _compared(places: Sequence[Place], ran: Mapping[Place, Summary]) -> dict[Place, _Standing]:
    values = {place: ran[place].printed_map for place in places}
    descending = sorted(set(values.values()), reverse=True)
    reference = next((values[place] for place in places if place.variant == BASELINE), None)
    standings = {}
    for place, value in values.items():
        rank = descending.index(value) + 1
        difference = None
        if reference is not None and place.variant != BASELINE:
            difference = value - reference
        standings[place] = _Standing(rank, _mark(rank, len(places)), difference)
    return standings


def _mark(rank: int, rows: int) -> Mark:
    if rank >= rows:
        return ""
    return "best" if rank == 1 else "second" if rank == 2 else ""


def _arrow(variant: str, difference: Decimal | None) -> str:
    """``(↑9.11)`` behind the variants that combine modules, as the paper prints it."""
    if difference is None or len(parts_of(variant)) < 2:
        return ""
    sign = "↑" if difference > 0 else "↓" if difference < 0 else "="
    return f"({sign}{abs(difference)})"


def _reading_notes(ran: Mapping[Place, Summary], standings: Mapping[Place, _Standing]) -> list[str]:
    if not ran:
        return []
    notes = ["Bold: best, underlined: second best, among the rows of one baseline in one column."]
    if any(standing.difference is not None for standing in standings.values()):
        notes.append(
            "In brackets behind a name: in how many of the columns that ran the row beats its "
            "baseline. ↑ and ↓: percentage points above and below the baseline."
        )
    if any(summary.deviation is not None for summary in ran.values()):
        notes.append("Values are means over seeds ± their sample standard deviation.")
    return notes


def _numbers(summary: Summary, standing: _Standing) -> dict[str, str]:
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
