"""Fingerprints of code, remembered while no file of the package changes, also in a copy of it.

Reading the syntax trees of a hundred modules takes longer than most steps that need no torch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from medhash.files import sha256_of_file, sha256_of_value
from medhash.flow.code import fingerprint
from medhash.memory import Memory

_MEMORY = Memory("code")

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def remembered_fingerprint(*modules: str) -> dict[str, Any]:
    """What :func:`medhash.flow.code.fingerprint` says of some modules.

    Raises:
        ModuleNotFoundError: a module does not exist.
    """
    name, state = list(modules), _state_of_package()
    code: dict[str, Any] | None = _MEMORY.recall(name, state)
    if code is None:
        code = fingerprint(*modules)
        _MEMORY.remember(name, state, code)
    return code


@cache
def _state_of_package() -> str:
    """Changes with the text of a source file, or when one is added or removed."""
    files = sorted(_PACKAGE.rglob("*.py"))
    return sha256_of_value(
        {path.relative_to(_PACKAGE).as_posix(): sha256_of_file(path) for path in files}
    )
