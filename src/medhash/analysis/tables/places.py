"""Gains by where the masks of LCR lie, on phantoms with known lesions."""

from __future__ import annotations

from typing import Literal

from medhash.analysis.numbers.confounding import ConfoundedGrid
from medhash.analysis.tables import multiverse


class Spec(ConfoundedGrid, multiverse.Spec):
    """Gains under readings on confounded phantoms, one dataset a strength.

    The readings are places of the masks. No paper prints such gains.
    """

    kind: Literal["places"]  # type: ignore[assignment]
