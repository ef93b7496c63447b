"""How far a run is: cells done, running, failed and outstanding, time used and time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from medhash.configuration.loading import Configuration
from medhash.flow.hashes import FileHashes
from medhash.flow.receipts import Receipts
from medhash.flow.steps import CELL_RULES, Step, Steps
from medhash.running.estimates import Estimates, Sample, collect_samples, seconds_used
from medhash.running.failures import error_in
from medhash.running.leases import Holder, held_keys
from medhash.running.slurm_jobs import SlurmJob, count_states
from medhash.running.timings import read_timing, timing_path
from medhash.running.work import epochs_of, has_state, log_of

SCHEMA = 1

State = Literal["done", "running", "failed", "outstanding"]
STATES: tuple[State, ...] = ("done", "running", "failed", "outstanding")
Made = Literal["made", "outdated", "not made"]


@dataclass(frozen=True)
class Counts:
    """How many cells are in which state."""

    done: int = 0
    running: int = 0
    failed: int = 0
    outstanding: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.done + self.running + self.failed + self.outstanding


@dataclass(frozen=True)
class ArtefactStatus:
    """A table or figure.

    Attributes:
        paper: its paper.
        kind: ``table`` or ``figure``.
        title: what it shows.
        cells: those that it is made from; done is one of which all is there that it needs.
        file: whether it is there and as it would be made now.
    """

    paper: str
    kind: str
    title: str
    cells: Counts
    file: Made


@dataclass(frozen=True)
class RunningStep:
    """A step that a process is working on.

    Attributes:
        step: rule and key.
        process: its number.
        host: its machine.
        epochs: how many there are, 0 for a step without.
        done: how many are finished.
        silent: whether the process gave no sign of life for so long that it is probably gone.
    """

    step: str
    process: int
    host: str
    epochs: int
    done: int
    silent: bool


@dataclass(frozen=True)
class FailedStep:
    """A step whose last attempt failed, and which nobody is working on."""

    step: str
    log: str
    error: str


@dataclass(frozen=True)
class TimeLeft:
    """An estimate of what outstanding steps take, one after the other.

    Attributes:
        seconds: of all steps that an estimate is known for; None if no cell was trained yet.
        device: whose speed it is based on: this machine's device if a cell was trained on it,
            else the one that most cells were trained on.
        finished_cells: how many cells on that device it is based on.
        based_on: what an outstanding cell has in common with finished ones -> number of such cells.
        without: number of outstanding cells that nothing is known of.
    """

    seconds: float | None
    device: str
    finished_cells: int
    based_on: dict[str, int]
    without: int


@dataclass(frozen=True)
class Status:
    """How far a scale is.

    Attributes:
        scale: its name.
        device: the device of this machine.
        cells: all, each counted once; done is one that is trained and, if needed, scored.
        papers: paper -> its cells, counted likewise.
        artefacts: key -> table or figure.
        running: what processes are working on.
        failed: what failed.
        seconds_used: wall time that went into steps so far.
        left: what is still to come.
        slurm: rule -> state -> jobs of this folder; None without Slurm.
    """

    scale: str
    device: str
    cells: Counts
    papers: dict[str, Counts]
    artefacts: dict[str, ArtefactStatus]
    running: list[RunningStep]
    failed: list[FailedStep]
    seconds_used: float
    left: TimeLeft
    slurm: dict[str, dict[str, int]] | None

    def as_json(self) -> dict[str, Any]:
        """Keys and values, the same for the same state."""
        return {"schema": SCHEMA, **asdict(self)}


def read_status(
    configuration: Configuration, steps: Steps, device: str, jobs: list[SlurmJob] | None = None
) -> Status:
    """Look at what is there now.

    Large files are compared with their receipts only if their hash is remembered; the audit reads
    them.

    Args:
        configuration: what is run.
        steps: of the configuration.
        device: name of the device of this machine.
        jobs: those that Slurm knows.
    """
    return _Reader(configuration, steps, device).read(jobs)


class _Reader:
    """One look at the files."""

    def __init__(self, configuration: Configuration, steps: Steps, device: str) -> None:
        self._configuration = configuration
        self._layout = configuration.layout
        self._steps = steps
        self._device = device
        receipts = Receipts(steps, FileHashes(reads_large=False))
        self._artefacts = {key: self._artefact_step(key) for key in configuration.artefacts}
        self._needed = steps.needed_for(*(step.receipt for step in self._artefacts.values()))
        self._fits = {step: receipts.fits(step) for step in self._needed}
        self._holders = self._find_holders()
        self._errors = self._find_errors()
        self._parts = self._steps_of_cells()

    def read(self, jobs: list[SlurmJob] | None) -> Status:
        keys = {key: self._parts_of(step) for key, step in self._artefacts.items()}
        papers = {spec.paper for spec in self._configuration.artefacts.values()}
        return Status(
            scale=self._configuration.scale,
            device=self._device,
            cells=self._count(self._parts),
            papers={paper: self._count(self._cells_of(paper)) for paper in sorted(papers)},
            artefacts={key: self._artefact(key, parts) for key, parts in keys.items()},
            running=[self._running(step, holder) for step, holder in self._holders.items()],
            failed=[self._failed(step, error) for step, error in self._errors.items()],
            seconds_used=round(sum(seconds_used(self._layout, step) for step in self._needed), 1),
            left=self._left(),
            slurm=None if jobs is None else count_states(jobs),
        )

    def _artefact_step(self, key: str) -> Step:
        is_table = key in self._configuration.tables
        return self._steps.table(key) if is_table else self._steps.figure(key)

    def _find_holders(self) -> dict[Step, Holder]:
        rules = sorted({step.rule for step in self._needed})
        held = {rule: held_keys(self._layout, rule) for rule in rules}
        pairs = ((step, held[step.rule].get(step.key)) for step in self._needed)
        return {step: holder for step, holder in pairs if holder is not None}

    def _find_errors(self) -> dict[Step, str]:
        """Steps that are not done, that nobody is working on, and whose log ends with an error."""
        scale = self._configuration.scale
        waiting = [step for step in self._needed if not self._is_done(step)]
        at_work = {step for step, holder in self._holders.items() if not holder.is_stale}
        errors = {
            step: error_in(log_of(scale, step.rule, step.key))
            for step in waiting
            if step not in at_work
        }
        return {step: error for step, error in errors.items() if error is not None}

    def _is_done(self, step: Step) -> bool:
        return self._fits[step].ok

    def _steps_of_cells(self) -> dict[str, set[Step]]:
        """Cell -> its training and, where one is needed, its record; of all tables and figures."""
        cells: dict[str, set[Step]] = {}
        for artefact in self._artefacts.values():
            for cell, parts in self._parts_of(artefact).items():
                own = {step for step in parts if step.rule in ("train", "record")}
                cells.setdefault(cell, set()).update(own)
        return cells

    def _parts_of(self, artefact: Step) -> dict[str, set[Step]]:
        """Cell -> those of its steps that a table or figure is made from, and its training."""
        cells: dict[str, set[Step]] = {}
        for maker in self._steps.makers(artefact):
            if maker.rule in CELL_RULES:
                parts = cells.setdefault(maker.key, {self._steps.find("train", maker.key)})
                parts.add(maker)
        return cells

    def _cells_of(self, paper: str) -> dict[str, set[Step]]:
        specs = self._configuration.artefacts
        keys = [key for key, spec in specs.items() if spec.paper == paper]
        cells = {cell for key in keys for cell in self._parts_of(self._artefacts[key])}
        return {cell: self._parts[cell] for cell in cells}

    def _count(self, cells: dict[str, set[Step]]) -> Counts:
        found = Counter(self._state(parts) for parts in cells.values())
        return Counts(*(found[state] for state in STATES))

    def _state(self, parts: Iterable[Step]) -> State:
        waiting = [step for step in parts if not self._is_done(step)]
        if not waiting:
            return "done"
        if any(step in self._holders and not self._holders[step].is_stale for step in waiting):
            return "running"
        return "failed" if any(step in self._errors for step in waiting) else "outstanding"

    def _artefact(self, key: str, parts: dict[str, set[Step]]) -> ArtefactStatus:
        spec, step = self._configuration.artefacts[key], self._artefacts[key]
        there = all(path.is_file() for path in step.outputs.values())
        made: Made = "made" if self._is_done(step) else "outdated"
        return ArtefactStatus(
            spec.paper, step.rule, spec.title, self._count(parts), made if there else "not made"
        )

    def _running(self, step: Step, holder: Holder) -> RunningStep:
        return RunningStep(
            str(step),
            holder.process,
            holder.host,
            epochs_of(step),
            self._epochs_done(step),
            holder.is_stale,
        )

    def _failed(self, step: Step, error: str) -> FailedStep:
        log = log_of(self._configuration.scale, step.rule, step.key)
        return FailedStep(str(step), log.as_posix(), error)

    def _epochs_done(self, step: Step) -> int:
        timing = read_timing(timing_path(self._layout, step.rule, step.key))
        goes_on = timing and not timing.finished and timing.version == step.version
        return timing.done if timing and goes_on and has_state(step) else 0

    def _left(self) -> TimeLeft:
        samples = collect_samples(self._layout, self._needed)
        device = _device_to_judge_by(samples, self._device)
        estimates = Estimates(self._configuration, device, samples)
        waiting = [step for step in self._needed if not self._is_done(step)]
        known = {step: estimates.of(step) for step in waiting}
        cells = [estimate for step, estimate in known.items() if step.rule == "train"]
        based_on = Counter(estimate.alike for estimate in cells if estimate)
        seconds = [
            estimate.seconds(self._epochs_done(step))
            for step, estimate in known.items()
            if estimate
        ]
        return TimeLeft(
            seconds=round(sum(seconds), 1) if estimates.cells else None,
            device=device,
            finished_cells=estimates.cells,
            based_on=dict(sorted(based_on.items())),
            without=sum(estimate is None for estimate in cells),
        )


def _device_to_judge_by(samples: list[Sample], here: str) -> str:
    trained = Counter(sample.device for sample in samples if sample.step.rule == "train")
    if not trained or here in trained:
        return here
    return max(sorted(trained), key=lambda device: trained[device])


def project_folder() -> Path:
    """The folder that a run was started in, and Slurm's jobs with it."""
    return Path.cwd()
