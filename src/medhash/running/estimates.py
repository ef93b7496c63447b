"""How long outstanding steps will take, from those that are finished on the same device."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from medhash.configuration.loading import Configuration
from medhash.configuration.paths import Layout
from medhash.flow.receipts import read
from medhash.flow.steps import Step
from medhash.running.timings import Timing, read_timing, timing_path
from medhash.running.work import epochs_of, view_of
from medhash.schema.cell import Cell
from medhash.schema.variants import parts_of

Kind = tuple[object, ...]


@dataclass(frozen=True)
class Sample:
    """What one step took.

    Attributes:
        step: which step.
        device: name of the device.
        epoch_seconds: time of an epoch; of a step without epochs, all of its time.
        other_seconds: time of the rest; None if it is not known.
    """

    step: Step
    device: str
    epoch_seconds: float
    other_seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """How long a step takes.

    Attributes:
        epoch_seconds: time of an epoch; of a step without epochs, all of its time.
        other_seconds: time of all but epochs.
        epochs: how many epochs, 1 for a step without.
        alike: what the steps that it is based on have in common with this one.
    """

    epoch_seconds: float
    other_seconds: float
    epochs: int
    alike: str

    def seconds(self, done: int = 0) -> float:
        """Time that is left after some finished epochs."""
        return self.epoch_seconds * max(0, self.epochs - done) + self.other_seconds


@dataclass(frozen=True)
class _Level:
    """Steps that are alike in some way, the closest way first."""

    alike: str
    kind: Callable[[Step], Kind]
    by_size: bool = False


class Estimates:
    """Estimates for the steps of a configuration on one device.

    Args:
        configuration: what is run; splits that are there say how many images are trained on.
        device: name of the device.
        samples: what finished steps took, on whatever device.
    """

    def __init__(
        self, configuration: Configuration, device: str, samples: Iterable[Sample] = ()
    ) -> None:
        self._configuration = configuration
        self.device = device
        self._samples: dict[Step, Sample] = {}
        self._groups: dict[tuple[str, Kind], list[Sample]] = defaultdict(list)
        self._sizes: dict[tuple[str, str], int | None] = {}
        for sample in samples:
            self.add(sample)

    def add(self, sample: Sample) -> None:
        """Learn from one step more, or better from the same one."""
        if sample.device != self.device and epochs_of(sample.step):
            return
        before = self._samples.get(sample.step)
        self._samples[sample.step] = sample
        for level in _levels(sample.step):
            group = self._groups[level.alike, level.kind(sample.step)]
            if before in group:
                group.remove(before)
            group.append(sample)

    @property
    def cells(self) -> int:
        """How many trained cells are known on this device."""
        return sum(step.rule == "train" for step in self._samples)

    def of(self, step: Step) -> Estimate | None:
        """The median of the steps that are most like this one; None if none is known."""
        groups = [(level, self._group(step, level)) for level in _levels(step)]
        known = [(level, group) for level, group in groups if group]
        if not known:
            return None
        level, nearest = known[0]
        # A step that is not finished tells of epochs, but not of start and end.
        others = (
            [
                sample.other_seconds * ratio
                for sample, ratio in group
                if sample.other_seconds is not None
            ]
            for _, group in known
        )
        return Estimate(
            epoch_seconds=median(sample.epoch_seconds * ratio for sample, ratio in nearest),
            other_seconds=median(next((each for each in others if each), [0.0])),
            epochs=epochs_of(step) or 1,
            alike=level.alike,
        )

    def _group(self, step: Step, level: _Level) -> list[tuple[Sample, float]]:
        """The steps that are alike, each with how many times as large this one is."""
        group = self._groups.get((level.alike, level.kind(step)), [])
        return [(each, self._ratio(step, each.step) if level.by_size else 1.0) for each in group]

    def _ratio(self, step: Step, other: Step) -> float:
        """How many times as many training images there are."""
        sizes = [self._size(view_of(each)) for each in (step, other)]
        return sizes[0] / sizes[1] if sizes[0] and sizes[1] else 1.0

    def _size(self, view: tuple[str, str]) -> int | None:
        if view not in self._sizes:
            self._sizes[view] = _training_images(self._configuration, *view)
        return self._sizes[view]


def collect_samples(layout: Layout, steps: Iterable[Step]) -> list[Sample]:
    """What is known of steps that ran: timings, else receipts."""
    samples = (sample_of(layout, step) for step in steps)
    return [sample for sample in samples if sample is not None]


def sample_of(layout: Layout, step: Step) -> Sample | None:
    """What a step took, if it ran; a step without a timing by its receipt's seconds."""
    timing = read_timing(timing_path(layout, step.rule, step.key))
    sample = from_timing(step, timing) if timing else None
    return sample or _from_receipt(step)


def from_timing(step: Step, timing: Timing) -> Sample | None:
    """What a timing says; None if it was not long enough to tell."""
    epoch = timing.epoch_seconds
    if epoch is None:
        if not timing.finished:
            return None
        return Sample(step, timing.device, timing.seconds / (timing.epochs or 1), 0.0)
    return Sample(step, timing.device, epoch, timing.other_seconds)


def seconds_used(layout: Layout, step: Step) -> float:
    """Wall time that went into a step so far: all its starts, else the last one."""
    timing = read_timing(timing_path(layout, step.rule, step.key))
    if timing is not None:
        return timing.seconds
    try:
        return float(read(step)["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _from_receipt(step: Step) -> Sample | None:
    try:
        receipt = read(step)
        device = (receipt.get("device") or {}).get("name", "")
        seconds = float(receipt["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Sample(step, device, seconds / (epochs_of(step) or 1), 0.0)


def _levels(step: Step) -> list[_Level]:
    if step.rule == "train":
        return _CELL_LEVELS
    return _STAGE_LEVELS if step.rule == "pretrain" else _OTHER_LEVELS


def _cell(step: Step) -> Cell:
    return Cell.parse(step.key)


def _stage(step: Step) -> str:
    return step.key.rpartition("/")[2]


_CELL_LEVELS = [
    _Level(
        "dataset, method and variant",
        lambda step: (view_of(step), _cell(step).method, _cell(step).variant),
    ),
    _Level("dataset and variant", lambda step: (view_of(step), parts_of(_cell(step).variant))),
    _Level("variant", lambda step: (parts_of(_cell(step).variant),), by_size=True),
    _Level("dataset", view_of),
    _Level("size of the training set", lambda step: ("train",), by_size=True),
]
_STAGE_LEVELS = [
    _Level("dataset and stage", lambda step: (step.key,)),
    _Level("stage", lambda step: (_stage(step),), by_size=True),
]
_OTHER_LEVELS = [_Level("rule", lambda step: (step.rule,))]


def _training_images(configuration: Configuration, paper: str, dataset: str) -> int | None:
    """How many images of a dataset are trained on, if the paper's split of it is there."""
    manifest = configuration.split_for(paper, dataset)
    try:
        sizes = json.loads(manifest.with_suffix(".json").read_text(encoding="utf-8"))["sizes"]
        return int(sizes["train"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
