"""A progress bar in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

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

Unit = Literal["images", "bytes"]
Advance = Callable[[int], None]

SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """Print one plain message on standard error; results alone go to standard output."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)


@contextmanager
def progress(
    title: str, total: int | None, unit: Unit = "images", done: int = 0
) -> Iterator[Advance]:
    """Show how far a long step is, on standard error.

    Args:
        title: what is being done.
        total: how many images or bytes there are; None where the server does not say.
        unit: what is counted.
        done: how many were finished before (a resumed download).

    Yields:
        A function to call with the number of images or bytes just finished.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(*_columns(unit), console=console) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda count: bar.advance(task, count)
    else:
        lines = _Lines(title, total, unit, done)
        yield lines.advance
        lines.print()


def _columns(unit: Unit) -> list[ProgressColumn]:
    title = TextColumn("{task.description}", markup=False)
    if unit == "bytes":
        return [title, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    return [title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]


class _Lines:
    """The same for a file or a pipe: a line every few seconds and one at the end."""

    def __init__(self, title: str, total: int | None, unit: Unit, done: int) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self.last = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            self.print()

    def print(self) -> None:
        amounts = [count for count in (self.done, self.total) if count is not None]
        if self.unit == "bytes":
            say(f"{self.title}: {' of '.join(decimal(amount) for amount in amounts)}")
        else:
            say(f"{self.title}: {' of '.join(str(amount) for amount in amounts)} {self.unit}")
