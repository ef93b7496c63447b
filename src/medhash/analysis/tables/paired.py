"""Is one row better than another? Paired tests between methods, on measures of each query."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from medhash.analysis.numbers.context import NOT_RUN, Context, GridColumn, Place, bits_label
from medhash.analysis.numbers.paired_tests import PairedTest, compared_places
from medhash.analysis.numbers.statistics import SIGNIFICANCE_LEVEL
from medhash.analysis.numbers.summaries import not_run_notes
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable, signed
from medhash.analysis.tables.wilcoxon import printed_p_value
from medhash.papers.claim_rules import Row, RowPair
from medhash.papers.specs import Made, TableSpec
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES, MeasureAt

CSV_COLUMNS = (
    *("row", "column", "dataset", "method", "variant", "against_method", "against_variant"),
    *("bits", "measure", "cutoff", "unit", "status", "printed", "value", "against_value"),
    *("difference", "p_value", "p_holm", "effect_size", "outcome", "queries", "n_seeds", "seeds"),
    *("scale", "protocol", "synthetic", "note"),
)


class _Entry(NamedTuple):
    """A pair in a column, and its test where both have run."""

    pair: RowPair
    column: GridColumn
    places: tuple[Place, Place]
    test: PairedTest | None


class Spec(TableSpec):
    """Differences of rows, and whether queries tell them apart.

    A test runs over the queries; with several seeds a query's value is its mean over the seeds that
    both rows have. Holm's correction takes all tests of one measure as one family.

    Attributes:
        pairs: rows and those that they are compared with, ``[osdh/none, sdh/none]``; of methods and
            variants that the table or the run does not have, none.
        measures: those that records keep of each query: ``map``, ``ndcg_at@100``.
        unit: instead of the measure's own.
    """

    kind: Literal["paired"]
    pairs: tuple[RowPair, ...] = Field(min_length=1)
    measures: tuple[str, ...] = Field(("map",), min_length=1)
    unit: Literal["percent", "fraction"] | None = None

    @model_validator(mode="after")
    def _compares_values_of_queries(self) -> Self:
        for each in self.shown:
            if not each.measure.of_queries:
                known = ", ".join(name for name, own in MEASURES.items() if own.of_queries)
                raise ValueError(f"'measures': of {each} no query has a value; those are: {known}")
        for name in (name for pair in self.pairs for name in pair):
            if not Row.parse(name).method:
                raise ValueError(f"'pairs': '{name}' names no method; write METHOD/{name}")
        return self

    @property
    def shown(self) -> tuple[MeasureAt, ...]:
        """The measures, each at its K."""
        return tuple(MeasureAt.parse(text)._replace(unit=self.unit) for text in self.measures)

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """Those of the rows that are compared."""
        rows = {(row.method, row.variant) for pair in self._own_pairs for row in _rows(pair)}
        return [cell for cell in super().cells(seeds) if (cell.method, cell.variant) in rows]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a test.

        Raises:
            MedhashError: two records that are to be paired have different queries, or one keeps no
                values of single queries.
        """
        entries = self._entries(facts)
        used = [r for entry in entries if entry.test for r in entry.test.records]
        columns = list(dict.fromkeys(entry.column for entry in entries))
        rows = [
            PrintedRow(
                self._label(pair, context),
                tuple(_printed(entry) for entry in entries if entry.pair == pair),
            )
            for pair in self._own_pairs
        ]
        table = PrintedTable(
            title=f"{context.heading(self)} {context.details(self, used)}",
            groups=tuple(
                (self._heading(dataset, measured, context), tuple(map(bits_label, self.bits)))
                for dataset, measured in dict.fromkeys((c.dataset, c.measured) for c in columns)
            ),
            blocks=(tuple(rows),),
            notes=tuple(self._notes(entries, context)),
            corner="Rows",
        )
        return [self._csv_row(entry, context) for entry in entries], table

    @property
    def _own_pairs(self) -> list[RowPair]:
        """Those of whose rows methods and variants are here."""
        return [
            pair
            for pair in self.pairs
            if all(r.method in self.methods and r.variant in self.variants for r in _rows(pair))
        ]

    def _entries(self, facts: Sequence[Any]) -> list[_Entry]:
        """Pair by pair, column by column."""
        columns = [
            GridColumn(dataset, bits, measured=measured)
            for dataset, measured, bits in product(self.datasets, self.shown, self.bits)
        ]
        placed = [
            (pair, column, (first, second))
            for pair in self._own_pairs
            for column in columns
            for first, second in [(_place(column, row) for row in _rows(pair))]
        ]
        tests: dict[tuple[MeasureAt, tuple[Place, Place]], PairedTest] = {}
        for measured in self.shown:
            own = [places for _, column, places in placed if column.measured == measured]
            found = compared_places(own, facts, measured)
            tests |= {(measured, places): test for places, test in found.items()}
        return [_Entry(*each, tests.get((each[1].measured, each[2]))) for each in placed]

    def _label(self, pair: RowPair, context: Context) -> str:
        """``OSDH vs. SDH``."""
        titles = (self.row_title(context.paper, r.method, r.variant) for r in _rows(pair))
        return " vs. ".join(titles)

    def _heading(self, dataset: str, measured: MeasureAt, context: Context) -> str:
        named = f"{context.paper.dataset_title(dataset)}, " if len(self.datasets) > 1 else ""
        return f"{named}{measured.title}"

    def _notes(self, entries: Sequence[_Entry], context: Context) -> list[str]:
        ran = {place for entry in entries if entry.test for place in entry.places}
        places = [place for entry in entries for place in entry.places]
        missing = not_run_notes(self, ran, places, context)
        if not ran:
            return ["Nothing of this table has run.", *missing]
        return [
            "The difference of both means, and the p-value of the two-sided Wilcoxon signed-rank "
            f"test over the queries. Bold: p ≤ {SIGNIFICANCE_LEVEL} after Holm's correction over "
            "all tests of the measure. The CSV adds the corrected p-values and the matched-pairs "
            "rank-biserial correlation.",
            *missing,
        ]

    def _csv_row(self, entry: _Entry, context: Context) -> dict[str, str]:
        (place, other), column, measured = entry.places, entry.column, entry.column.measured
        row = dict.fromkeys(CSV_COLUMNS, "") | {
            "row": self._label(entry.pair, context),
            "column": f"{self._heading(column.dataset, measured, context)}/"
            f"{bits_label(column.bits)}",
            "dataset": column.dataset,
            "method": place.method,
            "variant": place.variant,
            "against_method": other.method,
            "against_variant": other.variant,
            "bits": str(column.bits),
            "measure": measured.name,
            "cutoff": "" if measured.cutoff is None else str(measured.cutoff),
            "unit": measured.measure.unit,
            "printed": _printed(entry).text,
            **context.run_columns(column.dataset),
        }
        if entry.test is None:
            reason = context.why_not_run(self, column.dataset)
            return row | {"status": NOT_RUN, "note": reason}
        return row | {"status": "ran"} | _numbers(entry.test)


def _rows(pair: RowPair) -> tuple[Row, Row]:
    return Row.parse(pair[0]), Row.parse(pair[1])


def _place(column: GridColumn, row: Row) -> Place:
    return Place.at(column, row.method, row.variant)


def _printed(entry: _Entry) -> PrintedCell:
    """``+0.0493 (p = 3.100e-04)``."""
    test = entry.test
    if test is None:
        return PrintedCell(NOT_RUN)
    difference = signed(test.summary.printed - test.baseline.printed)
    significant = test.p_holm <= SIGNIFICANCE_LEVEL
    p_value = printed_p_value(test.comparison.p_value)
    return PrintedCell(difference, "best" if significant else "", f"(p = {p_value})")


def _numbers(test: PairedTest) -> dict[str, str]:
    factor = test.summary.measured.measure.factor
    return test.numbers() | {
        "value": f"{factor * test.summary.mean:.6f}",
        "against_value": f"{factor * test.baseline.mean:.6f}",
        "difference": str(test.summary.printed - test.baseline.printed),
        "outcome": test.comparison.outcome,
        "queries": str(test.queries),
        "n_seeds": str(len(test.summary.seeds)),
        "seeds": " ".join(map(str, test.summary.seeds)),
    }
