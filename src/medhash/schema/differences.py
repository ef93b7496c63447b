"""Comparing trees of plain values, and saying where they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

_LONGEST = 60
_ABSENT = object()


class Difference(NamedTuple):
    """A key below which two trees differ; values as text, ``nothing`` where a key is not there."""

    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.key}: {self.found}, not {self.expected}"


def differences(
    expected: Any, found: Any, key: str = "", tolerance: float = 0.0
) -> Iterator[Difference]:
    """Where two trees of JSON values differ, down to single values.

    Args:
        expected: what should be there.
        found: what is there.
        key: the place of both in a larger tree.
        tolerance: by how much of their size, or of 1, two numbers may differ.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}, key=str):
            inner = f"{key}.{name}" if key else str(name)
            pair = expected.get(name, _ABSENT), found.get(name, _ABSENT)
            yield from differences(*pair, inner, tolerance)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{key}[{place}]", tolerance)
    elif not _same(expected, found, tolerance):
        yield Difference(key or "value", _short(expected), _short(found))


def plain(value: Any) -> Any:
    """A value as it comes back from JSON (tuples as lists, keys as text)."""
    return json.loads(json.dumps(value))


def flattened(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Keys and values of a tree, lists as one value."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from flattened(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False)


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == other)


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
