"""The regenerated numbers of a table: what each is made from and how to audit it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medhash.analysis.numbers.places import DESCRIBING, cells_of, column_title
from medhash.papers.specs import TableSpec
from medhash.schema.cell import Cell

RAN = "ran"

Line = Mapping[str, str]


@dataclass(frozen=True)
class TableNumber:
    """A place of a table where something ran; of some kinds of table it holds several numbers.

    Attributes:
        anchor: the element of the page that describes it.
        row: the row's title.
        column: the column's title.
        text: what is printed there, empty where a place has no single number.
        values: lines of the CSV at this place: name -> value, of what is not empty.
        cells: what it is made from.
        command: what audits it.
    """

    anchor: str
    row: str
    column: str
    text: str
    values: tuple[tuple[tuple[str, str], ...], ...]
    cells: tuple[str, ...]
    command: str


def numbers_of(
    spec: TableSpec, csv: Path, lines: Sequence[Line]
) -> dict[tuple[str, str], TableNumber]:
    """Row and column -> the number there, of all places where something ran.

    Args:
        spec: the table.
        csv: its file.
        lines: the lines of that file.
    """
    places: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line.get("status") == RAN:
            places.setdefault((line["row"], column_title(line)), []).append(line)
    return {
        place: _number(f"n-{spec.label}-{count}", spec, csv, place, own)
        for count, (place, own) in enumerate(places.items(), start=1)
    }


def cell_anchor(cell: Cell | str) -> str:
    """The element of the page that describes a cell."""
    return "c-" + str(cell).replace("/", ".")


def audit_command(path: Path, row: str = "", column: str = "") -> str:
    """What is typed to follow a file, or one number of it, back to its archives."""
    words = ["medhash", "audit", path.as_posix()]
    words += ["--row", row, "--column", column] if row else []
    return shlex.join(words)


def _number(
    anchor: str, spec: TableSpec, csv: Path, place: tuple[str, str], lines: Sequence[Line]
) -> TableNumber:
    row, column = place
    return TableNumber(
        anchor,
        row,
        column,
        lines[0].get("printed", ""),
        tuple(_values(line) for line in lines),
        tuple(map(str, cells_of(spec, lines))),
        audit_command(csv, row, column),
    )


def _values(line: Line) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in line.items() if v and k not in {*DESCRIBING, "seeds"})
