"""Runs as many outstanding steps as fit into the time that there is."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.flow.plan import Plan
from medhash.flow.receipts import Receipts
from medhash.flow.steps import Step, Steps
from medhash.progress import say
from medhash.running.alone import Execute, is_done
from medhash.running.durations import duration_text
from medhash.running.estimates import Estimates, collect_samples, from_timing
from medhash.running.leases import Leases
from medhash.running.limits import Budget, OutOfTimeError, Stopping
from medhash.running.timings import StepTimer, read_timing, timing_path
from medhash.running.work import TRAINING, epochs_of, has_state, log_of, steps_to_a_record
from medhash.schema.cell import Cell

_CAUTION = 1.5
"""The next epoch is expected to take up to this many times the longest so far."""
_POLLS_A_LEASE = 20
_LONGEST_POLL = 1.0


@dataclass
class Outcome:
    """What became of the steps of a run.

    Attributes:
        finished: by this run, with the seconds that each took here.
        elsewhere: finished by other processes meanwhile.
        paused: started, not finished; goes on next time.
        failed: step -> its log.
        left: not finished by anybody, paused and failed ones not among them.
        held: of those, the ones that another process is working on -> who.
        epochs_done: step -> epochs that are finished, of what is left.
    """

    finished: dict[Step, float] = field(default_factory=dict)
    elsewhere: list[Step] = field(default_factory=list)
    paused: list[Step] = field(default_factory=list)
    failed: dict[Step, Path] = field(default_factory=dict)
    left: list[Step] = field(default_factory=list)
    held: dict[Step, str] = field(default_factory=dict)
    epochs_done: dict[Step, int] = field(default_factory=dict)


class Runner:
    """One process's share of the outstanding work.

    Args:
        configuration: what is run.
        steps: of the configuration.
        execute: runs one step.
        budget: how long it may take.
        stopping: whether somebody asked to stop.
        leases: keep other processes off a step.
        device: name of the device, for estimates.
        clock: in seconds; never goes back.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        configuration: Configuration,
        steps: Steps,
        execute: Execute,
        *,
        budget: Budget,
        stopping: Stopping,
        leases: Leases,
        device: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._configuration = configuration
        self._layout = configuration.layout
        self._steps = steps
        self._execute = execute
        self._budget = budget
        self._stopping = stopping
        self._leases = leases
        self._clock = clock
        self._sleep = sleep
        self._pending: dict[Step, None] = {}
        self._needs: dict[Step, set[Step]] = {}
        self._epochs_done: dict[Step, int] = {}
        self._outcome = Outcome()
        self.estimates = Estimates(configuration, device)

    def run(self, cells: Iterable[Cell]) -> Outcome:
        """Train and score what is outstanding of some cells, with all that they need.

        What is nearest to a finished cell comes first: a record, a training, a pretraining, data.
        Among those, the one with the longest work behind it. What does not fit into the time that
        is left comes after what does; it is begun, and paused.
        """
        last = [self._steps.record(cell) for cell in cells]
        needed = self._steps.needed_for(*(step.receipt for step in last))
        for sample in collect_samples(self._layout, self._known_steps(needed)):
            self.estimates.add(sample)
        files = [path for step in last for path in step.files]
        running = Plan(self._steps, Receipts(self._steps), files).running
        self._pending = dict.fromkeys(step for step in needed if step in running)
        self._needs = {step: set(self._steps.makers(step)) for step in self._pending}
        try:
            self._work()
        except OutOfTimeError:
            self._stopping.over()
        return self._summary()

    def _known_steps(self, needed: list[Step]) -> dict[Step, None]:
        """All steps that may have been timed, also those of cells that were not chosen."""
        cells = self._configuration.cells
        trained = [self._steps.train(cell) for cell in cells]
        return dict.fromkeys([*needed, *trained, *map(self._steps.record, cells)])

    def _work(self) -> None:
        while self._pending and not self._stopping.requested and self._budget.left() > 0:
            step = self._take_next()
            if step is not None:
                try:
                    self._attempt(step)
                finally:
                    self._leases.give_back(step)
            elif self._waits_for_others():
                self._sleep(min(_LONGEST_POLL, self._leases.seconds / _POLLS_A_LEASE))
            else:
                return

    def _take_next(self) -> Step | None:
        """The step to do now, with its lease; None if there is none that may be begun."""
        for step in self._in_order():
            if self._leases.take(step):
                return step
        return None

    def _in_order(self) -> list[Step]:
        """What may be begun now, best first."""
        ready = [step for step in self._pending if self._is_ready(step) and self._may_begin(step)]
        behind = self._work_behind()
        places = {step: place for place, step in enumerate(self._pending)}

        def order(step: Step) -> tuple[bool, int, float, int]:
            unfitting = self._remaining(step) > self._budget.left()
            return unfitting, steps_to_a_record(step), -behind[step], places[step]

        return sorted(ready, key=order)

    def _is_ready(self, step: Step) -> bool:
        stopped = step in self._outcome.paused or step in self._outcome.failed
        return not stopped and not self._needs[step] & self._pending.keys()

    def _may_begin(self, step: Step) -> bool:
        """Whether something of it fits into the time: an epoch, or all of a step without any."""
        estimate = self.estimates.of(step)
        if estimate is None:
            return True
        least = _CAUTION * estimate.epoch_seconds + estimate.other_seconds
        return least <= self._budget.left()

    def _remaining(self, step: Step) -> float:
        """Seconds that a step still needs; 0 where that is not known."""
        estimate = self.estimates.of(step)
        return estimate.seconds(self._done(step)) if estimate else 0.0

    def _done(self, step: Step) -> int:
        """How many epochs an earlier start left."""
        if step not in self._epochs_done:
            timing = read_timing(timing_path(self._layout, step.rule, step.key))
            goes_on = timing and not timing.finished and timing.version == step.version
            done = timing.done if timing and goes_on and has_state(step) else 0
            self._epochs_done[step] = done
        return self._epochs_done[step]

    def _work_behind(self) -> dict[Step, float]:
        """Seconds of the longest chain of steps that begins with each pending one."""
        behind = {step: self._remaining(step) for step in self._pending}
        chain = dict(behind)
        for step in reversed(self._pending):
            for need in self._needs[step] & chain.keys():
                chain[need] = max(chain[need], behind[need] + chain[step])
        return chain

    def _waits_for_others(self) -> bool:
        """Whether a step that may be begun may still become ours, or lets us go on with others.

        A step whose holder is at work is left to it, unless a training waits for it.
        """
        awaited: set[Step] = set()
        for step in self._pending:
            if step.rule in TRAINING and not self._is_ready(step) and self._may_begin(step):
                awaited |= self._needs[step]
        ready = [step for step in self._pending if self._is_ready(step) and self._may_begin(step)]
        return any(step in awaited or not self._leases.shows_life(step) for step in ready)

    def _attempt(self, step: Step) -> None:
        """Run a step whose lease we have, unless another process has done so meanwhile."""
        if is_done(self._steps, step):
            del self._pending[step]
            self._outcome.elsewhere.append(step)
            return
        self._epochs_done.pop(step, None)
        log = log_of(self._configuration.run, step.rule, step.key)
        say(f"{step}: {self._announcement(step)}")
        timer = self._timer(step)
        start = self._clock()
        try:
            with _logged(log):
                finished = self._execute(step, lambda: self._asks_to_pause(step, timer))
        except OutOfTimeError:
            self._stopping.over()
            self._pause(step)
        except Exception:
            self._outcome.failed[step] = log
            say(f"{step}: failed, see {log}")
        else:
            self._end(step, timer, start) if finished else self._pause(step)

    def _end(self, step: Step, timer: StepTimer, start: float) -> None:
        timer.finish()
        sample = from_timing(step, timer.timing)
        if sample is not None:
            self.estimates.add(sample)
        del self._pending[step]
        self._outcome.finished[step] = self._clock() - start
        say(f"{step}: done in {duration_text(self._outcome.finished[step])}")

    def _pause(self, step: Step) -> None:
        self._outcome.paused.append(step)
        epochs = epochs_of(step)
        place = f" after epoch {self._done(step)} of {epochs}" if epochs else ""
        say(f"{step}: stopped{place}; goes on next time")

    def _timer(self, step: Step) -> StepTimer:
        return StepTimer(
            timing_path(self._layout, step.rule, step.key),
            step,
            epochs=epochs_of(step),
            device=self.estimates.device,
            resumed=has_state(step),
            clock=self._clock,
        )

    def _asks_to_pause(self, step: Step, timer: StepTimer) -> bool:
        """After an epoch but the last: whether the next would come too late."""
        timer.epoch_done()
        self._epochs_done[step] = timer.timing.done
        sample = from_timing(step, timer.timing)
        if sample is not None:
            self.estimates.add(sample)
        if self._stopping.requested or self._leases.is_lost(step):
            return True
        estimate = self.estimates.of(step)
        is_last = timer.timing.done + 1 >= timer.timing.epochs
        ending = estimate.other_seconds if estimate and is_last else 0.0
        return _CAUTION * timer.longest_lap + ending > self._budget.left()

    def _announcement(self, step: Step) -> str:
        estimate = self.estimates.of(step)
        done = self._done(step)
        begun = f"goes on after epoch {done} of {epochs_of(step)}" if done else "begun"
        return f"{begun}, about {duration_text(estimate.seconds(done))}" if estimate else begun

    def _summary(self) -> Outcome:
        outcome = self._outcome
        stopped = {*outcome.paused, *outcome.failed}
        outcome.left = [step for step in self._pending if step not in stopped]
        outcome.epochs_done = {step: self._done(step) for step in self._pending}
        holders = {step: self._leases.holder(step) for step in outcome.left}
        outcome.held = {step: str(holder) for step, holder in holders.items() if holder}
        return outcome


@contextmanager
def _logged(log: Path) -> Iterator[None]:
    """Both streams into a log; an error too, as the command line would print it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8", buffering=1) as stream,
        redirect_stdout(stream),
        redirect_stderr(stream),
    ):
        try:
            yield
        except MedhashError as error:
            stream.write(f"medhash: {error}\n")
            raise
        except Exception:
            stream.write(traceback.format_exc())
            raise
