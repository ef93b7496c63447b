"""Zip files and folders, read through one narrow and suspicious interface.

Nothing is unpacked to disk. A zip file is looked at before a byte of it is inflated: members that
leave the folder, links, encrypted members, repeated names and bombs make it unusable as a whole.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from medhash.errors import MedhashError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

MEGABYTE = 1024 * 1024
MAX_MEMBER_BYTES = 256 * MEGABYTE
MAX_NESTED_BYTES = 2048 * MEGABYTE
MAX_TOTAL_BYTES = 256 * 1024 * MEGABYTE
MAX_MEMBERS = 2_000_000
# Deflate cannot exceed about 1032:1, and images hardly shrink at all; small members are let off
# because a blank bitmap is legitimate and harmless.
MAX_RATIO = 100
RATIO_FREE_BYTES = 16 * MEGABYTE

_JUNK_FOLDERS = frozenset({"__MACOSX", ".git", ".ipynb_checkpoints"})
_JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_NOT_ZIP_SUFFIXES = IMAGE_SUFFIXES | {".csv", ".json", ".md", ".part", ".pdf", ".txt", ".xlsx"}


class UnusableArchiveError(MedhashError):
    """An archive that cannot be read at all, or that must not be."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Container(Protocol):
    """Files under one roof, named by relative paths with '/'."""

    path: Path
    names: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """The bytes of one member; a MedhashError names it where it cannot be read."""

    def sha256(self) -> str | None:
        """SHA-256 of the container's own file, None for a folder."""


class FolderContainer:
    """An unpacked folder. Zip files in it are not its members: see :func:`open_containers`."""

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path = path
        self.names = names

    def read(self, name: str) -> bytes:
        """The bytes of one file below the folder."""
        file = self.path / name
        try:
            with _opened(file) as stream:
                content = stream.read(MAX_MEMBER_BYTES + 1)
        except OSError as error:
            raise MedhashError(f"{file}: cannot be read: {error.strerror}") from None
        if len(content) > MAX_MEMBER_BYTES:
            raise MedhashError(f"{file}: larger than {MAX_MEMBER_BYTES // MEGABYTE} MiB")
        return content

    def sha256(self) -> None:
        """A folder has no checksum of its own."""


class ZipContainer:
    """A zip file, on disk or itself a member of another one.

    It is opened once: what is read and what is hashed are the same file, whatever is put in its
    place meanwhile.

    Raises:
        UnusableArchiveError: it is cut short, a web page, encrypted, holds links, repeated
            names or paths that leave the folder, or is a bomb.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        try:
            self._stream: io.BufferedReader | io.BytesIO = (
                _opened(path) if content is None else io.BytesIO(content)
            )
            self._state = _state_of(self._stream)
        except MedhashError as error:
            raise UnusableArchiveError(path, str(error).removeprefix(f"{path}: ")) from None
        except OSError as error:
            raise UnusableArchiveError(path, f"cannot be read: {error.strerror}") from None
        try:
            self._zip = zipfile.ZipFile(self._stream)
        except Exception as error:
            self._stream.seek(0)
            reason = _why_not_a_zip(self._stream.read(512), error)
            raise UnusableArchiveError(path, reason) from None
        self._members = self._checked_members()
        self.names = tuple(name for name in self._members if not is_junk(name))

    def read(self, name: str) -> bytes:
        """The bytes of one member, checked against its declared size and checksum."""
        return self._read(name, MAX_MEMBER_BYTES)

    def read_nested(self, name: str) -> ZipContainer:
        """A zip file inside this one, held in memory."""
        return ZipContainer(self.path / name, self._read(name, MAX_NESTED_BYTES))

    def sha256(self) -> str:
        """SHA-256 of the zip file that was opened; a MedhashError if it was written to since."""
        self._stream.seek(0)
        checksum = hashlib.file_digest(self._stream, "sha256").hexdigest()
        if _state_of(self._stream) != self._state:
            raise MedhashError(f"{self.path}: was written to while it was read; start again")
        return checksum

    def _read(self, name: str, limit: int) -> bytes:
        member = self._members[name]
        if member.file_size > limit:
            raise MedhashError(
                f"{self.path}: member '{name}' unpacks to {member.file_size} bytes, more than "
                f"the {limit // MEGABYTE} MiB that are allowed"
            )
        try:
            return self._zip.read(member)
        except (NotImplementedError, RuntimeError) as error:
            raise MedhashError(f"{self.path}: member '{name}' cannot be read: {error}") from None
        except Exception as error:
            # Each compression has errors of its own, and damaged sizes raise others.
            raise MedhashError(
                f"{self.path}: member '{name}' is damaged ({error}); get the archive again"
            ) from None

    def _checked_members(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            name = member.filename.replace("\\", "/")
            self._refuse(_why_not_a_member(name, member))
            if member.is_dir():
                continue
            name = str(PurePosixPath(name))
            if name in members:
                self._refuse(f"holds the member '{name}' twice")
            members[name] = member
        self._refuse(_why_a_bomb(members, self._stream.seek(0, os.SEEK_END)))
        return members

    def _refuse(self, reason: str | None) -> None:
        if reason:
            raise UnusableArchiveError(self.path, f"{reason}; nothing of it was unpacked")


def open_containers(place: Path) -> Iterator[Container | UnusableArchiveError]:
    """Everything readable at ``place``: the folder itself, each zip file, zips in zips.

    An archive that cannot be used comes as the error that says why, so that one bad file does
    not hide the good ones. A place that does not exist yields nothing.
    """
    if place.is_file():
        yield from _open_zip(place)
        return
    names: list[str] = []
    for file in _walk(place):
        if _may_be_zip(file):
            yield from _open_zip(file)
        else:
            names.append(file.relative_to(place).as_posix())
    if names:
        yield FolderContainer(place, tuple(names))


def is_junk(name: str) -> bool:
    """Whether a member is what operating systems and tools leave behind."""
    parts = PurePosixPath(name).parts
    file = parts[-1]
    return bool(_JUNK_FOLDERS.intersection(parts)) or file in _JUNK_FILES or file.startswith("._")


def is_image(name: str) -> bool:
    """Whether a member's name ends like an image's."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_web_page(start: bytes) -> bool:
    """Whether a file's first bytes are those of HTML or XML, as error pages are."""
    return (
        start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml"))
    )


def _walk(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` in sorted order; links are followed, loops are not."""
    seen: set[Path] = set()
    for current, subfolders, files in os.walk(folder, followlinks=True):
        here = Path(current)
        resolved = here.resolve()
        if resolved in seen:
            subfolders.clear()
            continue
        seen.add(resolved)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MAC")))
        yield from (here / name for name in sorted(files) if not is_junk(name))


def _may_be_zip(file: Path) -> bool:
    """By name, or by the first bytes where the name says nothing."""
    suffix = file.suffix.lower()
    if suffix in _NOT_ZIP_SUFFIXES:
        return False
    if suffix in {".zip", ".rar"}:
        return True
    try:
        with _opened(file) as stream:
            return stream.read(4) == b"PK\x03\x04"
    except (OSError, MedhashError):
        return False


def _open_zip(file: Path) -> Iterator[Container | UnusableArchiveError]:
    try:
        container = ZipContainer(file)
    except UnusableArchiveError as error:
        yield error
        return
    yield container
    for name in container.names:
        if PurePosixPath(name).suffix.lower() == ".zip":
            try:
                yield container.read_nested(name)
            except UnusableArchiveError as error:
                yield error


def _opened(path: Path) -> io.BufferedReader:
    """A regular file, opened; links to devices never end, and pipes wait for ever.

    Raises:
        MedhashError: it is a device, a pipe or a folder.
        OSError: it cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise MedhashError(f"{path}: is no file but a device, a pipe or a folder; remove it")
    return path.open("rb")


def _state_of(stream: io.BufferedReader | io.BytesIO) -> tuple[int, int]:
    """Size and time of the last change of an open file; of bytes in memory their number."""
    if isinstance(stream, io.BytesIO):
        return len(stream.getbuffer()), 0
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _why_not_a_zip(start: bytes, error: Exception) -> str:
    if not start:
        return "is an empty file; get the archive again"
    if is_web_page(start):
        return "is a web page, not a zip archive (a login or error page was saved); get it again"
    if start.startswith(b"PK"):
        return f"is cut short or damaged ({error}); get the archive again"
    if start.startswith(b"Rar!"):
        return "is a RAR archive; unpack it by hand into the archive folder"
    return f"is not a zip archive ({error})"


def _why_not_a_member(name: str, member: zipfile.ZipInfo) -> str | None:
    """What makes a single member unacceptable, or None."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        return f"holds the member '{name}', whose path leaves the folder"
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"holds the member '{name}', which is a link or a device"
    if member.flag_bits & 0x1:
        return f"is encrypted (member '{name}'); unpack it with its password first"
    return None


def _why_a_bomb(members: dict[str, zipfile.ZipInfo], packed_size: int) -> str | None:
    """What makes the sizes of all members together unacceptable, or None."""
    if len(members) > MAX_MEMBERS:
        return f"holds {len(members)} members, more than {MAX_MEMBERS}"
    total = sum(member.file_size for member in members.values())
    if total > MAX_TOTAL_BYTES:
        return f"unpacks to {total} bytes, more than {MAX_TOTAL_BYTES}"
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * packed_size:
        return (
            f"unpacks to {total} bytes, more than {MAX_RATIO} times its size of {packed_size}: "
            "a zip bomb"
        )
    for name, member in members.items():
        size, packed = member.file_size, max(member.compress_size, 1)
        if size > RATIO_FREE_BYTES and size > MAX_RATIO * packed:
            return f"holds the member '{name}', {size} bytes packed into {packed}: a zip bomb"
    return None
