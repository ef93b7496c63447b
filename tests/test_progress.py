"""Progress as lines and as a bar."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from medhash import progress as module
from medhash.progress import progress


def test_a_log_gets_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    with progress("train x", 3, "epochs", done=1) as advance:
        advance(1, "loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["train x: 2 of 3 epochs, loss 0.5"] * 2


def test_lines_are_rare(capsys):
    with progress("read", 1000) as advance:
        for _ in range(1000):
            advance(1)
    assert capsys.readouterr().err == "read: 1000 of 1000 images\n"


def test_an_error_leaves_no_last_line(capsys):
    with pytest.raises(ValueError, match="broken"), progress("read", 2):
        raise ValueError("broken")
    assert capsys.readouterr().err == ""


def test_bytes_of_unknown_total(capsys):
    with progress("load", None, "bytes") as advance:
        advance(2000)
    assert capsys.readouterr().err == "load: 2.0 kB\n"


@pytest.mark.parametrize("unit", ["epochs", "bytes"])
def test_a_terminal_gets_a_bar(unit, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(module, "Console", lambda **options: terminal)
    with progress("train x", 2, unit) as advance:
        advance(2, "loss 0.5")
    assert "train x" in screen.getvalue()
    assert "100%" in screen.getvalue() or "2/2" in screen.getvalue()
