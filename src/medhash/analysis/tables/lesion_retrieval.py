"""Lesion patches as queries (ACH Section V-D-2): P@10 and the runtime of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal

from medhash.analysis.numbers.context import (
    NOT_RUN,
    NOTHING_RAN,
    PROTOCOLS,
    Context,
    GridColumn,
    bits_label,
    columns_of,
    is_synthetic,
)
from medhash.analysis.numbers.summaries import percent, printed_percent
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable, signed
from medhash.papers.reported import ReportedLesions
from medhash.papers.specs import Made, TableSpec
from medhash.records.lesions import ALL_CLASSES, SOURCES, LesionSearch, NoSearch, check_same_patches
from medhash.records.measured import machine_columns, machine_notes
from medhash.schema.cell import Cell
from medhash.schema.measures import Source

_HEADINGS = ("P@10, patches", "difference", "P@10, images", "runtime")
_NOTHING = "–"


class Spec(TableSpec):
    """P@10 of lesion patches as queries, and the runtime of a search.

    A block is a method, a row a variant, the first variant the baseline.
    """

    one_seed: ClassVar[bool] = True

    kind: Literal["lesion_retrieval"]

    @property
    def source(self) -> Source:
        """The file of each cell that it is made from."""
        return "lesions"

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """Of each cell a row of the CSV for all patches and one for those of each class.

        Raises:
            MedhashError: the patches of a search are not those of its baseline.
        """
        ran = {each.cell: each for each in facts if isinstance(each, LesionSearch)}
        reasons = {each.cell: each.reason for each in facts if isinstance(each, NoSearch)}
        grid = _Grid(self, context, ran, reasons)
        printed = PrintedTable(
            title=grid.title(),
            groups=tuple((grid.heading(column), _HEADINGS) for column in columns_of(self)),
            blocks=tuple(grid.block(method) for method in self.methods),
            notes=tuple(grid.notes()),
        )
        return grid.csv_rows(), printed


@dataclass(frozen=True)
class _Grid:
    """The places of the table: what ran in them and what did not."""

    spec: Spec
    context: Context
    ran: Mapping[Cell, LesionSearch]
    reasons: Mapping[Cell, str]

    def title(self) -> str:
        """What is shown; patches that nobody has marked are called so here too."""
        title = f"{self.context.heading(self.spec)} Scale {self.context.label}."
        sources = {search.source for search in self.ran.values()}
        if "found" not in sources:
            return title
        return f"{title} {'Patches' if len(sources) == 1 else 'Some patches'} {SOURCES['found']}."

    def heading(self, column: GridColumn) -> str:
        """Dataset and code length above the columns of one."""
        return f"{self.context.heading_of(column.dataset)}, {bits_label(column.bits)}"

    def block(self, method: str) -> tuple[PrintedRow, ...]:
        """The variants of a method."""
        rows = []
        for variant in self.spec.variants:
            own = (self._cell(column, method, variant) for column in columns_of(self.spec))
            cells = tuple(PrintedCell(text) for cell in own for text in self._printed(cell))
            rows.append(PrintedRow(self.context.paper.method_title(method, variant), cells))
        return tuple(rows)

    def notes(self) -> Iterator[str]:
        """What the numbers mean, what is missing, what the paper says."""
        for column in columns_of(self.spec):
            yield from self._column_notes(column)
        if self.ran:
            first = next(iter(self.ran.values()))
            yield (
                f"P@10: mean over the patches, {PROTOCOLS[self.context.protocol]}; the database "
                "is that of whole images. Whole images: those that the patches lie in, once for "
                "each patch. Difference: in percentage points, from the printed digits."
            )
            yield (
                "Runtime: median time of a search with a patch against one with its whole image, "
                "one query at a time and in turn, from decoded pixels at the original size to the "
                f"ranked database, after warm-up; {first.runtime.patches.queries} of each."
            )
            yield from machine_notes(list(self.ran.values()))
        else:
            yield NOTHING_RAN
        yield from self._reported_notes()

    def csv_rows(self) -> list[dict[str, str]]:
        """A row for all patches of a cell, and one for those of each class."""
        spec = self.spec
        places = product(spec.methods, spec.variants, columns_of(spec))
        cells = [self._cell(column, method, variant) for method, variant, column in places]
        return [row for cell in cells for row in self._rows_of(cell)]

    def _cell(self, column: GridColumn, method: str, variant: str) -> Cell:
        return self.spec.cell(column.dataset, method, variant, column.bits, self.spec.seeds[0])

    def _difference(self, cell: Cell, name: str = ALL_CLASSES) -> Decimal | None:
        """Percentage points above the first variant, from the printed digits; None for itself."""
        search, other = self.ran[cell], self.ran.get(replace(cell, variant=self.spec.variants[0]))
        if other is None or other.cell == cell:
            return None
        check_same_patches(search, other, f"its baseline {other.cell}")
        own, against = search.part(name).patches, other.part(name).patches
        if own is None or against is None:
            return None
        return printed_percent(own) - printed_percent(against)

    def _printed(self, cell: Cell) -> tuple[str, ...]:
        if cell not in self.ran:
            return (NOT_RUN,) * len(_HEADINGS)
        search, difference = self.ran[cell], self._difference(cell)
        return (
            str(printed_percent(search.precision_at_10.patches)),
            _NOTHING if difference is None else signed(difference),
            str(printed_percent(search.precision_at_10.images)),
            f"{signed(Decimal(f'{100 * search.runtime.change:.1f}'))} %",
        )

    def _column_notes(self, column: GridColumn) -> Iterator[str]:
        heading, spec = self.heading(column), self.spec
        cells = [self._cell(column, *row) for row in product(spec.methods, spec.variants)]
        for reason in dict.fromkeys(self._why_not(cell) for cell in cells if cell not in self.ran):
            yield f"{heading}: {NOT_RUN}: {reason}."
        ran = [self.ran[cell] for cell in cells if cell in self.ran]
        for sentence in dict.fromkeys(_patches_text(search) for search in ran):
            yield f"{heading}: {sentence}"
        for search in ran:
            title = self.context.paper.method_title(search.cell.method, search.cell.variant)
            yield f"{heading}, {title}: P@10 of patches by class: {_by_class_text(search)}."

    def _why_not(self, cell: Cell) -> str:
        return self.reasons.get(cell) or self.context.why_not_run(self.spec, cell.dataset)

    @cached_property
    def _reported(self) -> ReportedLesions | None:
        lesions = self.context.reported.lesions if self.context.reported else None
        return lesions if lesions and lesions.regenerated_by == self.spec.name else None

    def _is_reported(self, dataset: str) -> bool:
        title = self.context.paper.dataset_title(dataset)
        known = self._reported is not None and title in self._reported.precision
        return known and not is_synthetic(dataset)

    def _reported_notes(self) -> Iterator[str]:
        reported, datasets = self._reported, filter(self._is_reported, self.spec.datasets)
        titles = list(map(self.context.paper.dataset_title, datasets))
        if reported is None or not titles:
            return
        parts = (
            f"{title}: {reported.precision[title]} with {reported.baseline}, "
            f"+{reported.gain[title]} with {reported.treatment}, runtime "
            f"−{reported.saved_time[title]} %"
            for title in titles
        )
        yield (
            f"The paper ({reported.place}), on patches that a doctor chose and that are not "
            f"published: {'; '.join(parts)}."
        )

    def _rows_of(self, cell: Cell) -> Iterator[dict[str, str]]:
        search, names = self.ran.get(cell), self.context.cell_columns(cell)
        machine = machine_columns(search)
        row = {
            **names,
            "status": "ran" if search else NOT_RUN,
            "class": ALL_CLASSES,
            "lesions": SOURCES[search.source] if search else "",
            **self._scores(cell, ALL_CLASSES),
            **{name: of(search) if search else "" for name, of in _TIMES.items()},
            **machine,
            **dict.fromkeys(_REPORTED, "") | self._reported_columns(cell, names["row"]),
            **self.context.run_columns(cell.dataset),
            "note": "" if search else self._why_not(cell),
        }
        yield row
        said_once = dict.fromkeys((*_TIMES, *machine, *_REPORTED), "")
        for name in search.by_class if search else ():
            yield row | said_once | {"class": name, **self._scores(cell, name)}

    def _scores(self, cell: Cell, name: str) -> dict[str, str]:
        search = self.ran.get(cell)
        if search is None:
            return dict.fromkeys(_SCORES, "")
        difference, part = self._difference(cell, name), search.part(name)
        baseline = self.context.paper.method_title(cell.method, self.spec.variants[0])
        values = (
            str(search.patches if name == ALL_CLASSES else search.by_class[name].count),
            str(search.asked_per_class),
            percent(part.patches),
            percent(part.images),
            "" if difference is None else baseline,
            "" if difference is None else str(difference),
        )
        return dict(zip(_SCORES, values, strict=True))

    def _reported_columns(self, cell: Cell, title: str) -> dict[str, str]:
        reported, dataset = self._reported, self.context.paper.dataset_title(cell.dataset)
        if reported is None or not self._is_reported(cell.dataset):
            return {}
        columns = {"reported_runtime_change_percent": f"-{reported.saved_time[dataset]}"}
        if title == reported.baseline:
            columns["reported_precision_percent"] = reported.precision[dataset]
        if title == reported.treatment:
            columns["reported_difference_points"] = reported.gain[dataset]
        return columns


_SCORES = (
    *("patches", "asked_per_class", "patch_precision_percent", "image_precision_percent"),
    *("against", "difference_points"),
)

_TIMES: dict[str, Callable[[LesionSearch], str]] = {
    "relevant_percent": lambda search: percent(search.relevant_share),
    "covered_percent": lambda search: percent(search.covered),
    "patch_median_ms": lambda search: f"{1000 * search.runtime.patches.median_seconds:.4f}",
    "patch_p95_ms": lambda search: f"{1000 * search.runtime.patches.p95_seconds:.4f}",
    "image_median_ms": lambda search: f"{1000 * search.runtime.images.median_seconds:.4f}",
    "image_p95_ms": lambda search: f"{1000 * search.runtime.images.p95_seconds:.4f}",
    "runtime_change_percent": lambda search: f"{100 * search.runtime.change:.4f}",
    "queries": lambda search: str(search.runtime.patches.queries),
}

_REPORTED = tuple(
    f"reported_{name}"
    for name in ("precision_percent", "difference_points", "runtime_change_percent")
)


def _patches_text(search: LesionSearch) -> str:
    """Where the patches come from, how many they are and how large."""
    fewer = [
        f"{each.count or 'none'} of {name}"
        for name, each in search.by_class.items()
        if each.count < search.asked_per_class
    ]
    text = f"{search.patches} lesion patches ({SOURCES[search.source]}"
    text += f"), at most {search.asked_per_class} a class"
    text += f" and fewer where there are fewer ({', '.join(fewer)})" if fewer else ""
    text += f"; on average they cover {100 * search.covered:.0f} % of the image. In random order "
    text += f"{100 * search.relevant_share:.1f} % of the results would be right."
    if search.source == "found":
        text += (
            " C2F-LP compares with the image's own class, so that the class is no secret to these "
            "patches."
        )
    return text


def _by_class_text(search: LesionSearch) -> str:
    return ", ".join(
        f"{name} {_NOTHING if each.patches is None else printed_percent(each.patches)}"
        for name, each in search.by_class.items()
    )
