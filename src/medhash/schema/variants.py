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

ABLATION_SEPARATOR = "~"

BASELINE = "none"
"""The variant that plugs nothing in."""


def split_variant(variant: str) -> tuple[str, str]:
    """``ach~window-6`` to (``ach``, ``window-6``); without an ablation the second is empty."""
    base, _, ablation = variant.partition(ABLATION_SEPARATOR)
    return base, ablation


def parts_of(variant: str) -> tuple[str, ...]:
    """What is plugged in, with or without an ablation; a KeyError for an unknown variant."""
    return VARIANTS[split_variant(variant)[0]]


def unread_lcr(variant: str) -> set[str]:
    """The settings of ``lcr`` that decide nothing in a variant that reasons about lesions.

    Eq. 21 is LCR's, and beside DBW both losses weigh the same.
    """
    parts = parts_of(variant)
    return ({"other_classes"} if "lfr" in parts else set()) | (
        {"share"} if "dbw" in parts else set()
    )


def reasons_about_lesions(variant: str) -> bool:
    """Whether LCR or LFR is plugged in, so that the settings of ``lcr`` decide its codes."""
    return not {"lcr", "lfr"}.isdisjoint(parts_of(variant))
