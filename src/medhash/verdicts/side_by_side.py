"""Two runs side by side: what they choose differently, and their tables value by value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python
from tabulate import tabulate

from medhash.analysis.numbers.places import DESCRIBING, column_title, read_lines
from medhash.configuration.loading import Configuration
from medhash.errors import AbsentError
from medhash.files import text_of_csv
from medhash.schema.differences import differences
from medhash.schema.validation import check_name

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
_DESCRIBING = {*DESCRIBING, "note"}

Line = dict[str, str]
Place = tuple[str, str, str, int]


@dataclass(frozen=True)
class ValuePair:
    """A number that the same place of a table has in two runs.

    Attributes:
        table: ``ach/table3``.
        row: as printed.
        column: as printed; in a table of several quantities with the quantity's name.
        first: the first run's, digit by digit as in its file; empty if it has none.
        second: the second run's.
        difference: the second less the first; empty unless both have one.
    """

    table: str
    row: str
    column: str
    first: str
    second: str
    difference: str


def choices_that_differ(first: Configuration, second: Configuration) -> list[tuple[str, str, str]]:
    """Key and both values of all that two runs choose differently, settings of papers included."""
    found = differences(_choices(first), _choices(second))
    return [(each.key, each.expected, each.found) for each in found]


def value_pairs(
    first: Configuration, second: Configuration, table: str | None = None
) -> list[ValuePair]:
    """The values of the tables that both runs have made, in the order of the first's files.

    Args:
        first: a run.
        second: another.
        table: one table's key; all that both have if None.

    Raises:
        AbsentError: no table is in both runs.
        MedhashError: a file cannot be read.
    """
    shared = [key for key in first.tables if key in second.tables]
    if table is not None:
        check_name(table, shared, "table of both runs", "medhash compare --table")
    files = {key: (_file(first, key), _file(second, key)) for key in shared}
    made = {key: both for key, both in files.items() if all(path.is_file() for path in both)}
    wanted = made if table is None else {table: files[table]}
    if not wanted:
        raise AbsentError(
            f"medhash compare: {first.layout.root} and {second.layout.root} have no table in "
            "common; make one in both"
        )
    return [pair for key, both in wanted.items() for pair in _pairs(key, *map(_values, both))]


def comparison_text(first: Configuration, second: Configuration, pairs: Sequence[ValuePair]) -> str:
    """For people: what is chosen differently, then a table of values for each table."""
    names = (first.run, second.run)
    choices = choices_that_differ(first, second)
    parts = [f"A is {first.label}, B is {second.label}"]
    parts.append(tabulate(choices, ["chosen", "A", "B"]) if choices else "Nothing is chosen apart.")
    for table in dict.fromkeys(pair.table for pair in pairs):
        own = [pair for pair in pairs if pair.table == table]
        rows = [astuple(pair)[1:] for pair in own]
        head = ["row", "column", *names, "difference"]
        both = [Decimal(pair.difference) for pair in own if pair.difference]
        told = f"{table}: {len(both)} values in both, {sum(map(bool, both))} of them differ"
        numbers = tabulate(
            rows, head, disable_numparse=True, colalign=("left",) * 2 + ("right",) * 3
        )
        parts.append(f"{told}\n\n{numbers}")
    return "\n\n".join(parts)


def comparison_csv(pairs: Sequence[ValuePair]) -> str:
    """The same values as CSV; ``first`` and ``second`` in the order in which runs were named."""
    return text_of_csv((field.name for field in fields(ValuePair)), map(astuple, pairs))


def _choices(configuration: Configuration) -> dict[str, Any]:
    settings = to_jsonable_python(configuration.settings)
    chosen = {key: value for key, value in configuration.chosen.items() if key != "settings"}
    return {"scale": configuration.scale, **chosen, "settings": settings}


def _file(configuration: Configuration, key: str) -> Path:
    spec = configuration.tables[key]
    return configuration.layout.table(spec.paper, spec.name).with_suffix(".csv")


def _values(path: Path) -> dict[Place, str]:
    """Place -> number; a place is row, column, quantity and how often that occurred before."""
    found: dict[Place, str] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for line in read_lines(path, "row"):
        for quantity, number in _numbers(line):
            place = (line["row"], column_title(line), quantity)
            found[*place, seen[place]] = number
            seen[place] += 1
    return found


def _numbers(line: Line) -> Iterator[tuple[str, str]]:
    """What a line prints or, where it prints nothing in one piece, each of its quantities."""
    if "printed" in line:
        number = _NUMBER.match(line["printed"])
        yield "", number[0] if number else ""
        return
    part = line.get("class", "")
    for name, text in line.items():
        if name not in _DESCRIBING and not name.startswith("reported") and _NUMBER.fullmatch(text):
            yield f"{part} {name}".strip(), text


def _pairs(table: str, first: dict[Place, str], second: dict[Place, str]) -> Iterator[ValuePair]:
    for place in dict.fromkeys([*first, *second]):
        one, other = first.get(place, ""), second.get(place, "")
        if not one and not other:
            continue
        row, column, quantity, _ = place
        difference = str(Decimal(other) - Decimal(one)) if one and other else ""
        yield ValuePair(table, row, f"{column} {quantity}".strip(), one, other, difference)
