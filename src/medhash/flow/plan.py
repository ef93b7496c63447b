"""Which steps a run has to make, and what Snakemake must be told so that it makes just these.

Snakemake compares times of files. It is therefore shown a flow in which times say what the
receipts say: a step that need not run has no inputs, so that nothing can set it off, and one that
must run although its receipt is there has one input more, a marker that is newer than that.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from medhash.files import write_text
from medhash.flow.receipts import Fit, Receipts
from medhash.flow.steps import Step, Steps

MARKERS = Path(".cache/medhash/outdated")
"""Relative to the project's folder; a run removes its own marker at its end."""

Forced = Callable[[Step], bool]


def _nothing(step: Step) -> bool:
    return False


class Plan:
    """The steps that some files need, and those of them that must run.

    A step runs if it does not fit its receipt, if a step that runs, or the user, asks for a file
    of it that is not here, or if it was forced or reads what a forced step writes. A step that
    gathers what is there (claims, the report) asks for nothing: it waits for those that run, too.

    Args:
        steps: of the configuration.
        receipts: what is known of them.
        wanted: the files that the user asked for.
        forced: whether the user asked to run a step in any case.
    """

    def __init__(
        self,
        steps: Steps,
        receipts: Receipts,
        wanted: Iterable[Path],
        forced: Forced = _nothing,
    ) -> None:
        self._steps = steps
        self._receipts = receipts
        self._wanted = list(wanted)
        self._forced = forced
        self._before = time.time() - 1

    @cached_property
    def running(self) -> frozenset[Step]:
        """The steps that must run."""
        forced = (step for step in self._needed if self._forced(step))
        running = self._with_what_they_need(self._following(forced))
        while more := self._following(self._reading_times(running)) - running:
            running = self._with_what_they_need(running | more)
        for step in self._needed:
            if step.kind.gathers and not running.isdisjoint(self._steps.makers(step)):
                running.add(step)
        return frozenset(running)

    def inputs(self, step: Step) -> list[Path]:
        """What Snakemake is told that a step waits for; nothing if it does not run.

        A step that runs waits for the receipts of those before it that run, too, and of these for
        the last ones alone: they wait for the others.
        """
        if step not in self.running:
            return []
        waits = [maker.receipt for maker in self._last_before(step)]
        if not step.receipt.exists():
            return waits
        self._bring_to_the_present(step.receipt)
        return [*waits, self._marker]

    def refused(self) -> list[Fit]:
        """Why files that are here are not accepted, one reason a step."""
        fits = [self._receipts.fits(step) for step in self._needed]
        return [fit for fit in fits if fit.state == "refused"]

    @cached_property
    def _needed(self) -> dict[Step, None]:
        """In the order in which they run."""
        found: set[Step] = set()
        open_ends = [self._steps.making(path) for path in self._wanted]
        while open_ends:
            step = open_ends.pop()
            if step is not None and step not in found:
                found.add(step)
                open_ends += [] if step.kind.gathers else self._steps.makers(step)
        every = self._steps.needed_for(*self._wanted)
        return dict.fromkeys(step for step in every if step in found)

    def _with_what_they_need(self, running: set[Step]) -> set[Step]:
        """Steps that run, those that do not fit, and all that they wait for."""
        asked = set(self._wanted)
        # Last steps first: what runs asks for what comes before it.
        for step in reversed(list(self._needed)):
            missing = any(path in asked and not path.exists() for path in step.files)
            if missing or step in running or not self._receipts.fits(step).ok:
                running.add(step)
                asked.update(() if step.kind.gathers else step.inputs.values())
        return running

    def _following(self, first: Iterable[Step]) -> set[Step]:
        """Some steps and all that is made of their files."""
        found = set(first)
        for step in self._needed:
            if not found.isdisjoint(self._steps.makers(step)):
                found.add(step)
        return found

    def _reading_times(self, running: set[Step]) -> set[Step]:
        """Steps that read what will not be the same bytes when it is made again."""
        timed = {path for step in running for path in step.timed}
        return {step for step in self._needed if not timed.isdisjoint(step.inputs.values())}

    def _last_before(self, step: Step) -> list[Step]:
        """The running steps that a step reads from, without those that others of them wait for."""
        makers = self._running_makers(step)
        earlier = set[Step]().union(*(self._all_before[maker] for maker in makers))
        return [maker for maker in makers if maker not in earlier]

    @cached_property
    def _all_before(self) -> dict[Step, set[Step]]:
        """Each running step with all that it waits for."""
        before: dict[Step, set[Step]] = {}
        for step in self._needed:
            if step in self.running:
                makers = self._running_makers(step)
                before[step] = set(makers).union(*(before[maker] for maker in makers))
        return before

    def _running_makers(self, step: Step) -> list[Step]:
        return [maker for maker in self._steps.makers(step) if maker in self.running]

    @cached_property
    def _marker(self) -> Path:
        """A file of this process that is newer than all that this run replaces."""
        marker = MARKERS / str(os.getpid())
        write_text(marker, f"{time.time_ns()}\n")
        atexit.register(marker.unlink, missing_ok=True)
        return marker

    def _bring_to_the_present(self, receipt: Path) -> None:
        """That of a clock that goes ahead would be newer than what is made after it."""
        if receipt.stat().st_mtime > self._before:
            os.utime(receipt, (self._before, self._before))
