"""What can be plugged into a method: the names of variants and their parts."""

from __future__ import annotations

VARIANTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "dbw": ("dbw",),
    "lcr": ("lcr",),
    "ach": ("dbw", "lcr"),
    "lfr": ("lfr",),
    "dbw+lfr": ("dbw", "lfr"),
}
