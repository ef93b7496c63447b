"""What is to be audited: a scale, a file, or one printed number; and the steps behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medhash.analysis.numbers.places import DESCRIBING, cells_of, column_title, read_lines
from medhash.audit.evidence import Evidence
from medhash.audit.findings import PrintedNumber
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.steps import Step
from medhash.papers.specs import ArtefactSpec
from medhash.schema.validation import check_name

RESULTS = "results"
# In how many columns a row wins is printed behind its name and is not part of it.
_WINS = re.compile(r"\s*\(\d+/\d+\)$")


@dataclass(frozen=True)
class Target:
    """What an audit follows.

    Attributes:
        name: a path, or a file elsewhere and the path that it is a copy of.
        steps: from what is printed back to the archives.
        number: the printed number, if one was asked for.
    """

    name: str
    steps: tuple[Step, ...]
    number: PrintedNumber | None = None


def run_of(target: str | None) -> str | None:
    """The run, a scale's own or a named one, that a path below ``results`` is of, or None."""
    parts = _inside(target).parts if target else ()
    return parts[1] if len(parts) > 1 and parts[0] == RESULTS else None


def find_target(
    evidence: Evidence, target: str | None, row: str | None = None, column: str | None = None
) -> Target:
    """The steps behind a target.

    Args:
        evidence: of the scale.
        target: None or the scale's folder for everything; a file below it; the key of a table or
            figure; a cell; or a file elsewhere that is a copy of one of the scale's.
        row: a row's title; needs a column.
        column: a column's title; needs a row.

    Raises:
        MedhashError: nothing of this scale is called so.
    """
    if (row is None) != (column is None):
        raise MedhashError("medhash audit: --row and --column belong together; give both")
    steps = evidence.steps
    if target is None or _inside(target) == evidence.layout.root:
        if row is not None:
            raise MedhashError("medhash audit: --row and --column need a table's or figure's file")
        return Target(evidence.layout.root.as_posix(), tuple(reversed(steps.all())))
    last, name = _last_step(evidence, target)
    if row is None or column is None:
        return Target(name, tuple(reversed(steps.needed_for(last.receipt))))
    number, needed = _printed(evidence, last, row, column)
    behind = reversed(steps.needed_for(*needed))
    return Target(name, (last, *behind), number)


def _inside(target: str) -> Path:
    """A path relative to the project's folder, where it lies in it."""
    path = Path(target)
    absolute = Path.cwd() / path
    project = Path.cwd()
    normal = Path(*_without_dots(absolute))
    return normal.relative_to(project) if normal.is_relative_to(project) else path


def _without_dots(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return parts


def _last_step(evidence: Evidence, target: str) -> tuple[Step, str]:
    """The step that made a target, and what to call it."""
    configuration, steps = evidence.configuration, evidence.steps
    path = _inside(target)
    if target in configuration.tables:
        return steps.of("table", target), target
    if target in configuration.figures:
        return steps.of("figure", target), target
    step = steps.making(path)
    if step is not None:
        return step, path.as_posix()
    if path.is_relative_to(evidence.layout.root) and path.is_dir():
        return _cell_step(evidence, path), path.as_posix()
    if path.is_file() and not path.is_relative_to(evidence.layout.root):
        return _copied(evidence, path)
    if not path.exists() and target.count("/") == 5:
        return steps.of("record", target), target
    keys = list(configuration.artefacts)
    check_name(target, keys, "table or figure", f"medhash audit {target}")
    raise MedhashError(
        f"medhash audit {target}: no step of the run '{configuration.run}' makes it; give a "
        f"file below {evidence.layout.root.as_posix()}, or the name of a table or figure"
    )


def _cell_step(evidence: Evidence, folder: Path) -> Step:
    record = evidence.steps.making(folder / "record.json")
    if record is None:
        raise MedhashError(f"medhash audit {folder}: not a cell's folder; give a file")
    return record


def _copied(evidence: Evidence, path: Path) -> tuple[Step, str]:
    """The step whose receipt knows a file by its content: a handed PDF, for example."""
    sha256 = sha256_of_file(path)
    for step in evidence.steps.all():
        receipt = evidence.receipt(step)
        for file in (receipt or {}).get("outputs", {}).values():
            if file["sha256"] == sha256:
                return step, f"{path.as_posix()} (the bytes of {file['path']})"
    raise MedhashError(
        f"medhash audit {path}: no receipt of the run '{evidence.configuration.run}' knows a "
        f"file with its content (SHA-256 {sha256}): it was made elsewhere, at another time, or "
        "changed since"
    )


def _printed(
    evidence: Evidence, step: Step, row: str, column: str
) -> tuple[PrintedNumber, list[Path]]:
    """The number at a place of a table or figure, and the files that it is made from."""
    configuration = evidence.configuration
    specs: dict[str, Mapping[str, ArtefactSpec]]
    specs = {"table": configuration.tables, "figure": configuration.figures}
    if step.rule not in specs:
        raise MedhashError(f"medhash audit: {step} is no table or figure: it has no rows")
    path = step.outputs["csv"]
    lines = read_lines(path, "row")
    title = _WINS.sub("", row)
    found = [line for line in lines if line["row"] == title]
    check_name(title, dict.fromkeys(line["row"] for line in lines), "row", path.as_posix())
    columns = dict.fromkeys(map(column_title, found))
    check_name(column, columns, "column", path.as_posix())
    found = [line for line in found if column_title(line) == column]
    made_from = _made_from(evidence, step, specs[step.rule][step.key], found)
    cells = tuple(dict.fromkeys(key for key, _ in made_from))
    number = PrintedNumber(title, column, _text(found), cells)
    return number, [path for _, path in made_from]


def _made_from(
    evidence: Evidence, step: Step, spec: ArtefactSpec, lines: Iterable[dict[str, str]]
) -> list[tuple[str, Path]]:
    """Cell and file, for each file of a cell that some lines of the CSV are made from."""
    wanted = set(map(str, cells_of(spec, lines)))
    files = []
    for path in step.inputs.values():
        maker = evidence.steps.making(path)
        if maker is not None and maker.cell and maker.key in wanted:
            files.append((maker.key, path))
    return files


def _text(lines: list[dict[str, str]]) -> str:
    if len(lines) > 1:
        return f"{len(lines)} lines of the CSV"
    line = lines[0]
    if line.get("printed"):
        return line["printed"]
    numbers = [f"{k} {v}" for k, v in line.items() if v and k not in {*DESCRIBING, "note"}]
    return ", ".join(numbers) or line.get("status", "")
