"""The status of a run in words: plain text, or tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from medhash.running.durations import duration_text
from medhash.running.status import STATES, CellCounts, RunningStep, Status

_MOST_LINES = 20
_COLOURS = {"done": "green", "running": "yellow", "failed": "red", "outstanding": ""}


def status_text(status: Status) -> str:
    """Plain text, for a pipe or a file."""
    rows = [[name, *cells, file, title] for name, cells, file, title in _rows(status)]
    lines = [_heading(status), ""]
    lines += [tabulate(rows, [*_headings()], tablefmt="plain", disable_numparse=True), ""]
    lines += _details(status)
    return "\n".join(lines)


def status_tables(status: Status) -> RenderableType:
    """The same with colours, for a terminal."""
    table = Table(title=_heading(status), title_justify="left", header_style="bold")
    for heading in _headings():
        table.add_column(heading, justify="right" if heading in STATES else "left")
    for name, cells, file, title in _rows(status):
        is_artefact = bool(title)
        counts = [
            Text(count, style=_COLOURS[state] if count != "0" else "dim")
            for state, count in zip(STATES, cells, strict=True)
        ]
        table.add_row(Text(name, style="" if is_artefact else "bold"), *counts, file, title)
    details = "\n".join(_details(status))
    return Group(table, Text(details))


def _heading(status: Status) -> str:
    return f"Scale {status.scale}: {status.cells.done} of {status.cells.total} cells done"


def _headings() -> tuple[str, ...]:
    return ("", *STATES, "file", "shows")


def _rows(status: Status) -> Iterator[tuple[str, list[str], str, str]]:
    """Name, counts, file and title: each paper, then its tables and figures."""
    for paper, cells in status.papers.items():
        yield paper, _numbers(cells), "", ""
        for key, artefact in status.artefacts.items():
            if artefact.paper == paper:
                yield key, _numbers(artefact.cells), artefact.file, artefact.title


def _numbers(cells: CellCounts) -> list[str]:
    return [str(getattr(cells, state)) for state in STATES]


def _details(status: Status) -> list[str]:
    return [
        *_part("running", [_running(step) for step in status.running]),
        *_part("failed", [f"{each.step}  {each.log}\n    {each.error}" for each in status.failed]),
        *_part("Slurm", _slurm(status)),
        *_part("lost", _lost(status)),
        f"time used: {duration_text(status.seconds_used)}",
        f"time left: {_left(status)}",
    ]


def _part(heading: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield f"{heading}:"
    yield from (f"  {entry}" for entry in entries[:_MOST_LINES])
    if len(entries) > _MOST_LINES:
        yield f"  and {len(entries) - _MOST_LINES} more"


def _running(step: RunningStep) -> str:
    epoch = min(step.done + 1, step.epochs)
    return f"{step.step}  process {step.process} on {step.host}, epoch {epoch} of {step.epochs}"


def _slurm(status: Status) -> list[str]:
    if status.slurm is None:
        return []
    lines = [
        f"{work}: {', '.join(f'{count} {state.lower()}' for state, count in states.items())}"
        for work, states in status.slurm.items()
    ]
    return lines or ["no jobs of this folder"]


def _lost(status: Status) -> list[str]:
    files = "file that git has is" if status.lost == 1 else "files that git has are"
    said = f"{status.lost} {files} not here; to get them back: {status.bring_back}"
    return [said] * (status.lost > 0)


def _left(status: Status) -> str:
    left = status.left
    if left.seconds is None:
        return (
            "no finished cell to estimate from" if status.cells.done < status.cells.total else "-"
        )
    without = f"; {left.without} steps of which nothing is known" if left.without else ""
    return (
        f"about {duration_text(left.seconds)} on one {left.device} "
        f"(trained cells to judge by: {left.finished_cells}{without})"
    )
