"""A change of code that changes no bytes, settled by proof: run again, compare, write it down.

A refactoring makes steps outdated whose files it does not change. Instead of making them all again,
some are run in a folder of their own. Where every byte is what the receipts say, the receipts get
the version of today, together with what was run as proof; where one differs, the step is refused by
name and stays outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError, PausedError
from medhash.files import sha256_of_file
from medhash.flow import receipts as receipt_files
from medhash.flow.receipts import Fit, Receipts
from medhash.flow.running import Job, run_step_in
from medhash.flow.steps import Step, Steps
from medhash.schema.cell import SCRATCH
from medhash.schema.variants import parts_of
from medhash.stored import Part, read_model, read_text

_FOLDER = Path(".cache/medhash")
"""On the file system of the results, so that what is kept can be moved there."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A step that is run again as proof.

    Attributes:
        step: which.
        epochs: how many of its epochs; 0: all of it.
    """

    step: Step
    epochs: int

    @property
    def extent(self) -> str:
        """What of the step is run, in words."""
        return f"first {self.epochs} of {self.step.epochs} epochs" if self.epochs else "whole"

    @property
    def seconds(self) -> float:
        """How long it takes by its receipt."""
        seconds: float = receipt_files.read(self.step)["seconds"]
        return seconds * self.epochs / self.step.epochs if self.epochs else seconds

    def __str__(self) -> str:
        return f"{self.step} ({self.extent})"


@dataclass(frozen=True)
class Proposal:
    """What can be settled, and how.

    Attributes:
        proofs: outdated step -> the trial that stands for it. What is outdated only because a step
            before it is, fits when that one does.
        further: steps that are run whole because a trial needs files of them that are not here.
        left: step -> why it stays as it is.
    """

    proofs: dict[Step, Trial] = field(default_factory=dict)
    further: dict[Step, Trial] = field(default_factory=dict)
    left: dict[Step, str] = field(default_factory=dict)

    @property
    def trials(self) -> list[Trial]:
        """Everything that is run."""
        return list(dict.fromkeys([*self.further.values(), *self.proofs.values()]))

    @property
    def not_run(self) -> list[Step]:
        """The steps that other steps stand for."""
        run = {trial.step for trial in self.trials}
        return [step for step in self.proofs if step not in run]


@dataclass(frozen=True)
class Outcome:
    """What came of a proposal.

    Attributes:
        accepted: the steps that fit now.
        refused: step -> the first file that came out as another.
    """

    accepted: list[Step] = field(default_factory=list)
    refused: dict[Step, str] = field(default_factory=dict)


def propose(
    steps: Steps, receipts: Receipts, wanted: Iterable[Step], epochs: int, whole: Iterable[str]
) -> Proposal:
    """Choose what to run for the outdated ones of some steps.

    A step without epochs is run itself. Of trainings that start from the same code and weights of
    the same kind and have the same parts plugged in, one stands for all.

    Args:
        steps: of the configuration.
        receipts: what is known of them.
        wanted: the steps to settle, those that come first in front.
        epochs: how many epochs of a training are run; 0: all of them.
        whole: patterns (``ach/*/csq/*``) of keys of trainings that are run whole themselves.
    """
    proposal, outdated = Proposal(), []
    for step in wanted:
        fit = receipts.fits(step)
        reason = "" if fit.ok else _obstacle(steps, step, fit)
        if reason:
            proposal.left[step] = reason
        elif not fit.ok and fit.cause is None:
            outdated.append(step)
    run_whole = [step for step in outdated if _is_run_whole(step, epochs, whole)]
    samples = {_likeness(step): Trial(step, 0) for step in reversed(run_whole)}
    for step in outdated:
        own = Trial(step, 0 if step in run_whole else epochs)
        trial = samples.setdefault(_likeness(step), own)
        proposal.proofs[step] = own if step in run_whole else trial
    _add_what_is_missing(steps, proposal)
    # What is run whole for another's sake proves itself, too.
    for step, trial in proposal.proofs.items():
        proposal.proofs[step] = proposal.further.get(step) or proposal.further.get(
            trial.step, trial
        )
    return proposal


def accept(
    configuration: Configuration, steps: Steps, proposal: Proposal, device: str, tell: Tell
) -> Outcome:
    """Run the trials of a proposal and write the versions of today into the receipts they prove.

    Files that are not here, and come out as the receipts say, stay.

    Args:
        configuration: what is run.
        steps: of the configuration.
        proposal: see :func:`propose`.
        device: ``auto``, ``cpu`` or ``cuda``.
        tell: gets a line before and after each trial.

    Raises:
        MedhashError: a trial cannot be run.
    """
    outcome = Outcome()
    results: dict[Trial, str] = {}

    def found(trial: Trial) -> str:
        if trial not in results:
            results[trial] = _try(configuration, trial, device, tell)
        return results[trial]

    for step in _in_order(steps, [*proposal.further, *proposal.proofs]):
        trials = [each[step] for each in (proposal.further, proposal.proofs) if step in each]
        reason = next(filter(None, map(found, dict.fromkeys(trials))), "")
        if reason:
            outcome.refused[step] = reason
        elif step in proposal.proofs:
            receipt_files.accept(steps, step, [_told(trial) for trial in dict.fromkeys(trials)])
            outcome.accepted.append(step)
    return outcome


def _obstacle(steps: Steps, step: Step, fit: Fit) -> str:
    """Why a step cannot be settled; empty if it can."""
    if fit.state != "outdated":
        return fit.reason
    if step.timed and not step.kind.trains:
        return "tells how long something took: no second run has the same bytes"
    receipt = receipt_files.read(step)
    unknown = [path for name, path in step.outputs.items() if name not in receipt["outputs"]]
    if unknown:
        return f"its receipt says nothing of {unknown[0]}"
    for name, path in step.inputs.items():
        said = receipt["inputs"].get(name)
        now = receipt_files.known_sha256(steps, path)
        if said and now and said["sha256"] != now:
            return f"was made from another {path}"
    return ""


def _is_run_whole(step: Step, epochs: int, patterns: Iterable[str]) -> bool:
    if not step.kind.trains or (epochs and step.epochs <= epochs):
        return True
    return any(fnmatch(step.key, pattern) for pattern in patterns)


def _likeness(step: Step) -> object:
    """Trainings that are equal in this run the same code."""
    cell = step.cell
    if not step.kind.trains or cell is None:
        return step
    start = cell.origin if cell.origin in ("", SCRATCH) else "another dataset"
    return step.rule, step.modules, parts_of(cell.variant), start


def _add_what_is_missing(steps: Steps, proposal: Proposal) -> None:
    """The steps whose files a trial reads and that are not here are run whole, too."""
    open_ends = [trial.step for trial in proposal.trials]
    while open_ends:
        for path in open_ends.pop().inputs.values():
            maker = None if path.exists() else steps.making(path)
            if maker is not None and maker not in proposal.further and maker not in proposal.left:
                proposal.further[maker] = Trial(maker, 0)
                open_ends.append(maker)


def _in_order(steps: Steps, chosen: Iterable[Step]) -> list[Step]:
    kept = dict.fromkeys(chosen)
    ordered = steps.needed_for(*(step.receipt for step in kept))
    return [step for step in ordered if step in kept]


def _try(configuration: Configuration, trial: Trial, device: str, tell: Tell) -> str:
    tell(f"{trial}: about {trial.seconds:.0f} s")
    found = difference(configuration, trial, device, keep=True)
    tell(f"{trial}: {found or 'the same bytes'}")
    return found


def difference(
    configuration: Configuration, trial: Trial, device: str, *, keep: bool = False
) -> str:
    """Run a trial in a folder of its own.

    Args:
        configuration: what is run.
        trial: of one of its steps.
        device: ``auto``, ``cpu`` or ``cuda``.
        keep: whether files that are not here stay, where nothing differs.

    Returns:
        The first difference from what receipt and kept states say; empty if there is none.

    Raises:
        MedhashError: the trial cannot be run.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_FOLDER, prefix="accept-") as folder:
        if trial.epochs:
            return _difference_of_epochs(configuration, trial, Path(folder), device)
        there = run_step_in(Path(folder), configuration, trial.step, Job(device))
        found = _difference_of_files(trial.step, there)
        if keep and not found:
            _keep_what_was_not_here(trial.step, there)
        return found


def _difference_of_files(step: Step, there: Step) -> str:
    said = receipt_files.read(step)["outputs"]
    for name, path in step.outputs.items():
        if path not in step.timed and sha256_of_file(there.outputs[name]) != said[name]["sha256"]:
            return f"{path} comes out as another file"
    return ""


def _difference_of_epochs(
    configuration: Configuration, trial: Trial, folder: Path, device: str
) -> str:
    """Compare losses and states of the first epochs with those that training kept."""
    from medhash.training.checkpoints import load_tensors
    from medhash.training.loop import History, after

    try:
        run_step_in(folder, configuration, trial.step, Job(device, after(trial.epochs)))
    except PausedError:
        pass
    else:
        raise MedhashError(f"{trial}: did not stop")
    state, outputs = trial.step.into(folder).state, trial.step.outputs
    facts: dict[str, Any] = load_tensors(state)[1] if state else {}
    history = History(facts["history"], facts["states"])
    remedy = "without it the first epochs prove nothing; run the whole step (without --epochs)"
    kept = read_model(outputs["facts"], _Told, remedy).states[: trial.epochs]
    if kept and list(kept) != history.states:
        same = sum(a == b for a, b in zip(kept, history.states, strict=True))
        return f"the state after epoch {same + 1} is another than {outputs['facts']} says"
    lines = read_text(outputs["losses"], remedy).splitlines()[: trial.epochs + 1]
    if lines != history.csv().splitlines():
        return f"the losses of the first epochs are others than in {outputs['losses']}"
    return ""


def _keep_what_was_not_here(step: Step, there: Step) -> None:
    for name, path in step.outputs.items():
        if not path.exists() and path not in step.timed:
            path.parent.mkdir(parents=True, exist_ok=True)
            there.outputs[name].replace(path)


def _told(trial: Trial) -> dict[str, str]:
    return {"step": str(trial.step), "extent": trial.extent}


class _Told(Part):
    states: tuple[str, ...] = ()
