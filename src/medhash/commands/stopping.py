"""Ctrl-C and SIGTERM while a step trains: the first asks to stop after an epoch."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME_REQUEST = 1.0
"""Seconds within which a second signal is the first one, come another way: Ctrl-C reaches every
process of a terminal, and some of these pass it on."""
_STANDARD_ERROR = 2


class Stopping:
    """Listens to signals: the first asks to stop after an epoch, a second one stops at once.

    Attributes:
        status: with what the process should end when it was stopped; 0 while nobody asked.
    """

    def __init__(self) -> None:
        self.status = 0
        self._asked_at = 0.0

    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self.status > 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM inside of this.

        Raises:
            SystemExit: at the second signal.
        """
        before = {number: signal.signal(number, self._asked) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.status and now - self._asked_at > _SAME_REQUEST:
            raise SystemExit(128 + number)
        if not self.status:
            self.status, self._asked_at = 128 + number, now
            name = signal.Signals(number).name
            text = f"{name}: stopping after this epoch; once more to stop at once\n"
            # A stream may be in the middle of a line that this interrupts; a descriptor does not
            # mind.
            os.write(_STANDARD_ERROR, text.encode())
