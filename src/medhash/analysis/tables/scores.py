"""Any measures of any cells: rows and columns are axes (the form of OSDH 1, 2 and Y-Net I to III).

The axes are dataset, method, variant, bits and measure. Those that are not named as rows are
columns; the last of them stands below the headings that the others make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from medhash.analysis.numbers.context import Context, GridColumn, Place, bits_label
from medhash.analysis.numbers.summaries import Summary
from medhash.analysis.tables.grid import INTERVAL, Grid, GridRow
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow
from medhash.papers.specs import Made, Name, TableSpec
from medhash.schema.base import Count, NaturalNumber
from medhash.schema.measures import MEASURES, MeasureAt, Source

if TYPE_CHECKING:
    from medhash.configuration.restriction import Restriction

RowAxis = Literal["dataset", "method", "variant", "bits"]

AXES = ("dataset", "method", "variant", "bits", "measure")

COLUMNS = (
    *("row", "column", "dataset", "origin", "method", "variant", "bits", "measure", "cutoff"),
    *("unit", "status", "printed", "mark", "rank", "value", "deviation", "half_width", "n_seeds"),
    "seeds",
    *("random", "majority", "ideal", "reported", "regenerated_minus_reported", "queries"),
    *("queries_without_relevant", "database", "scale", "protocol", "synthetic", "note"),
)

CHANCE = {
    "random": "Random order",
    "majority": "Most frequent class first",
    "ideal": "Most shared labels first",
    "background": "Most frequent class everywhere",
}
"""Answer that looks at no image -> its row."""

_PIXELS = (
    "Over all pixels of all query images; mIoU is the mean over the classes of pixels, without one "
    "that is in no mask and is never found."
)


class Spec(TableSpec):
    """Measures of cells on a grid of axes.

    Best and second best are marked within a column. The last rows are what answers score that
    look at no image.

    Attributes:
        measures: what is shown: ``map``, ``ndcg_at@100``; or without K, for each of
            :attr:`cutoffs`.
        cutoffs: the K of measures that are named without one.
        rows: the axes whose values are rows; the others are columns.
        bits: code lengths; or
        lengths: method -> the code length of its rows.
        decimals: printed, instead of the measure's own.
        unit: instead of the measure's own.
        groups: methods that are ruled off from the others, instead of :attr:`methods`.
        intervals: whether a 95% interval over queries stands behind each value.
    """

    kind: Literal["scores"]
    measures: tuple[str, ...] = Field(("map",), min_length=1)
    cutoffs: tuple[Count, ...] = ()
    rows: tuple[RowAxis, ...] = Field(("method", "variant"), min_length=1)
    bits: tuple[Count, ...] = ()
    lengths: dict[Name, Count] = Field(default_factory=dict)
    decimals: NaturalNumber | None = None
    unit: Literal["percent", "fraction"] | None = None
    methods: tuple[Name, ...] = ()
    groups: tuple[tuple[Name, ...], ...] = Field((), exclude_if=lambda value: not value)
    intervals: bool = Field(False, exclude_if=lambda value: not value)

    @model_validator(mode="before")
    @classmethod
    def _methods_of_groups(cls, tree: Any) -> Any:
        """Those of all groups, in their order."""
        if not isinstance(tree, dict) or not tree.get("groups") or tree.get("methods"):
            return tree
        return tree | {"methods": [name for group in tree["groups"] for name in group]}

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        if not self.methods:
            raise ValueError("name 'methods', or 'groups' of them")
        if self.groups and self.rows[0] != "method":
            raise ValueError(
                "'groups': the methods of one stand together, so 'rows' begins with it"
            )
        if len({each.measure.source for each in self.shown}) > 1:
            raise ValueError("'measures': these are of different files of a cell")
        if bool(self.bits) == bool(self.lengths):
            raise ValueError("name either 'bits' or 'lengths'")
        missing = [method for method in self.methods if self.lengths and method not in self.lengths]
        if missing:
            raise ValueError(f"'lengths': none is given for {missing[0]}")
        if self.lengths and "method" not in self.rows:
            raise ValueError("'lengths': a length a method needs 'method' among 'rows'")
        return self

    @property
    def source(self) -> Source:
        """The file of each cell that it is made from."""
        return self.shown[0].measure.source

    @property
    def shown(self) -> tuple[MeasureAt, ...]:
        """The measures, each at its K."""
        texts = []
        for name in self.measures:
            several = self.cutoffs and name in MEASURES and MEASURES[name].at_cutoff
            texts += [f"{name}@{k}" for k in self.cutoffs] if several else [name]
        return tuple(
            MeasureAt.parse(text)._replace(unit=self.unit, decimals=self.decimals) for text in texts
        )

    def lengths_of(self, method: str) -> tuple[int, ...]:
        """The code lengths of a method's cells."""
        return (self.lengths[method],) if self.lengths else self.bits

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Of methods with a length each, those that have one; without any, nothing runs."""
        if not self.lengths:
            return {}
        methods = tuple(m for m in changes.get("methods", self.methods) if m in self.lengths)
        return {"methods": methods} if methods else {"methods": self.methods, "available": ()}

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a value; what is known by chance stands in its columns."""
        columns, labels = self._columns(context)
        rows = [
            self._row(dict(zip(self.rows, values, strict=True)), columns, context)
            for values in product(*map(self._values, self.rows))
        ]
        grid = Grid(
            self,
            context,
            self._blocks(rows),
            tuple(facts),
            columns,
            labels,
            ranked_whole=True,
            intervals=self.intervals,
        )
        chance = () if "dataset" in self.rows else _chance_rows(grid)
        notes = (_PIXELS,) if self.source == "segmentation" else ()
        printed = grid.printed(notes=notes, more=(chance,) if chance else ())
        if chance:
            printed = replace(printed, notes=(*printed.notes, _chance_note(chance)))
        names = (*COLUMNS, *(INTERVAL if self.intervals else ()))
        return grid.csv_rows({name: name for name in names}), printed

    def _blocks(self, rows: Sequence[GridRow]) -> tuple[tuple[GridRow, ...], ...]:
        """The rows of each group; what is in none, as a method of the user's, stands last."""
        if not self.groups:
            return (tuple(rows),)
        named = {method for group in self.groups for method in group}
        groups = (*self.groups, tuple(m for m in self.methods if m not in named))
        blocks = (tuple(r for r in rows if r.places[0].method in group) for group in groups)
        return tuple(block for block in blocks if block)

    def _values(self, axis: str) -> tuple[Any, ...]:
        of = {"dataset": self.datasets, "method": self.methods, "variant": self.variants}
        return (of | {"bits": self.bits or (0,), "measure": self.shown})[axis]

    def _columns(self, context: Context) -> tuple[tuple[GridColumn, ...], tuple[str, ...]]:
        """The columns, and what stands below the heading of each."""
        axes = [axis for axis in AXES if axis not in self.rows]
        several = [axis for axis in axes if len(self._values(axis)) > 1]
        below = several[-1] if several else axes[-1]
        above = [axis for axis in several if axis != below] or [a for a in axes if a != below][:1]
        columns, labels = [], []
        for values in product(*map(self._values, axes)):
            at = dict(zip(axes, values, strict=True))
            heading = ", ".join(self._title(axis, at, context) for axis in above)
            columns.append(
                GridColumn(at.get("dataset", ""), at.get("bits", 0), "", at["measure"], heading)
            )
            labels.append(self._title(below, at, context))
        return tuple(columns), tuple(labels)

    def _row(self, at: dict[str, Any], columns: Sequence[GridColumn], context: Context) -> GridRow:
        """A row; its label names the axes of which there is more than one value."""
        several = [axis for axis in self.rows if len(self._values(axis)) > 1] or [self.rows[0]]
        shown = dict.fromkeys("method" if axis == "variant" else axis for axis in several)
        label = ", ".join(self._title(axis, at, context) for axis in shown)
        axes = [axis for axis in AXES if axis not in self.rows and axis != "measure"]
        fixed = {axis: self._values(axis)[0] for axis in axes} | at
        places = []
        for column in columns:
            own = {"dataset": column.dataset, "bits": column.bits}
            place = fixed | {axis: own[axis] for axis in axes if axis in own}
            length = place["bits"] or self.lengths[place["method"]]
            places.append(Place(place["dataset"], place["method"], place["variant"], length))
        return GridRow(label, tuple(places))

    def _title(self, axis: str, at: dict[str, Any], context: Context) -> str:
        if axis == "dataset":
            return context.paper.dataset_title(at["dataset"])
        if axis == "bits":
            return bits_label(at["bits"])
        if axis == "measure":
            title: str = at["measure"].title
            return title
        method, variant = (at.get(a, self._values(a)[0]) for a in ("method", "variant"))
        return self.row_title(context.paper, method, variant)


_MEANINGS = {
    "random": "the expectation over all orders of the database",
    "majority": "the same list for every query, all images of the database's most frequent class "
    "before the others",
    "ideal": "the best that an order can have",
    "background": "every pixel is called what most pixels of the query images are",
}


def _chance_note(rows: Sequence[PrintedRow]) -> str:
    """What the rows of :func:`_chance_rows` are."""
    shown = {row.label for row in rows}
    texts = [f"{t}: {_MEANINGS[answer]}." for answer, t in CHANCE.items() if t in shown]
    return " ".join(texts)


def _chance_rows(grid: Grid) -> tuple[PrintedRow, ...]:
    """What answers score that look at no image; nothing where no record knows it."""
    rows = []
    for answer, title in CHANCE.items():
        values = [_chance(grid, number, answer) for number in range(len(grid.columns))]
        if any(values):
            rows.append(PrintedRow(title, tuple(PrintedCell(text or "–") for text in values)))
    return tuple(rows)


def _chance(grid: Grid, number: int, answer: str) -> str:
    """In one column: the same for all of its cells, which have one split."""
    dataset = grid.columns[number].dataset
    own: list[Summary] = [s for place, s in grid.ran[number].items() if place.dataset == dataset]
    value = own[0].chance(answer) if own else None
    return "" if value is None else str(own[0].measured.measure.printed(value))
