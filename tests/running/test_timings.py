"""How long steps took, over several starts."""

import json

import pytest
from tiny_project import CELLS, DATASET

from medhash.configuration.loading import load
from medhash.flow.steps import Steps
from medhash.running.estimates import Estimates, Sample, collect_samples, from_timing, seconds_used
from medhash.running.timings import StepTimer, Timing, read_timing, timing_path
from medhash.schema.cell import Cell


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def steps(project):
    return Steps(load(overrides={"scale": "tiny"}))


@pytest.fixture
def step(steps):
    return steps.train(Cell.parse(CELLS[0]))


def timed(path, step, clock, *laps, resumed=False, device="A", finish=None):
    timer = StepTimer(path, step, epochs=4, device=device, resumed=resumed, clock=clock)
    for seconds in laps:
        clock.wait(seconds)
        timer.epoch_done()
    if finish is not None:
        clock.wait(finish)
        timer.finish()
    return read_timing(path)


def test_epochs_are_measured_apart_from_start_and_end(tmp_path, step, clock):
    timing = timed(tmp_path / "t.json", step, clock, 7.0, 2.0, 3.0, finish=4.0)
    assert timing == Timing(step.version, "A", 4, 4, 16.0, 2, 5.0, 3.0, finished=True)
    assert timing.epoch_seconds == 2.5
    assert timing.other_seconds == 16.0 - 4 * 2.5


def test_what_was_paused_adds_up(tmp_path, step, clock):
    path = tmp_path / "t.json"
    assert timed(path, step, clock, 7.0, 2.0).done == 2
    clock.wait(1000)
    timing = timed(path, step, clock, 6.0, resumed=True, finish=4.0)
    assert (timing.seconds, timing.done, timing.longest) == (19.0, 4, 2.0)


def test_a_lost_state_or_another_version_begins_anew(tmp_path, step, steps, clock):
    path = tmp_path / "t.json"
    timed(path, step, clock, 7.0, 2.0)
    assert timed(path, step, clock, 1.0, resumed=False).done == 1
    other = steps.train(Cell.parse(CELLS[1]))
    assert timed(path, other, clock, 1.0, resumed=True).seconds == 1.0


def test_another_device_is_measured_by_itself(tmp_path, step, clock):
    path = tmp_path / "t.json"
    timed(path, step, clock, 7.0, 2.0)
    timing = timed(path, step, clock, 30.0, resumed=True, device="B")
    assert (timing.device, timing.done, timing.seconds) == ("B", 3, 39.0)
    assert timing.epoch_seconds is None


def test_the_first_epoch_counts_as_the_longest_until_one_was_measured(tmp_path, step, clock):
    timer = StepTimer(tmp_path / "t.json", step, epochs=4, device="A", resumed=False, clock=clock)
    laps = []
    for seconds in (7.0, 2.0, 3.0):
        clock.wait(seconds)
        timer.epoch_done()
        laps.append(timer.longest_lap)
    assert laps == [7.0, 2.0, 3.0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "null"])
def test_a_damaged_timing_is_none(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    assert read_timing(tmp_path / "t.json") is None


def sample(steps, cell, epoch, other=1.0, device="A"):
    return Sample(steps.train(Cell.parse(cell)), device, epoch, other)


def estimates(*samples, device="A"):
    return Estimates(load(overrides={"scale": "tiny"}), device, samples)


def test_the_steps_that_are_most_alike_decide(steps):
    step = steps.train(Cell.parse(CELLS[0]))
    far = sample(steps, f"ach/{DATASET}/hashnet/ach/8/0", 9.0)
    near = [sample(steps, f"ach/{DATASET}/hashnet/none/8/0", seconds) for seconds in (2.0,)]
    same = [sample(steps, f"ach/{DATASET}/csq/none/8/{seed}", 3.0 + seed) for seed in (1, 2, 3)]
    assert estimates().of(step) is None
    assert estimates(far).of(step).alike == "dataset"
    assert estimates(far, *near).of(step).epoch_seconds == 2.0
    best = estimates(far, *near, *same).of(step)
    assert (best.alike, best.epoch_seconds) == ("dataset, method and variant", 5.0)
    assert best.seconds() == 4 * 5.0 + 1.0
    assert best.seconds(done=3) == 5.0 + 1.0


def test_other_devices_say_nothing_of_training(steps):
    step = steps.train(Cell.parse(CELLS[0]))
    assert estimates(sample(steps, CELLS[0], 2.0, device="B")).of(step) is None


def test_another_dataset_counts_by_its_size(steps, project):
    for dataset, images in ((DATASET, 20), ("phantom_thermal_ir", 10)):
        path = project / f"results/tiny/ach/splits/{dataset}/0.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"sizes": {"train": images}}))
    other = sample(steps, "ach/phantom_thermal_ir/csq/none/8/0", 2.0, other=3.0)
    estimate = estimates(other).of(steps.train(Cell.parse(CELLS[0])))
    assert (estimate.epoch_seconds, estimate.other_seconds) == (4.0, 6.0)
    assert estimate.alike == "variant"


def test_better_knowledge_of_a_step_replaces_worse(steps):
    step = steps.train(Cell.parse(CELLS[0]))
    known = estimates(sample(steps, CELLS[0], 2.0))
    known.add(Sample(step, "A", 6.0, None))
    assert known.of(step).epoch_seconds == 6.0
    assert known.of(step).other_seconds == 0.0
    assert known.cells == 1


def test_receipts_speak_for_steps_without_a_timing(steps, step, project):
    step.receipt.parent.mkdir(parents=True)
    receipt = {"rule": "train", "key": step.key, "device": {"name": "A"}, "seconds": 8.0}
    step.receipt.write_text(json.dumps(receipt))
    layout = load(overrides={"scale": "tiny"}).layout
    assert collect_samples(layout, [step]) == [Sample(step, "A", 2.0, 0.0)]
    assert seconds_used(layout, step) == 8.0


def test_a_timing_is_believed_before_a_receipt(steps, step, clock, project):
    layout = load(overrides={"scale": "tiny"}).layout
    step.receipt.parent.mkdir(parents=True)
    receipt = {"rule": "train", "key": step.key, "device": {"name": "A"}, "seconds": 8.0}
    step.receipt.write_text(json.dumps(receipt))
    path = timing_path(layout, "train", step.key)
    timing = timed(path, step, clock, 7.0, 2.0, 3.0, finish=4.0)
    assert collect_samples(layout, [step]) == [from_timing(step, timing)]
    assert seconds_used(layout, step) == 16.0


def test_an_epoch_that_was_not_measured_says_nothing_unless_the_step_is_done(step):
    assert from_timing(step, Timing(step.version, "A", 4, done=1, seconds=9.0)) is None
    whole = Timing(step.version, "A", 1, done=1, seconds=9.0, finished=True)
    assert from_timing(step, whole) == Sample(step, "A", 9.0, 0.0)
