"""How long a run may take, and how it is asked to stop."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

_LONGEST_CLOSING = 20.0
_CLOSING_SHARE = 0.25
_SECONDS_BETWEEN_ALARMS = 1.0
_STANDARD_ERROR = 2


class OutOfTimeError(BaseException):
    """The last moment has come: whatever runs is left where it is.

    Not an :class:`Exception`, so that nothing mistakes it for the failure of a step. Files are
    written whole or not at all, and training has its state of the last epoch.
    """


class Budget:
    """The time that a run may take.

    Args:
        seconds: how long, or infinity.
        clock: in seconds; never goes back.
        used: seconds that are gone already.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        used: float = 0.0,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._start = clock() - used
        # To let go of leases and devices, and to say what is left; a busy machine takes seconds.
        self._closing = min(_LONGEST_CLOSING, _CLOSING_SHARE * seconds)

    def left(self) -> float:
        """Seconds that work may still take; the time to end cleanly is put aside."""
        return self._seconds - self._closing - self.used()

    def used(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start


def seconds_since_start() -> float:
    """How old this process is: loading the program is part of the time that it was given."""
    return max(0.0, time.time() - psutil.Process().create_time())


class Stopping:
    """Listens to signals: the first asks to stop after an epoch, a second one at once.

    Args:
        budget: at its end, whatever runs is left where it is.
        grace: seconds between the first signal and the moment at which the sender is expected to
            lose patience.
    """

    def __init__(self, budget: Budget, grace: float) -> None:
        self.requested = False
        self._budget = budget
        self._grace = grace

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle SIGTERM, SIGINT and the end of the budget inside of this."""
        handlers = {
            signal.SIGTERM: self._asked,
            signal.SIGINT: self._asked,
            signal.SIGALRM: self._out_of_time,
        }
        before = {number: signal.signal(number, handle) for number, handle in handlers.items()}
        self._wake_at_the_end()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def over(self) -> None:
        """No more alarms: the run is ending already."""
        self.requested = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _wake_at_the_end(self) -> None:
        left = self._budget.left()
        if self.requested:
            left = min(left, self._grace)
        if left < math.inf:
            # Again and again: an exception that is raised inside of a finaliser gets lost.
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), _SECONDS_BETWEEN_ALARMS)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise OutOfTimeError
        self.requested = True
        self._wake_at_the_end()
        text = (
            f"{signal.Signals(number).name}: stopping after this epoch, at the latest in "
            f"{self._grace:.0f} s; once more to stop at once\n"
        )
        # A stream may be in the middle of a line that this interrupts; a descriptor does not mind.
        os.write(_STANDARD_ERROR, text.encode())

    def _out_of_time(self, number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError
