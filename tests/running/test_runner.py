"""What is run, in which order, and when it is paused: with a clock that only work moves."""

import math
import random
import time

import pytest
import yaml
from tiny_project import CELLS, DATASET

from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.flow.receipts import Receipts, recorded
from medhash.flow.steps import Steps
from medhash.running.leases import Leases
from medhash.running.limits import Budget, OutOfTimeError
from medhash.running.outcome_text import outcome_text
from medhash.running.runner import Runner
from medhash.running.work import epochs_of, resume_file
from medhash.schema.cell import Cell

CSQ, CSQ_DBW, HASHNET, HASHNET_DBW = CELLS


class NotAsked:
    """Nobody asked to stop."""

    requested = False

    def over(self):
        self.requested = True


class Bench:
    """A runner whose steps write their files and let the clock go on, without any mathematics.

    Attributes:
        epoch: key -> seconds of an epoch, or a function that draws them.
        ending: seconds of encoding and writing.
        ran: what was begun, in order.
    """

    def __init__(self, configuration, steps, budget=math.inf):
        self.now = 0.0
        self.configuration = configuration
        self.steps = steps
        self.stopping = NotAsked()
        self.epoch = {}
        self.ending = 1.0
        self.ran = []
        self.during = lambda step, epoch: None
        self.budget = Budget(budget, self.clock)
        self.leases = Leases(self.configuration.layout)
        self.runner = Runner(
            self.configuration,
            self.steps,
            self.execute,
            budget=self.budget,
            stopping=self.stopping,
            leases=self.leases,
            device="A",
            clock=self.clock,
            sleep=self.wait,
        )

    def clock(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds

    def run(self, *cells):
        return self.runner.run([Cell.parse(cell) for cell in cells or CELLS])

    def train(self, cell):
        return self.steps.train(Cell.parse(cell))

    def execute(self, step, pause):
        self.ran.append(str(step))
        with recorded(self.steps, step):
            if not epochs_of(step):
                self.wait(0.5)
            elif not self.epochs(step, pause):
                raise StoppedError
            for name, path in step.outputs.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}" if path.suffix == ".json" else f"{step} {name}")
        return True

    def epochs(self, step, pause):
        state = resume_file(step)
        state.parent.mkdir(parents=True, exist_ok=True)
        done = int(state.read_text()) if state.exists() else 0
        for epoch in range(done, epochs_of(step)):
            seconds = self.epoch.get(step.key, 1.0)
            self.wait(seconds() if callable(seconds) else seconds)
            state.write_text(str(epoch + 1))
            self.during(step, epoch)
            if epoch + 1 < epochs_of(step) and pause():
                return False
        self.wait(self.ending)
        state.unlink()
        return True


class StoppedError(Exception):
    """A step was paused; it leaves no receipt."""


@pytest.fixture
def bench(project):
    configuration = load(overrides={"scale": "tiny"})
    steps = Steps(configuration)

    def make(budget=math.inf):
        made = Bench(configuration, steps, budget)
        inner = made.execute

        def execute(step, pause):
            try:
                return inner(step, pause)
            except StoppedError:
                return False

        made.runner._execute = execute
        return made

    return make


def names(steps):
    return [str(step) for step in steps]


def prepared(bench):
    """All that comes before cells is done."""
    first = bench()
    first.run(CSQ)
    return first


def test_everything_is_run_in_an_order_that_works(bench):
    outcome = bench().run()
    done = names(outcome.finished)
    assert done[:4] == [
        f"phantom {DATASET}",
        f"split {DATASET}/0",
        f"pretrain ach/{DATASET}/mae",
        f"pretrain ach/{DATASET}/classification",
    ]
    assert sorted(done[4:]) == sorted(
        f"{rule} {cell}" for rule in ("train", "record") for cell in CELLS
    )
    # A cell is scored as soon as it is trained.
    assert all(done[done.index(f"train {cell}") + 1] == f"record {cell}" for cell in CELLS)
    assert not [*outcome.paused, *outcome.failed, *outcome.left]


def test_cells_that_can_be_trained_come_before_other_data(project):
    """Two datasets: the cells of the first are finished before the second is even generated."""
    scale = project / "config/scales/tiny.yaml"
    content = yaml.safe_load(scale.read_text())
    content["grid"]["datasets"].append("covid_radiograph")
    scale.write_text(yaml.safe_dump(content))
    configuration = load(overrides={"scale": "tiny"})
    both = Bench(configuration, Steps(configuration))
    outcome = both.runner.run(configuration.cells)
    done = [step.key.removeprefix("ach/").split("/")[0] for step in outcome.finished]
    assert len(done) == 2 * (4 + 2 * 4)
    assert len(set(done[:12])) == len(set(done[12:])) == 1


def test_what_was_done_is_not_done_again(bench):
    bench().run()
    again = bench()
    assert not again.run().finished
    assert again.ran == []
    receipts = Receipts(again.steps)
    assert all(receipts.fits(again.steps.record(Cell.parse(cell))).ok for cell in CELLS)


def test_only_the_chosen_cells_are_run(bench):
    one = bench()
    one.run(CSQ)
    assert [step for step in one.ran if step.startswith("train")] == [f"train {CSQ}"]


def test_the_longest_cell_comes_first(bench):
    first = bench()
    first.epoch = {CSQ: 1.0, HASHNET: 5.0, HASHNET_DBW: 3.0, CSQ_DBW: 2.0}
    first.run()
    for step in [first.train(cell) for cell in CELLS]:
        step.receipt.unlink()
    second = bench()
    second.run()
    trained = [step for step in second.ran if step.startswith("train")]
    assert trained == [f"train {cell}" for cell in (HASHNET, HASHNET_DBW, CSQ_DBW, CSQ)]


def test_what_fits_comes_before_what_does_not(bench):
    first = bench()
    first.epoch = {CSQ: 1.0, HASHNET: 50.0, HASHNET_DBW: 3.0, CSQ_DBW: 2.0}
    first.run()
    for step in [first.train(cell) for cell in CELLS]:
        step.receipt.unlink()
    second = bench(budget=105)  # 85 of it may be used
    second.epoch = first.epoch
    outcome = second.run()
    trained = [step for step in second.ran if step.startswith("train")]
    # 4 x 50 does not fit; the others do, the longest first. Then no epoch of 50 fits any more.
    assert trained == [f"train {cell}" for cell in (HASHNET_DBW, CSQ_DBW, CSQ)]
    assert names(outcome.left) == [f"train {HASHNET}", f"record {HASHNET}"]


def test_a_cell_is_paused_when_the_next_epoch_may_come_too_late(bench):
    prepared(bench)
    short = bench(budget=105)  # 85 may be used; nothing is known of this cell's speed
    short.epoch = {HASHNET: 20.0}
    outcome = short.run(HASHNET)
    # After 20 and 40 one and a half epochs still fit; after 60 not.
    assert names(outcome.paused) == [f"train {HASHNET}"]
    assert outcome.epochs_done[short.train(HASHNET)] == 3
    assert short.now == 60.0
    assert short.budget.left() >= 0
    assert short.leases.holder(short.train(HASHNET)) is None
    assert not short.train(HASHNET).receipt.exists()


def test_a_paused_cell_goes_on_where_it_was(bench):
    prepared(bench)
    short = bench(budget=105)
    short.epoch = {HASHNET: 20.0}
    short.run(HASHNET)
    later = bench()
    later.epoch = {HASHNET: 20.0}
    outcome = later.run(HASHNET)
    assert outcome.finished[later.train(HASHNET)] == 20.0 + later.ending


def test_before_the_last_epoch_there_must_be_time_to_encode(bench):
    first = bench()
    first.epoch, first.ending = {CSQ: 2.0, HASHNET: 2.0}, 60.0
    first.run(CSQ, HASHNET)
    first.train(HASHNET).receipt.unlink()
    short = bench(budget=85)  # 65 may be used
    short.epoch, short.ending = first.epoch, 60.0
    outcome = short.run(HASHNET)
    assert outcome.epochs_done[short.train(HASHNET)] == 3
    assert names(outcome.paused) == [f"train {HASHNET}"]


def test_a_step_without_epochs_that_does_not_fit_is_left(bench):
    first = bench()
    first.run(CSQ)
    record = first.steps.record(Cell.parse(CSQ))
    record.receipt.unlink()
    short = bench(budget=0.6)
    outcome = short.run(CSQ)
    assert names(outcome.left) == [str(record)]
    assert short.ran == []


@pytest.mark.parametrize("seed", range(6))
def test_no_run_is_longer_than_its_budget(bench, seed):
    """Epochs of uneven length, up to half as long again as the shortest."""
    draw = random.Random(seed)
    base = {cell: draw.uniform(1, 30) for cell in CELLS}
    total = draw.uniform(60, 200)
    for _ in range(40):
        one = bench(budget=total)
        one.ending = 0.0
        one.epoch = {
            cell: lambda least=least: least * draw.uniform(1, 1.5) for cell, least in base.items()
        }
        begun = set()

        def alarm(step, epoch, one=one, begun=begun):
            # What the timer of a real run does to a step of which too little was known.
            if one.budget.left() < 0:
                assert step not in begun, "the second epoch of a start came too late"
                raise OutOfTimeError
            begun.add(step)

        one.during = alarm
        outcome = one.run()
        assert not outcome.failed
        assert one.budget.left() >= 0 or one.stopping.requested
        if not outcome.paused and not outcome.left:
            break
    else:
        pytest.fail("the cells were never finished")


def test_being_out_of_time_leaves_the_epochs_that_are_saved(bench):
    prepared(bench)
    short = bench()

    def alarm(step, epoch):
        if epoch == 2:
            raise OutOfTimeError

    short.during = alarm
    outcome = short.run(HASHNET)
    assert names(outcome.paused) == [f"train {HASHNET}"]
    assert short.leases.holder(short.train(HASHNET)) is None
    later = bench()
    assert later.run(HASHNET).finished[later.train(HASHNET)] == 1.0 + later.ending


def test_a_request_to_stop_pauses_after_the_epoch_and_begins_nothing(bench):
    prepared(bench)
    asked = bench()

    def ask(step, epoch):
        asked.stopping.requested = epoch == 1

    asked.during = ask
    outcome = asked.run(HASHNET, CSQ_DBW)
    assert len(outcome.paused) == 1
    assert list(outcome.epochs_done.values()).count(2) == 1
    assert len([step for step in asked.ran if step.startswith("train")]) == 1


def test_a_failing_cell_does_not_stop_the_others(bench, capsys):
    prepared(bench)
    one = bench()

    def fail(step, epoch):
        if step.key == HASHNET:
            raise MedhashError("the loss term is nan")
        if step.key == HASHNET_DBW:
            raise ZeroDivisionError("in the middle")

    one.during = fail
    outcome = one.run()
    logs = {str(step): log for step, log in outcome.failed.items()}
    assert set(logs) == {f"train {HASHNET}", f"train {HASHNET_DBW}"}
    assert logs[f"train {HASHNET}"].as_posix() == f"logs/tiny/train/{HASHNET}.log"
    assert logs[f"train {HASHNET}"].read_text().endswith("medhash: the loss term is nan\n")
    assert "ZeroDivisionError: in the middle" in logs[f"train {HASHNET_DBW}"].read_text()
    assert f"record {CSQ_DBW}" in names(outcome.finished)
    text = outcome_text(outcome, one.runner.estimates)
    assert f"failed: 2\n  train {HASHNET}  logs/tiny/train/{HASHNET}.log" in text


def test_what_waits_for_a_failed_step_is_left(bench):
    one = bench()

    def fail(step, epoch):
        raise MedhashError("no")

    one.during = fail
    outcome = one.run()
    assert names(outcome.failed) == [f"pretrain ach/{DATASET}/mae"]
    assert len(outcome.left) == 1 + 2 * len(CELLS)


def test_what_another_process_works_on_is_left_to_it(bench):
    prepared(bench)
    other = Leases(load(overrides={"scale": "tiny"}).layout, seconds=0.4)
    one = bench()
    one.leases.seconds = 0.4
    assert other.take(one.train(HASHNET))
    # The clock of leases is a real one.
    one.runner._sleep = time.sleep
    outcome = one.run(HASHNET, CSQ_DBW)
    assert f"train {HASHNET}" not in one.ran
    assert names(outcome.held) == [f"train {HASHNET}"]
    assert f"record {CSQ_DBW}" in names(outcome.finished)
    other.give_back(one.train(HASHNET))


def test_work_that_waits_for_another_process_is_waited_for(bench):
    """Another process pretrains; when it is done, the cells behind it are ours."""
    other, one = bench(), bench()
    other.leases.seconds = one.leases.seconds = 4.0
    pretraining = other.steps.pretrain("ach", DATASET, "mae")
    for step in (other.steps.prepare(DATASET, 16), other.steps.split("ach", DATASET)):
        other.execute(step, lambda: False)
    assert other.leases.take(pretraining)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        # Time for signs of life, which the other process gives by a real clock.
        time.sleep(0.6)
        if len(naps) == 3:
            other.execute(pretraining, lambda: False)
            other.leases.give_back(pretraining)

    one.runner._sleep = sleep
    outcome = one.run(CSQ)
    assert len(naps) == 3
    assert names(outcome.elsewhere) == [str(pretraining)]
    assert f"record {CSQ}" in names(outcome.finished)


def test_what_another_process_finished_meanwhile_is_not_done_twice(bench):
    prepared(bench)
    one, other = bench(), bench()

    def finish_another(step, epoch):
        if step.key == HASHNET and epoch == 0:
            other.execute(other.train(HASHNET_DBW), lambda: False)

    one.epoch = {HASHNET: 50.0}
    one.during = finish_another
    outcome = one.run(HASHNET, HASHNET_DBW)
    assert names(outcome.elsewhere) == [f"train {HASHNET_DBW}"]
    assert f"train {HASHNET_DBW}" not in one.ran
    assert f"record {HASHNET_DBW}" in names(outcome.finished)


def test_the_end_says_what_is_left_and_how_long_it_takes(bench):
    prepared(bench)
    short = bench(budget=105)
    short.epoch = {HASHNET: 20.0}
    text = outcome_text(short.run(HASHNET), short.runner.estimates)
    assert f"paused, goes on next time: 1\n  train {HASHNET}  after epoch 3 of 4" in text
    assert text.endswith("left: 1 cell, 2 steps in all, about 22 s (from 2 cells on A)")


def test_without_a_finished_cell_nothing_is_estimated(bench):
    one = bench(budget=0.001)
    text = outcome_text(one.run(), one.runner.estimates)
    assert "no finished cell to estimate from on A" in text
