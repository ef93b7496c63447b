"""Progress for people: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[[str], None]
"""Call it after each step, with a few words on how things stand (or an empty text)."""


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show the progress of ``total`` steps on stderr, of which ``done`` were made before.

    Args:
        title: what is going on, such as ``"train hashnet/ach/8"``.
        total: number of steps.
        done: steps that a former run finished.
    """
    console = Console(stderr=True)
    shown = _bar(console, title, total, done) if console.is_terminal else _lines(title, total, done)
    with shown as advance:
        yield advance


@contextmanager
def _bar(console: Console, title: str, total: int, done: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, completed=done, state="")
        yield lambda state: bar.update(task, advance=1, state=state)


@contextmanager
def _lines(title: str, total: int, done: int) -> Iterator[Advance]:
    finished = done
    last_line = -SECONDS_BETWEEN_LINES

    def advance(state: str) -> None:
        nonlocal finished, last_line
        finished += 1
        now = time.monotonic()
        if finished < total and now - last_line < SECONDS_BETWEEN_LINES:
            return
        last_line = now
        sys.stderr.write(f"{title}: {finished}/{total} {state}".rstrip() + "\n")
        sys.stderr.flush()

    yield advance
