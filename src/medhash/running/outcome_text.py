"""What a run of cells tells at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medhash.flow.steps import Step
from medhash.running.durations import duration_text
from medhash.running.estimates import Estimates
from medhash.running.runner import Outcome
from medhash.running.work import epochs_of

_MOST_LINES = 20


def outcome_text(outcome: Outcome, estimates: Estimates) -> str:
    """What was finished, what was paused, what failed and what is left, about how long.

    Args:
        outcome: of the run.
        estimates: for what is left.
    """
    done = outcome.epochs_done
    finished = [f"{step}  {duration_text(seconds)}" for step, seconds in outcome.finished.items()]
    paused = [f"{step}{_place(step, done.get(step, 0))}" for step in outcome.paused]
    failed = [f"{step}  {log}" for step, log in outcome.failed.items()]
    held = [f"{step}  {holder}" for step, holder in outcome.held.items()]
    lines = [
        *_part("finished", finished, always=True),
        *_part("finished by other processes meanwhile", map(str, outcome.elsewhere)),
        *_part("paused, goes on next time", paused),
        *_part("in the hands of other processes", held),
        *_part("failed", failed),
        _left(outcome, estimates),
    ]
    return "\n".join(lines)


def _part(heading: str, entries: Iterable[str], always: bool = False) -> Iterator[str]:
    listed = list(entries)
    if listed or always:
        yield f"{heading}: {len(listed)}"
    yield from (f"  {entry}" for entry in listed[:_MOST_LINES])
    if len(listed) > _MOST_LINES:
        yield f"  and {len(listed) - _MOST_LINES} more"


def _place(step: Step, done: int) -> str:
    epochs = epochs_of(step)
    return f"  after epoch {done} of {epochs}" if epochs else ""


def _left(outcome: Outcome, estimates: Estimates) -> str:
    done = outcome.epochs_done
    left = [*outcome.paused, *outcome.left]
    if not left:
        return "nothing is left" if not outcome.failed else "nothing else is left"
    cells = sum(step.rule == "train" for step in left)
    text = f"left: {_counted(cells, 'cell')}, {_counted(len(left), 'step')} in all"
    known = [(step, estimates.of(step)) for step in left]
    seconds = sum(each.seconds(done.get(step, 0)) for step, each in known if each)
    unknown = sum(each is None for _, each in known)
    if unknown == len(left) or not estimates.cells:
        return f"{text}; no finished cell to estimate from on {estimates.device}"
    beside = f" beside {_counted(unknown, 'step')} of unknown length" if unknown else ""
    based = f"from {_counted(estimates.cells, 'cell')} on {estimates.device}"
    return f"{text}, about {duration_text(seconds)}{beside} ({based})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
