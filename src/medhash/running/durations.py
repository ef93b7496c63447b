"""Times as people write and read them: ``1h30m``, ``25m``, ``90s``."""

from __future__ import annotations

import re

from medhash.errors import MedhashError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_FORM = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))


def parse_duration(text: str, option: str) -> float:
    """Read ``25m``, ``1h30m``, ``2d`` or ``90s``.

    Args:
        text: days, hours, minutes and seconds, in this order, each at most once.
        option: where the text was given, for the message.

    Returns:
        Seconds, more than 0.

    Raises:
        MedhashError: another form, or no time at all.
    """
    found = _FORM.fullmatch(text.strip().lower()) if text.strip() else None
    if found is None:
        raise MedhashError(
            f"{option} {text!r}: expected a time with its unit, such as 25m or 1h30m"
        )
    seconds = sum(int(count) * _UNITS[unit] for unit, count in found.groupdict("0").items())
    if not seconds:
        raise MedhashError(f"{option} {text!r}: no time is left to do anything in")
    return float(seconds)


def duration_text(seconds: float) -> str:
    """One or two units of a time: ``8.3 s``, ``12 min``, ``1 h 05 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"
