"""Progress for people: a bar in a terminal, plain lines in a log. Both go to standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    """Called whenever something was finished."""

    def __call__(self, count: int, state: str = "") -> None:
        """Report ``count`` more units, and in a few words how things stand."""


def say(text: str) -> None:
    """Print one plain message on standard error; results alone go to standard output."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


@contextmanager
def progress(
    title: str, total: int | None, unit: str = "images", done: int = 0
) -> Iterator[Advance]:
    """Show how far a long step is.

    Args:
        title: what is being done.
        total: how many units there are; None where that is not known (a download).
        unit: what is counted; ``bytes`` are shown as a download.
        done: how many were finished by an earlier, interrupted run.

    Yields:
        A function to call with the number of units just finished.
    """
    console = Console(stderr=True)
    shown = _Bar(title, total, unit, done, console) if console.is_terminal else None
    lines = shown or _Lines(title, total, unit, done)
    with lines:
        yield lines.advance


class _Bar:
    """A bar, redrawn in place."""

    def __init__(
        self, title: str, total: int | None, unit: str, done: int, console: Console
    ) -> None:
        self.bar = Progress(*_columns(unit), console=console)
        self.task = self.bar.add_task(title, total=total, completed=done, state="")

    def __enter__(self) -> None:
        self.bar.start()

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def advance(self, count: int, state: str = "") -> None:
        self.bar.update(self.task, advance=count, state=state)


class _Lines:
    """A line every few seconds, and a last one at the end."""

    def __init__(self, title: str, total: int | None, unit: str, done: int) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self.state = ""
        self.last = time.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            self.print()

    def advance(self, count: int, state: str = "") -> None:
        self.done += count
        self.state = state
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            self.print()

    def print(self) -> None:
        amounts = [count for count in (self.done, self.total) if count is not None]
        shown = [decimal(amount) if self.unit == "bytes" else str(amount) for amount in amounts]
        counted = " of ".join(shown) + ("" if self.unit == "bytes" else f" {self.unit}")
        say(f"{self.title}: {counted}{f', {self.state}' if self.state else ''}")


def _columns(unit: str) -> list[ProgressColumn]:
    title = TextColumn("{task.description}", markup=False)
    if unit == "bytes":
        return [title, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    state = TextColumn("{task.fields[state]}", markup=False)
    return [title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), state]
