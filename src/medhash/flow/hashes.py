"""SHA-256 of files, remembered while they stay as they are."""

from __future__ import annotations

from pathlib import Path

from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.memory import Memory

REMEMBERED_FROM = 1_000_000
"""Smaller files are read again in the time that looking them up would take. Bytes."""

_MEMORY = Memory("hashes")


class FileHashes:
    """Hashes of files, read again only when size or times of a file differ from those remembered.

    A file that was written, or whose owner or mode were changed, has another ``ctime``, which
    cannot be set: a file that was altered and given its old time again is read again, too.

    Args:
        remembers: False to read every byte.
        reads_large: False to treat a large file whose hash is not remembered as one that is not
            there, for a quick look.
    """

    def __init__(self, *, remembers: bool = True, reads_large: bool = True) -> None:
        self._remembers = remembers
        self._reads_large = reads_large

    def of(self, path: Path) -> str | None:
        """SHA-256 of a file, in hexadecimal; None if it is not there."""
        try:
            status = path.stat()
            if not self._remembers or status.st_size < REMEMBERED_FROM:
                return sha256_of_file(path)
            name = path.absolute().as_posix()
            state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            known: str | None = _MEMORY.recall(name, state)
            if known is None and self._reads_large:
                known = sha256_of_file(path)
                _MEMORY.remember(name, state, known)
            return known
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MedhashError(f"{path}: cannot be read ({error.strerror})") from error
