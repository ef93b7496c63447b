"""Leases: one holder at a time, and none for ever."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from tiny_project import CELLS, environment

from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.flow.steps import Steps
from medhash.running.leases import LEASE_SECONDS, Leases, held_keys, lease_path, lease_seconds
from medhash.schema.cell import Cell

SHORT = 0.8


@pytest.fixture
def configuration(project):
    return load(overrides={"scale": "tiny"})


@pytest.fixture
def step(configuration):
    return Steps(configuration).train(Cell.parse(CELLS[0]))


PROGRAM = """
    import sys, time
    from pathlib import Path
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Step
    from medhash.running.leases import Leases
    leases = Leases(Layout(Path("results/tiny")))
    cells = [Step("train", key, "", {}, {}, Path(), {}, ()) for key in sys.argv[1:]]
"""


def process(folder, code, *cells, seconds=SHORT):
    """A process with ``leases`` and the ``cells``' steps; ready when it has printed a line."""
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, *cells],
        cwd=folder,
        env=environment(MEDHASH_LEASE_SECONDS=str(seconds)),
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def holding(folder, cell=CELLS[0], seconds=SHORT):
    """A process that has the lease of a cell, and renews it."""
    code = """
        assert leases.take(cells[0])
        print("held", flush=True)
        time.sleep(60)
    """
    other = process(folder, code, cell, seconds=seconds)
    assert other.stdout.readline() == "held\n"
    return other


def pretend_elsewhere(configuration, step):
    """Let a lease look like that of another machine, whose processes cannot be seen."""
    path = lease_path(configuration.layout, step.rule, step.key)
    status = path.stat()
    text = path.read_text()
    changed = re.sub(r"^host=.*$", "host=another-node", text, flags=re.M)
    assert changed != text
    path.write_text(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def end(other):
    other.kill()
    other.communicate()


def test_a_lease_has_one_holder_until_it_is_given_back(configuration, step):
    ours, theirs = Leases(configuration.layout), Leases(configuration.layout)
    assert ours.take(step)
    assert not theirs.take(step)
    holder = theirs.holder(step)
    assert (holder.process, holder.is_stale) == (os.getpid(), False)
    assert str(os.getpid()) in str(holder)
    ours.give_back(step)
    assert theirs.holder(step) is None
    assert theirs.take(step)
    theirs.give_back(step)


def test_what_is_held_is_listed(configuration, step):
    leases = Leases(configuration.layout)
    assert leases.take(step)
    assert list(held_keys(configuration.layout, "train")) == [CELLS[0]]
    assert held_keys(configuration.layout, "record") == {}
    leases.give_back(step)
    assert held_keys(configuration.layout, "train") == {}


def test_a_killed_process_of_this_machine_is_followed_at_once(project, configuration, step):
    leases = Leases(configuration.layout, seconds=600)
    other = holding(project, seconds=600)
    assert not leases.take(step)
    end(other)
    assert leases.take(step) or leases.take(step)
    leases.give_back(step)


def test_a_holder_that_renews_keeps_its_lease(project, configuration, step):
    leases = Leases(configuration.layout, seconds=SHORT)
    other = holding(project)
    end_of_patience = time.monotonic() + 2.5 * SHORT
    lives = []
    while time.monotonic() < end_of_patience:
        assert not leases.take(step)
        lives.append(leases.shows_life(step))
        time.sleep(SHORT / 20)
    assert not lives[0]
    assert lives[-1]
    end(other)


def test_a_silent_holder_on_another_machine_is_followed_after_its_time(
    project, configuration, step
):
    leases = Leases(configuration.layout, seconds=SHORT)
    end(holding(project))
    pretend_elsewhere(configuration, step)
    start = time.monotonic()
    while not leases.take(step):
        assert time.monotonic() - start < 20 * SHORT
        time.sleep(SHORT / 50)
    assert time.monotonic() - start >= 0.9 * SHORT
    assert leases.holder(step).process == os.getpid()
    leases.give_back(step)


def test_many_processes_never_share_a_step(project, configuration, step):
    """They start together and rush for all cells; one lease more is stale from the beginning."""
    end(holding(project, CELLS[3], seconds=3))
    pretend_elsewhere(configuration, Steps(configuration).train(Cell.parse(CELLS[3])))
    code = """
        print("ready", flush=True)
        sys.stdin.readline()
        mine, taken, seen_all = [], Path("taken"), 0
        taken.touch()
        while seen_all < 30:  # go on for a while when there is nothing left to take
            seen_all += len(taken.read_text().split()) >= len(cells)
            for step in cells:
                if step not in mine and leases.take(step):
                    mine.append(step)
                    with taken.open("a") as stream:
                        stream.write(step.key + "\\n")
            time.sleep(0.005)
        print("done", flush=True)
        sys.stdin.readline()
    """
    rivals = [process(project, code, *CELLS, seconds=3) for _ in range(3)]
    assert all(rival.stdout.readline() == "ready\n" for rival in rivals)
    for rival in rivals:
        rival.stdin.write("go\n")
        rival.stdin.flush()
    assert all(rival.stdout.readline() == "done\n" for rival in rivals)
    for rival in rivals:
        rival.communicate("go home\n")
    assert sorted((project / "taken").read_text().split()) == sorted(CELLS)


def test_a_command_refuses_what_a_living_process_works_on(project, configuration, step):
    other = holding(project)
    leases = Leases(configuration.layout, seconds=SHORT)
    named = rf"train {CELLS[0]} is being worked on by process {other.pid} on \S+; wait"
    with pytest.raises(MedhashError, match=named), leases.held(step):
        pytest.fail("the lease was given away twice")
    end(other)
    with leases.held(step) as waited:
        assert waited in (True, False)
        assert leases.holder(step).process == os.getpid()
    assert leases.holder(step) is None


def test_a_lease_is_given_back_after_an_error(configuration, step):
    leases = Leases(configuration.layout)
    with pytest.raises(ValueError, match="of the step"), leases.held(step):
        raise ValueError("of the step")
    assert leases.holder(step) is None


def test_a_process_that_slept_too_long_is_told_that_its_lease_is_lost(project, configuration, step):
    code = """
        assert leases.take(cells[0])
        print("held", flush=True)
        while not leases.is_lost(cells[0]):
            time.sleep(0.01)
        print("lost", flush=True)
        leases.give_back(cells[0])
    """
    other = process(project, code, CELLS[0])
    assert other.stdout.readline() == "held\n"
    other.send_signal(signal.SIGSTOP)
    pretend_elsewhere(configuration, step)
    leases = Leases(configuration.layout, seconds=SHORT)
    while not leases.take(step):
        time.sleep(SHORT / 20)
    other.send_signal(signal.SIGCONT)
    assert other.stdout.readline() == "lost\n"
    assert other.wait(30) == 0
    assert leases.holder(step).process == os.getpid()
    leases.give_back(step)


def test_processes_must_agree_on_the_time(project, configuration, step):
    other = holding(project, seconds=30)
    with pytest.raises(MedhashError, match="held for 30 s, here MEDHASH_LEASE_SECONDS is 5"):
        Leases(configuration.layout, seconds=5).take(step)
    end(other)


def test_the_time_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("MEDHASH_LEASE_SECONDS", raising=False)
    assert lease_seconds() == LEASE_SECONDS
    monkeypatch.setenv("MEDHASH_LEASE_SECONDS", "2.5")
    assert lease_seconds() == 2.5


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "inf"])
def test_no_time_is_refused(monkeypatch, text):
    monkeypatch.setenv("MEDHASH_LEASE_SECONDS", text)
    with pytest.raises(MedhashError, match=f"MEDHASH_LEASE_SECONDS='{text}': expected seconds"):
        lease_seconds()
