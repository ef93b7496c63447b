"""The one exception that users see as a plain message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class MedhashError(Exception):
    """Bad input, said in one message: the file, key or value, and what to do.

    The command line prints it without a traceback and exits with :attr:`status`.
    """

    status: ClassVar[int] = 2


class AbsentError(MedhashError):
    """Nothing of what was asked could be done: what it needs is not here."""

    status = 3


class PausedError(MedhashError):
    """A training was asked to stop after an epoch; the next start goes on from there.

    Attributes:
        states: SHA-256 of the training state after each finished epoch.
    """

    def __init__(self, message: str, states: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.states = list(states)
