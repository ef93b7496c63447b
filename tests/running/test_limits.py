"""Time that is given, and signals."""

import os
import signal
import time

import pytest

from medhash.running.limits import Budget, OutOfTimeError, Stopping, seconds_since_start


def test_some_time_is_kept_to_end():
    now = [50.0]
    budget = Budget(1500, clock=lambda: now[0], used=10)
    assert budget.left() == 1500 - 20 - 10
    now[0] += 100
    assert (budget.left(), budget.used()) == (1370, 110)
    assert Budget(10, clock=lambda: 0).left() == 7.5
    assert Budget().left() > 1e300


def test_loading_the_program_is_part_of_the_time():
    before = seconds_since_start()
    time.sleep(0.05)
    assert 0 < before < seconds_since_start()


def test_the_first_signal_asks_and_the_second_ends():
    stopping = Stopping(Budget(), grace=60)
    with stopping.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.requested
        with pytest.raises(OutOfTimeError):
            os.kill(os.getpid(), signal.SIGINT)


def test_after_a_signal_patience_ends():
    stopping = Stopping(Budget(), grace=0.05)
    with stopping.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(OutOfTimeError):
            time.sleep(30)


def test_the_end_of_the_budget_interrupts_whatever_runs():
    stopping = Stopping(Budget(0.1), grace=60)
    with stopping.listening(), pytest.raises(OutOfTimeError):
        time.sleep(30)
    assert not stopping.requested


def test_an_exception_that_is_lost_is_raised_again(monkeypatch):
    monkeypatch.setattr("medhash.running.limits._SECONDS_BETWEEN_ALARMS", 0.05)
    with Stopping(Budget(0.05), grace=60).listening():
        with pytest.raises(OutOfTimeError):
            time.sleep(30)
        with pytest.raises(OutOfTimeError):
            time.sleep(30)


def test_nothing_is_raised_when_the_run_is_over():
    stopping = Stopping(Budget(0.05), grace=60)
    with stopping.listening():
        stopping.over()
        time.sleep(0.15)
    before = signal.getsignal(signal.SIGTERM)
    assert before == signal.SIG_DFL
