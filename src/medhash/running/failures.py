"""Why a step's last attempt failed, by its log."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TAIL = 16_384
_MESSAGE = re.compile(r"^medhash: (.+)$", re.M)
_EXCEPTION = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception)\b.*$")
_FROM_OUTSIDE = re.compile(r"^(?:slurmstepd: error: .*|.*\bKilled\b.*|.*\bBus error\b.*)$")


def error_in(log: Path) -> str | None:
    """The error that a log ends with, in one line; None if there is none, or no log.

    A log holds the last attempt only. One that was stopped ends without an error.
    """
    text = _tail(log)
    messages = _MESSAGE.findall(text)
    if messages:
        return str(messages[-1])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    raised = "Traceback (most recent call last)" in text and _EXCEPTION.match(last)
    return last if raised or _FROM_OUTSIDE.match(last) else None


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
