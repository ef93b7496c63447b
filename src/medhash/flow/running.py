"""Runs steps: here, with a receipt, or in a folder of their own, without touching the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from medhash.configuration.loading import Configuration
from medhash.errors import AbsentError
from medhash.flow.borrowing import borrow
from medhash.flow.locks import held
from medhash.flow.receipts import Receipts, known_sha256, recorded
from medhash.flow.steps import Step, Steps
from medhash.flow.tracked import TrackedFiles

Pause = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Job:
    """How a step is run, which decides nothing of what it writes.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda``.
        pause: asked after each epoch but the last, once its state is saved, whether to stop there.
        if_outdated: whether a step that fits its receipt is left as it is.
    """

    device: str = "auto"
    pause: Pause = _never
    if_outdated: bool = False


def run_step(configuration: Configuration, steps: Steps, step: Step, job: Job) -> str | None:
    """Run a step and leave its receipt; a named run borrows first what the step reads.

    Args:
        configuration: what is run.
        steps: of the configuration.
        step: one of them.
        job: how.

    Returns:
        What the step has to say to the person who started it.

    Raises:
        AbsentError: a file that it reads was made and is not here, or none of them is.
        MedhashError: another process is training it; or see the step's own module. The files of
            before are as they were.
        PausedError: ``job.pause`` said so; there is no new receipt.
    """
    borrow(steps, Receipts(steps), step.inputs.values())
    alone = held(configuration.layout, step) if step.kind.trains else nullcontext()
    with alone:
        if job.if_outdated and _is_done(steps, step):
            return f"{step}: fits its receipt by now; nothing was done"
        if not step.kind.partial:
            check_inputs(configuration, steps, step)
        with recorded(steps, step):
            return _run(configuration, step, job)


def check_inputs(configuration: Configuration, steps: Steps, step: Step) -> None:
    """Refuse a step that would leave out what was made and is not here, or have nothing to read.

    What was never made is another matter: a table says of it that it has not run.

    Raises:
        AbsentError: names the files, and the command that brings the first of them back.
    """
    absent = [path for path in step.inputs.values() if not path.exists()]
    lost = [path for path in absent if known_sha256(steps, path)]
    if not lost and (not absent or len(absent) < len(step.inputs)):
        return
    first = (lost or absent)[0]
    maker, known = steps.making(first), TrackedFiles(Path()).where(first) if lost else None
    ways = [f"get it back: {known.command}"] if known else []
    if maker is not None:
        again = f"medhash {maker.arguments} {configuration.option}"
        ways.append(f"make it {'again' if lost else 'first'}: {again}")
    raise AbsentError(
        f"{step}: {first} {'was made and is not here' if lost else 'was not made yet'} "
        f"({len(absent)} of the {len(step.inputs)} files that it reads are not here); "
        f"{', or '.join(ways) or 'put it there'}. `medhash restore {configuration.option}` names "
        "all that is not here."
    )


def run_step_in(folder: Path, configuration: Configuration, step: Step, job: Job) -> Step:
    """Run a step on the inputs of the run, with its outputs in another folder, without receipt.

    Args:
        folder: where the outputs go, below their own paths.
        configuration: what is run.
        step: one of its steps.
        job: how.

    Returns:
        The step with its outputs in the folder.

    Raises:
        MedhashError: see the step's own module.
        PausedError: ``job.pause`` said so; the state of training lies in the folder.
    """
    there = step.into(folder)
    for path in there.outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    _run(configuration, there, job)
    return there


def _is_done(steps: Steps, step: Step) -> bool:
    """Whether a step's files are all here and those that it would write now."""
    is_here = all(path.is_file() for path in step.outputs.values())
    return is_here and Receipts(steps).fits(step).ok


def _run(configuration: Configuration, step: Step, job: Job) -> str | None:
    told: str | None = import_module(step.kind.runs_in).run(configuration, step, job)
    return told
