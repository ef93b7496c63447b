"""SHA-256 of files, remembered while they stay as they are."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from medhash.errors import MedhashError
from medhash.files import sha256_of_file, sha256_of_value, write_text

MEMORY = Path(".cache/medhash/hashes")
"""Relative to the project's folder; may be deleted at any time."""
REMEMBERED_FROM = 1_000_000
"""Smaller files are read again in the time that looking them up would take. Bytes."""


class FileHashes:
    """Hashes of files, read again only when size or times of a file differ from those remembered.

    A file that was written, or whose owner or mode were changed, has another ``ctime``, which
    cannot be set: a file that was altered and given its old time again is read again, too.

    Args:
        memory: folder of what is remembered, one small file each, so that jobs that run at once
            do not wait for each other; ``None`` reads every byte.
        reads_large: False to treat a large file whose hash is not remembered as one that is not
            there, for a quick look.
    """

    def __init__(self, memory: Path | None = MEMORY, *, reads_large: bool = True) -> None:
        self._memory = memory
        self._reads_large = reads_large

    def of(self, path: Path) -> str | None:
        """SHA-256 of a file, in hexadecimal; None if it is not there."""
        try:
            status = path.stat()
            if self._memory is None or status.st_size < REMEMBERED_FROM:
                return sha256_of_file(path)
            state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            known = self._remembered(self._memory, path, state)
            return known or (self._read(path, state) if self._reads_large else None)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MedhashError(f"{path}: cannot be read ({error.strerror})") from error

    def _remembered(self, memory: Path, path: Path, state: list[int]) -> str | None:
        try:
            known = json.loads(_entry(memory, path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        is_same = isinstance(known, dict) and known.get("state") == state
        return known.get("sha256") if is_same else None

    def _read(self, path: Path, state: list[int]) -> str:
        sha256 = sha256_of_file(path)
        if self._memory is not None:
            # A memory that cannot be written costs time, nothing else.
            with suppress(OSError, MedhashError):
                content = {"file": path.as_posix(), "state": state, "sha256": sha256}
                write_text(_entry(self._memory, path), json.dumps(content) + "\n")
        return sha256


def _entry(memory: Path, path: Path) -> Path:
    return memory / f"{sha256_of_value(path.absolute().as_posix())[:32]}.json"
