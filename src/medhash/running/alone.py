"""Runs one step for a command that was asked for it, while no other process works on it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.flow.receipts import Receipts
from medhash.flow.steps import Step, Steps
from medhash.progress import say
from medhash.running.devices import device_here
from medhash.running.leases import Leases
from medhash.running.timings import StepTimer, timing_path
from medhash.running.work import epochs_of, has_state

Execute = Callable[[Step, Callable[[], bool]], bool]
"""Runs a step and leaves its receipt. The second argument says, after an epoch, whether to stop
there. False if it was stopped."""


def run_alone(layout: Layout, steps: Steps, step: Step, execute: Execute, device: str) -> None:
    """Hold a step's lease while it runs.

    Args:
        layout: where leases and timings lie.
        steps: of the configuration.
        step: what to run.
        execute: runs it.
        device: as the command was told.

    Raises:
        MedhashError: another process is working on the step, or took the lease over while this
            one was asleep; or what ``execute`` raises.
    """
    leases = Leases(layout)
    with _ending_on_request(), leases.held(step) as waited:
        if waited and is_done(steps, step):
            say(f"{step}: another process has just finished it")
            return
        timer = timer_of(layout, step, device_here(device))

        def is_lost() -> bool:
            timer.epoch_done()
            return leases.is_lost(step)

        if not execute(step, is_lost):
            raise MedhashError(f"{step}: another process took it over while this one was asleep")
        timer.finish()


@contextmanager
def _ending_on_request() -> Iterator[None]:
    """Let SIGTERM, from Slurm mostly, end the process as Ctrl-C does: leases are given back."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def timer_of(layout: Layout, step: Step, device: str) -> StepTimer:
    """A timer for a step that begins now."""
    return StepTimer(
        timing_path(layout, step.rule, step.key),
        step,
        epochs=epochs_of(step),
        device=device,
        resumed=has_state(step),
    )


def is_done(steps: Steps, step: Step) -> bool:
    """Whether nothing is to be done for a step, by what is there now."""
    there = all(path.is_file() for path in step.outputs.values())
    return there and Receipts(steps).fits(step).ok
