"""Which cells a line of a table's or figure's CSV shows, and what the line's column is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from medhash.papers.specs import ArtefactSpec
from medhash.schema.cell import Cell
from medhash.stored import read_csv

COORDINATES = ("dataset", "method", "variant", "bits", "seed", "origin")
"""The columns of a CSV that are a cell's coordinates."""

# A line that compares two variants names the second one here.
_OTHERS = {"variant": "baseline"}


DESCRIBING = {*COORDINATES, "row", "column", "status", "scale", "protocol", "synthetic"}
"""Those that describe a line; the others hold its numbers and what is said of them."""


def read_lines(path: Path, *columns: str) -> list[dict[str, str]]:
    """The lines of a CSV file that has some columns at least.

    Raises:
        MedhashError: it is not here, or no such file.
    """
    lines = read_csv(path, columns).to_dict("records")
    return [{str(key): str(value) for key, value in line.items()} for line in lines]


def column_title(line: Mapping[str, str]) -> str:
    """A column's title; a table of strengths has none."""
    return line.get("column") or " ".join(
        text for text in (line.get("dataset"), line.get("strength")) if text
    )


def cells_of(spec: ArtefactSpec, lines: Iterable[Mapping[str, str]]) -> list[Cell]:
    """The cells of a table or figure that some lines of its CSV are made from."""
    lines = list(lines)
    return [cell for cell in spec.cells() if any(_shows(line, cell) for line in lines)]


def _shows(line: Mapping[str, str], cell: Cell) -> bool:
    """Whether each coordinate that a line gives is the cell's."""
    for name in COORDINATES:
        given = {line[key] for key in (name, _OTHERS.get(name, "")) if line.get(key)}
        if given and str(getattr(cell, name)) not in given:
            return False
    return True
