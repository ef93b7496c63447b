"""``KEY=VALUE`` on a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from medhash.errors import MedhashError
from medhash.schema.validation import parse_value


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``["bits=[8]", "settings.hashing.epochs=3"]`` into a tree; values are YAML.

    Raises:
        MedhashError: an assignment without ``=`` or without a key, or a key below a value.
    """
    tree: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        *parents, last = key.split(".")
        if not equals or not all([*parents, last]):
            raise MedhashError(f"--set {assignment!r}: expected KEY=VALUE, such as bits=[8]")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise MedhashError(f"--set {assignment!r}: {parent!r} was set to a value before")
        place[last] = parse_value(value)
    return tree


def command_options(overrides: Mapping[str, Any]) -> list[str]:
    """Words that make a command see the same overrides: ``--scale demo --set bits=[8]``."""
    return [word for key, value in overrides.items() for word in _option(key, value)]


def _option(key: str, value: Any) -> tuple[str, str]:
    if key in ("scale", "run"):
        return f"--{key}", str(value)
    return "--set", f"{key}={json.dumps(value)}"
