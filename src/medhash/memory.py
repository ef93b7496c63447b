"""What took long to find out, remembered below ``.cache/medhash``; may be deleted at any time.

One small file each, so that jobs that run at once do not wait for each other.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError
from medhash.files import sha256_of_value, write_text

MEMORY = Path(".cache/medhash")
"""Relative to the project's folder."""


class Memory:
    """One kind of facts.

    Args:
        kind: its folder's name.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def recall(self, name: Any, state: Any) -> Any:
        """What was remembered of something while it was in a state; None if nothing.

        Args:
            name: of what, a JSON value.
            state: what it depends on, a JSON value.
        """
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._file(name).read_text(encoding="utf-8"))
            return known["value"] if known["state"] == state else None
        return None

    def remember(self, name: Any, state: Any, value: Any) -> None:
        """Keep a JSON value; a memory that cannot be written costs time, nothing else."""
        with suppress(OSError, MedhashError):
            content = {"name": name, "state": state, "value": value}
            write_text(self._file(name), json.dumps(content) + "\n")

    def _file(self, name: Any) -> Path:
        return MEMORY / self._kind / f"{sha256_of_value(name)[:32]}.json"
