"""Comparing what stands in files with what it should be."""

from __future__ import annotations

from functools import partial

from medhash.schema import differences as trees

LAST_BITS = 1e-9
"""Sums on another machine may differ by their last bits: by this much of their size, or of 1."""

differences = partial(trees.differences, tolerance=LAST_BITS)
