"""Tables of a run for the page: reported, regenerated and difference side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medhash.analysis.artefacts import context_of, table_of
from medhash.analysis.numbers.context import Context, GridColumn
from medhash.analysis.numbers.places import DESCRIBING, column_title
from medhash.papers.specs import TableSpec
from medhash.report.numbers import RAN, Line, TableNumber, numbers_of
from medhash.report.receipts import Told
from medhash.report.sections import Section, made

REPORTED, REGENERATED, DIFFERENCE = "reported", "regenerated", "difference"

# What describes a line of the CSV and is said elsewhere on the page.
_DESCRIBING = {*DESCRIBING, "note"}
_LEADING_NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class PageCell:
    """A cell of a table on the page.

    Attributes:
        text: what is shown.
        kind: reported, regenerated, difference, or empty for what is none of them.
        anchor: where the page says what it is made from.
        mark: best, second or empty.
    """

    text: str
    kind: str = ""
    anchor: str = ""
    mark: str = ""

    @property
    def order(self) -> str:
        """The number that it is sorted by; empty sorts last."""
        found = _LEADING_NUMBER.match(self.text)
        return found[0].replace("−", "-") if found else ""


@dataclass(frozen=True)
class PageTable:
    """Columns and rows of a table.

    Attributes:
        groups: what stands above the columns, and above how many of them.
        columns: the columns, the first of which are the rows' titles.
        titles: how many columns are titles.
        rows: the rows.
    """

    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    titles: int
    rows: tuple[tuple[PageCell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class TableSection(Section):
    """A table on the page.

    Attributes:
        caption: its title as printed: data, scale, seeds, protocol.
        notes: what is printed below it.
        grid: its content; None where nothing has run.
        numbers: every regenerated number.
        not_run: column -> why it has not run.
    """

    caption: str = ""
    notes: tuple[str, ...] = ()
    grid: PageTable | None = None
    numbers: tuple[TableNumber, ...] = ()
    not_run: tuple[tuple[str, str], ...] = ()


def table_section(told: Told, spec: TableSpec) -> TableSection:
    """A table as the files of its cells give it; where it is not made yet, that is said.

    Raises:
        MedhashError: a file of a cell is not whole, or of another scale.
    """
    step = told.steps.of("table", spec.key)
    about = made(told, step, "csv", step.outputs["md"], *step.inputs.values())
    section = TableSection(key=spec.key, anchor=f"t-{spec.label}", title=spec.title, **about)
    if section.missing:
        return section
    lines, printed = table_of(told.configuration, spec)
    numbers = numbers_of(spec, step.outputs["csv"], lines)
    context = context_of(told.configuration, spec)
    make = _by_columns if "printed" in lines[0] else _line_by_line
    wins = {row.label: row.behind for block in printed.blocks for row in block}
    return replace(
        section,
        caption=printed.title,
        notes=printed.all_notes,
        grid=_with_wins(make(spec, context, lines, numbers), wins) if numbers else None,
        numbers=tuple(numbers.values()),
        not_run=_not_run(lines),
    )


def _with_wins(grid: PageTable, wins: Mapping[str, str]) -> PageTable:
    """The columns in which a row is better, ``(7/8)``, behind its title."""
    titles = (f"{row[0].text} {wins.get(row[0].text, '')}".rstrip() for row in grid.rows)
    rows = zip(titles, grid.rows, strict=True)
    return replace(grid, rows=tuple((PageCell(title), *row[1:]) for title, row in rows))


def _not_run(lines: Sequence[Line]) -> tuple[tuple[str, str], ...]:
    """The columns in which nothing ran."""
    ran = {column_title(line) for line in lines if line.get("status") == RAN}
    reasons: dict[str, str] = {}
    for line in lines:
        title = column_title(line)
        if title not in ran and line.get("note"):
            reasons.setdefault(title, line["note"])
    return tuple(reasons.items())


def _by_columns(
    spec: TableSpec, context: Context, lines: Sequence[Line], numbers: Mapping[tuple, TableNumber]
) -> PageTable:
    """The table as printed, and where a column has reported numbers, these beside it."""
    at = {(line["row"], column_title(line)): line for line in lines}
    titles = dict.fromkeys(column_title(line) for line in lines)
    columns = [title for title in titles if any(column == title for _, column in numbers)]
    reported = {
        (row, column): _reported(spec, context, line)
        for (row, column), line in at.items()
        if (row, column) in numbers
    }
    kinds = {column: _kinds(at, reported, column) for column in columns}
    rows = tuple(
        (
            PageCell(row),
            *(
                _grid_cell(kind, at.get(place), numbers.get(place), reported.get(place, ""))
                for column in columns
                for place in [(row, column)]
                for kind in kinds[column]
            ),
        )
        for row in dict.fromkeys(line["row"] for line in lines)
    )
    groups = (("", 1), *((column, len(kinds[column])) for column in columns))
    return PageTable(groups, ("Method", *(k for own in kinds.values() for k in own)), 1, rows)


def _kinds(at: Mapping[tuple, Line], reported: Mapping[tuple, str], column: str) -> list[str]:
    """What is shown in a column."""
    if not any(text for (_, title), text in reported.items() if title == column):
        return [REGENERATED]
    differences = (line.get(_DIFFERENCE) for (_, c), line in at.items() if c == column)
    return [REPORTED, REGENERATED, *([DIFFERENCE] if any(differences) else [])]


_DIFFERENCE = "regenerated_minus_reported_points"


def _grid_cell(kind: str, line: Line | None, number: TableNumber | None, reported: str) -> PageCell:
    if line is None:
        return PageCell("–", kind)
    if kind == REPORTED:
        return PageCell(reported or "–", kind)
    if number is None:
        return PageCell("not run" if kind == REGENERATED else "–", kind)
    if kind == DIFFERENCE:
        return PageCell(_signed(line.get(_DIFFERENCE, "")) or "–", kind)
    return PageCell(number.text, kind, number.anchor, line.get("mark", ""))


def _reported(spec: TableSpec, context: Context, line: Line) -> str:
    """What the paper prints at a line's place, as it prints it; empty beside a phantom."""
    if line.get("synthetic") != "false":
        return ""
    own = line.get("reported_percent") or line.get("reported_summary")
    if own or not line.get("bits"):
        return own or ""
    column = GridColumn(line["dataset"], int(line["bits"]), line.get("origin", ""))
    return context.reported_text(spec, line["row"], column) or ""


def _signed(difference: str) -> str:
    return difference if difference.startswith("-") or not difference else f"+{difference}"


def _line_by_line(
    spec: TableSpec, context: Context, lines: Sequence[Line], numbers: Mapping[tuple, TableNumber]
) -> PageTable:
    """A table of several quantities a place: the lines of its CSV that ran."""
    ran = [line for line in lines if line.get("status") == RAN]
    names = [name for name in ran[0] if name not in _DESCRIBING and _differs(name, ran)]
    names.sort(key=lambda name: not name.startswith(REPORTED))
    rows = tuple(
        (
            PageCell(line["row"]),
            PageCell(column_title(line)),
            *(_value(name, line, numbers) for name in names),
        )
        for line in ran
    )
    columns = ("Row", "Column", *(name.replace("_", " ") for name in names))
    return PageTable((), columns, 2, rows)


def _value(name: str, line: Line, numbers: Mapping[tuple, TableNumber]) -> PageCell:
    if not line[name]:
        return PageCell("–")
    if name.startswith(REPORTED):
        return PageCell(line[name], REPORTED)
    anchor = numbers[line["row"], column_title(line)].anchor
    return PageCell(line[name], REGENERATED, anchor)


def _differs(name: str, lines: Sequence[Line]) -> bool:
    """Whether a column of numbers says something, or one of text differs from line to line."""
    values = {line[name] for line in lines}
    if values == {""}:
        return False
    return len(values) > 1 or all(_LEADING_NUMBER.fullmatch(value) for value in values)
