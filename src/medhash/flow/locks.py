"""Who is training a step: two processes that trained it at once would spoil each other's state.

The kernel holds the lock for as long as the process lives, also on a shared file system, so that
nothing is left behind by one that was killed. Steps without epochs need none: they write the same
bytes, whole or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.flow.steps import Step

_SECONDS_OF_A_LOOK = 2.0
_SECONDS_BETWEEN = 0.1


@dataclass(frozen=True)
class Holder:
    """A process that trains a step: its number, and its machine."""

    process: int
    host: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


@contextmanager
def held(layout: Layout, step: Step) -> Iterator[None]:
    """Keep other processes off a step that trains.

    Raises:
        MedhashError: another one is training it.
    """
    path = lock_path(layout, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        if not _take(stream):
            raise MedhashError(
                f"{step} is being trained by {holder_of(layout, step) or 'another process'}; wait "
                "until it is done, or stop it, and start again"
            )
        stream.truncate(0)
        stream.write(json.dumps(asdict(Holder(os.getpid(), socket.gethostname()))))
        stream.flush()
        yield


def holder_of(layout: Layout, step: Step) -> Holder | None:
    """Who is training a step now, if anybody."""
    try:
        with lock_path(layout, step).open(encoding="utf-8") as stream:
            if _flock(stream, fcntl.LOCK_SH):
                return None
            return Holder(**json.load(stream))
    except (OSError, ValueError, TypeError):
        return None


def lock_path(layout: Layout, step: Step) -> Path:
    """The file that is locked; it may lie there without being locked."""
    return layout.root / "running" / step.rule / f"{step.key}.lock"


def _take(stream: IO[str]) -> bool:
    """Whether the lock is ours; who merely looks whether it is held lets go of it at once."""
    end = time.monotonic() + _SECONDS_OF_A_LOOK
    while not _flock(stream, fcntl.LOCK_EX):
        if time.monotonic() > end:
            return False
        time.sleep(_SECONDS_BETWEEN)
    return True


def _flock(stream: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
