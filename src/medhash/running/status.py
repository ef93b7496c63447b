"""How far a run is: cells done, running, failed and outstanding, time used and time left."""

from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.flow.hashes import FileHashes
from medhash.flow.locks import Holder, holder_of
from medhash.flow.receipts import Receipt, Receipts, read
from medhash.flow.steps import Step, Steps
from medhash.running.failures import error_in
from medhash.running.slurm_jobs import SlurmJob, count_states
from medhash.stored import read_facts

SCHEMA = 1

State = Literal["done", "running", "failed", "outstanding"]
STATES: tuple[State, ...] = ("done", "running", "failed", "outstanding")
Made = Literal["made", "outdated", "not made"]


@dataclass(frozen=True)
class CellCounts:
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
    cells: CellCounts
    file: Made


@dataclass(frozen=True)
class RunningStep:
    """A step that a process is training.

    Attributes:
        step: rule and key.
        process: its number.
        host: its machine.
        epochs: how many there are.
        done: how many are finished.
    """

    step: str
    process: int
    host: str
    epochs: int
    done: int


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
        device: the one that most cells were trained on; its times alone are looked at.
        finished_cells: how many cells on that device it is based on.
        without: number of outstanding steps of whose rule none has run.
    """

    seconds: float | None
    device: str
    finished_cells: int
    without: int


@dataclass(frozen=True)
class Status:
    """How far a scale is.

    Attributes:
        scale: its name.
        cells: all, each counted once; done is one that is trained and, if needed, scored.
        papers: paper -> its cells, counted likewise.
        artefacts: key -> table or figure.
        running: what processes are training.
        failed: what failed.
        seconds_used: wall time of the steps that are finished.
        left: what is still to come.
        lost: how many files of the run git has that are not here.
        bring_back: the command that gets them again; empty if there are none.
        slurm: rule -> state -> jobs of this folder; None without Slurm.
    """

    scale: str
    cells: CellCounts
    papers: dict[str, CellCounts]
    artefacts: dict[str, ArtefactStatus]
    running: list[RunningStep]
    failed: list[FailedStep]
    seconds_used: float
    left: TimeLeft
    lost: int
    bring_back: str
    slurm: dict[str, dict[str, int]] | None

    def as_json(self) -> dict[str, Any]:
        """Keys and values, the same for the same state."""
        return {"schema": SCHEMA, **asdict(self)}


def read_status(
    configuration: Configuration, steps: Steps, jobs: list[SlurmJob] | None = None
) -> Status:
    """Look at what is there now.

    Large files are compared with their receipts only if their hash is remembered; the audit reads
    them.

    Args:
        configuration: what is run.
        steps: of the configuration.
        jobs: those that Slurm knows.
    """
    return _Reader(configuration, steps).read(jobs)


class _Reader:
    """One look at the files."""

    def __init__(self, configuration: Configuration, steps: Steps) -> None:
        self._configuration = configuration
        self._layout = configuration.layout
        self._steps = steps
        receipts = Receipts(steps, FileHashes(reads_large=False))
        self._artefacts = {stem: self._artefact_step(stem) for stem in configuration.artefacts}
        self._needed = steps.needed_for(*(step.receipt for step in self._artefacts.values()))
        self._fits = {step: receipts.fits(step) for step in self._needed}
        self._told = {step: told for step in self._needed if (told := _receipt(step))}
        waiting = [s for s in self._needed if s.kind.trains and not self._is_done(s)]
        holders = {step: holder_of(self._layout, step) for step in waiting}
        self._holders = {step: holder for step, holder in holders.items() if holder}
        self._errors = self._find_errors()
        self._parts = self._steps_of_cells()

    def read(self, jobs: list[SlurmJob] | None) -> Status:
        stems = {stem: self._parts_of(step) for stem, step in self._artefacts.items()}
        papers = {spec.paper for spec in self._configuration.artefacts.values()}
        lost = _lost(self._layout.root)
        listed = f"git ls-files -z --deleted {self._layout.root}"
        return Status(
            scale=self._configuration.label,
            cells=self._count(self._parts),
            papers={paper: self._count(self._cells_of(paper)) for paper in sorted(papers)},
            artefacts={stem: self._artefact(stem, parts) for stem, parts in stems.items()},
            running=[self._running(step, holder) for step, holder in self._holders.items()],
            failed=[self._failed(step, error) for step, error in self._errors.items()],
            seconds_used=round(sum(told["seconds"] for told in self._told.values()), 1),
            left=self._left(),
            lost=lost,
            bring_back=f"{listed} | xargs -0 git restore --" if lost else "",
            slurm=None if jobs is None else count_states(jobs),
        )

    def _artefact_step(self, stem: str) -> Step:
        is_table = stem in self._configuration.tables
        return self._steps.of("table" if is_table else "figure", stem)

    def _find_errors(self) -> dict[Step, str]:
        """Steps that are not done, that nobody is working on, and whose log ends with an error."""
        waiting = (s for s in self._needed if not self._is_done(s) and s not in self._holders)
        errors = {step: error_in(self._log(step)) for step in waiting}
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
            if maker.cell:
                parts = cells.setdefault(maker.key, {self._steps.find("train", maker.key)})
                parts.add(maker)
        return cells

    def _cells_of(self, paper: str) -> dict[str, set[Step]]:
        specs = self._configuration.artefacts
        stems = [stem for stem, spec in specs.items() if spec.paper == paper]
        cells = {cell for stem in stems for cell in self._parts_of(self._artefacts[stem])}
        return {cell: self._parts[cell] for cell in cells}

    def _count(self, cells: dict[str, set[Step]]) -> CellCounts:
        found = Counter(self._state(parts) for parts in cells.values())
        return CellCounts(*(found[state] for state in STATES))

    def _state(self, parts: Iterable[Step]) -> State:
        waiting = [step for step in parts if not self._is_done(step)]
        if not waiting:
            return "done"
        if any(step in self._holders for step in waiting):
            return "running"
        return "failed" if any(step in self._errors for step in waiting) else "outstanding"

    def _artefact(self, stem: str, parts: dict[str, set[Step]]) -> ArtefactStatus:
        spec, step = self._configuration.artefacts[stem], self._artefacts[stem]
        there = all(path.is_file() for path in step.outputs.values())
        made: Made = "made" if self._is_done(step) else "outdated"
        return ArtefactStatus(
            spec.paper, step.rule, spec.title, self._count(parts), made if there else "not made"
        )

    def _running(self, step: Step, holder: Holder) -> RunningStep:
        return RunningStep(str(step), holder.process, holder.host, step.epochs, _epochs_done(step))

    def _failed(self, step: Step, error: str) -> FailedStep:
        return FailedStep(str(step), self._log(step).as_posix(), error)

    def _log(self, step: Step) -> Path:
        """Where Snakemake's rules write it."""
        return Path("logs") / self._configuration.run / step.rule / f"{step.key}.log"

    def _left(self) -> TimeLeft:
        trained = [self._told[step] for step in self._told if step.rule == "train"]
        devices = Counter(map(_device, trained))
        device = max(sorted(devices), key=lambda name: devices[name], default="")
        times: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for step, told in self._told.items():
            if _device(told) in (device, ""):
                for likeness in _likenesses(step):
                    times[likeness].append(told["seconds"])
        waiting = [step for step in self._needed if not self._is_done(step)]
        known = {
            step: median(next((times[each] for each in _likenesses(step) if each in times), [0.0]))
            for step in waiting
        }
        seconds = sum(
            each * (1 - _epochs_done(step) / (step.epochs or 1)) for step, each in known.items()
        )
        return TimeLeft(
            seconds=round(seconds, 1) if trained else None,
            device=device,
            finished_cells=devices[device],
            without=sum((step.rule,) not in times for step in waiting),
        )


def _receipt(step: Step) -> Receipt | None:
    with suppress(OSError, MedhashError):
        return read(step)
    return None


def _device(told: Receipt) -> str:
    return str((told.get("device") or {}).get("name", ""))


def _likenesses(step: Step) -> Iterator[tuple[str, ...]]:
    """What a step has in common with others that take about as long, the closest first."""
    cell = step.cell
    if cell:
        yield step.rule, cell.dataset, cell.method, cell.variant
        yield step.rule, cell.dataset, cell.variant
        yield step.rule, cell.variant
    elif step.values:
        yield step.rule, step.values[-1]
    yield (step.rule,)


def _epochs_done(step: Step) -> int:
    """As the state says that training leaves after each epoch."""
    if step.state is None or not step.state.is_file():
        return 0
    with suppress(MedhashError):
        history = read_facts(step.state).get("history")
        return len(history) if isinstance(history, list) else 0
    return 0


def _lost(folder: Path) -> int:
    """How many files of a folder git has that are not here; 0 without git."""
    command = ["git", "ls-files", "-z", "--deleted", "--", str(folder)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return 0
    return told.stdout.count("\0")


def project_folder() -> Path:
    """The folder that a run was started in, and Slurm's jobs with it."""
    return Path.cwd()
