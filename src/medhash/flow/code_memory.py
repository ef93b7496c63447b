"""Fingerprints of code, remembered while no file of the package changes.

Reading the syntax trees of a hundred modules takes longer than most steps that need no torch.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError
from medhash.files import sha256_of_value, write_text
from medhash.flow.code import fingerprint

MEMORY = Path(".cache/medhash/code")
"""Relative to the project's folder; may be deleted at any time."""

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def remembered_fingerprint(*modules: str) -> dict[str, Any]:
    """What :func:`medhash.flow.code.fingerprint` says of some modules.

    Raises:
        ModuleNotFoundError: a module does not exist.
    """
    entry = MEMORY / f"{sha256_of_value([str(_PACKAGE), *modules])[:32]}.json"
    state = _state_of_package()
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(entry.read_text(encoding="utf-8"))
        if known["state"] == state:
            found: dict[str, Any] = known["code"]
            return found
    code = fingerprint(*modules)
    # A memory that cannot be written costs time, nothing else.
    with suppress(OSError, MedhashError):
        content = {"modules": modules, "state": state, "code": code}
        write_text(entry, json.dumps(content) + "\n")
    return code


@cache
def _state_of_package() -> str:
    """Changes when a source file is written, added or removed; ``ctime`` cannot be set."""
    files = sorted(_PACKAGE.rglob("*.py"))
    states = [(path, path.stat()) for path in files]
    return sha256_of_value(
        [
            [path.as_posix(), state.st_size, state.st_mtime_ns, state.st_ctime_ns]
            for path, state in states
        ]
    )
