"""How long each step took, epoch by epoch, over all the times that it was started.

A receipt says how long the last start took; a cell that was paused twice took longer.
``results/<scale>/running/<rule>/<key>.json`` adds up, and shows how far an unfinished step is.
It decides nothing and may be deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medhash.configuration.paths import Layout
from medhash.files import write_json
from medhash.flow.steps import Step

Clock = Callable[[], float]
_MILLISECONDS = 3


@dataclass(frozen=True)
class Timing:
    """How long a step took, or takes so far.

    Attributes:
        version: of the step.
        device: name of the device.
        epochs: how many it has; 0 for steps without.
        done: how many are finished.
        seconds: wall time of all starts together, up to the last finished epoch or the end.
        measured: how many epochs were measured by themselves.
        measured_seconds: how long those took together.
        longest: how long the longest of them took; 0 if none was measured.
        finished: whether the step is.
    """

    version: str
    device: str
    epochs: int
    done: int = 0
    seconds: float = 0.0
    measured: int = 0
    measured_seconds: float = 0.0
    longest: float = 0.0
    finished: bool = False

    @property
    def epoch_seconds(self) -> float | None:
        """Mean time of an epoch, or None where none was measured."""
        return self.measured_seconds / self.measured if self.measured else None

    @property
    def other_seconds(self) -> float | None:
        """Time of all but epochs (start, encoding, writing); None while it is not known."""
        epoch = self.epoch_seconds
        if epoch is None or not self.finished:
            return None
        return max(0.0, self.seconds - epoch * self.epochs)


class StepTimer:
    """Measures a step while it runs, from the moment that this is made.

    Args:
        path: where the timing is kept.
        step: which step.
        epochs: how many epochs it has.
        device: name of the device.
        resumed: whether the state of an earlier start is there to go on from.
        clock: in seconds; never goes back.
    """

    def __init__(
        self,
        path: Path,
        step: Step,
        *,
        epochs: int,
        device: str,
        resumed: bool,
        clock: Clock = time.monotonic,
    ) -> None:
        before = read_timing(path)
        fresh = Timing(step.version, device, epochs)
        goes_on = before and resumed and not before.finished and before.version == step.version
        self.timing = before if before and goes_on else fresh
        if self.timing.device != device:
            # Another device: what was measured says nothing of this one.
            self.timing = replace(fresh, done=self.timing.done, seconds=self.timing.seconds)
        self._path = path
        self._clock = clock
        self._last = clock()
        self._is_first = True
        self.longest_lap = self.timing.longest
        """The longest epoch so far, or what is known of it: the first one with the start."""

    def epoch_done(self) -> None:
        """To be called after each epoch but the last, when its state is saved."""
        took = self._lap()
        timing = replace(self.timing, done=self.timing.done + 1)
        # The first interval also holds the start: reading images, hashing inputs, compiling.
        if not self._is_first:
            timing = replace(
                timing,
                measured=timing.measured + 1,
                measured_seconds=timing.measured_seconds + took,
                longest=max(timing.longest, took),
            )
        self._is_first = False
        self.longest_lap = timing.longest or took
        self._write(timing, took)

    def finish(self) -> None:
        """To be called when the step's outputs and receipt are there."""
        took = self._lap()
        self._write(replace(self.timing, done=self.timing.epochs, finished=True), took)

    def _lap(self) -> float:
        now = self._clock()
        took, self._last = now - self._last, now
        return took

    def _write(self, timing: Timing, took: float) -> None:
        self.timing = replace(timing, seconds=timing.seconds + took)
        write_json(self._path, {key: _rounded(value) for key, value in asdict(self.timing).items()})


def timing_path(layout: Layout, rule: str, key: str) -> Path:
    """Where the timing of a step is kept."""
    return layout.root / "running" / rule / f"{key}.json"


def read_timing(path: Path) -> Timing | None:
    """A step's timing; None if there is none, or it is damaged."""
    try:
        return Timing(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _rounded(value: Any) -> Any:
    return round(value, _MILLISECONDS) if isinstance(value, float) else value
