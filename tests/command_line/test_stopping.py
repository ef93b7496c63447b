"""Ctrl-C and SIGTERM while a step trains."""

import signal

import pytest

from medhash.commands import stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_a_second_one_ends(number, capfd, monkeypatch):
    monkeypatch.setattr(stopping, "_SAME_REQUEST", 0.0)
    asked = stopping.Stopping()
    with asked.listening():
        assert not asked.requested()
        signal.raise_signal(number)
        assert asked.requested()
        assert asked.status == 128 + number
        assert f"{number.name}: stopping after this epoch" in capfd.readouterr().err
        with pytest.raises(SystemExit) as end:
            signal.raise_signal(number)
    assert end.value.code == 128 + number


def test_one_request_that_comes_twice_is_one(capfd):
    asked = stopping.Stopping()
    with asked.listening():
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
    assert asked.status == 128 + signal.SIGINT
    assert capfd.readouterr().err.count("stopping after this epoch") == 1


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stopping.Stopping().listening():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
