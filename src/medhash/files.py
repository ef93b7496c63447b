"""Files that are whole or not there, and their hashes."""

from __future__ import annotations

import csv
import errno
import glob
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_SYNCED = (errno.EINVAL, errno.ENOTSUP)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file name beside ``path``; rename it to ``path`` on success.

    On an error the temporary file is removed and ``path`` is left as it was. A name given as a
    folder is handled the same way: create the folder under the yielded name. What has the name is
    on the disk, with all that it holds: a power cut leaves the file whole, or as it was before.

    Raises:
        MedhashError: there is no room for the file, or it may not be written there.
    """
    own = f"{os.getpid():x}-{uuid.uuid4().hex[:8]}"
    temporary = path.with_name(f".{path.stem}.{own}.part{path.suffix}")
    try:
        _make_folder(path.parent)
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        _replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            _remove(temporary)
        remedy = _remedy(error, path, temporary)
        if remedy:
            raise MedhashError(
                f"{path}: could not be written ({remedy}, what is finished is kept"
            ) from error
        raise


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _replace(temporary: Path, path: Path) -> None:
    """Rename what is on the disk; the new name goes there, too."""
    inside = temporary.rglob("*") if temporary.is_dir() else ()
    for written in (*inside, temporary):
        _sync(written)
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk; some file systems take no folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove what runs that were killed left half-written of some files.

    Only :func:`written_whole` gives such names; what a process of this machine is writing stays.
    """
    for path in paths:
        start, end = f".{path.stem}.", f".part{path.suffix}"
        for left in path.parent.glob(f"{glob.escape(start)}*-????????{glob.escape(end)}"):
            process = left.name.removeprefix(start).partition("-")[0]
            if not _is_running(process):
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_running(process: str) -> bool:
    """Whether a process of this machine has a number, given in hexadecimal."""
    try:
        os.kill(int(process, 16), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remedy(error: BaseException, path: Path, temporary: Path) -> str:
    """What stands in the way of a file and what to do; empty for errors of other kinds."""
    if not isinstance(error, OSError):
        return ""
    if error.errno in _NO_ROOM:
        return f"{error.strerror}); make room and start again"
    places = {str(place) for place in (temporary, path, *path.parents)}
    name = str(error.filename)
    if name in places or name.startswith(f"{temporary}/"):
        return f"{error.strerror}: {name}); make the folder writable and start again"
    return ""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def text_of_csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Lines of a CSV file with Unix line ends, the first of which names the columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is the same bytes for the same value (sorted keys, NaN refused)."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_value(value: Any) -> str:
    """SHA-256 of a JSON-able value's canonical text, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def usable_cores() -> int:
    """Cores that this process may use, fewer than the machine's in a cluster's job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
