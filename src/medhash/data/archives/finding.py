"""Finding a dataset's archives by what they contain, never by how they are named.

An archive is a zip file or an unpacked folder. It holds a dataset where its paths have the
upstream layout, which the dataset's reader knows, below any number of outer folders.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from medhash.data.archives.containers import Container, UnusableArchiveError
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard

ARCHIVES_VARIABLE = "MEDHASH_ARCHIVES"
ARCHIVES_FOLDER = Path("data/archives")


@dataclass(frozen=True)
class FoundPart:
    """Where a part of an upstream layout lies: a folder of images, a table.

    Attributes:
        name: what the reader calls the part.
        container: the archive that holds it.
        root: the outer folders above the layout, empty where there are none.
        files: paths in the archive, sorted.
    """

    name: str
    container: Container
    root: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """What a reader recognises in some places.

    Attributes:
        parts: what is there.
        absent: the parts that are not, in words.
        expected: names of all parts.
        neighbours: all archives of the place where the parts were found.
        advice: what to do about the first absent part, empty where nothing suggests itself.
    """

    parts: tuple[FoundPart, ...] = ()
    absent: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    neighbours: tuple[Container, ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class FoundArchives:
    """What :func:`find_archives` found for one dataset."""

    card: DatasetCard
    searched: tuple[Path, ...]
    match: Match
    unusable: tuple[UnusableArchiveError, ...] = ()

    @property
    def parts(self) -> tuple[FoundPart, ...]:
        """What is there of the upstream layout."""
        return self.match.parts

    @property
    def complete(self) -> bool:
        """Whether every part of the upstream layout is there."""
        return bool(self.parts) and not self.match.absent

    @property
    def missing(self) -> bool:
        """Whether nothing of the dataset is there, not even a spoilt archive."""
        return not self.parts and not self.unusable

    @property
    def containers(self) -> list[Container]:
        """The archives that hold the dataset, each once."""
        return list({id(part.container): part.container for part in self.parts}.values())

    def require_complete(self) -> None:
        """Raise a MedhashError that says what is wrong, unless everything is there."""
        if self.complete:
            return
        if self.unusable:
            raise MedhashError(f"dataset '{self.card.name}': {self.unusable[0]}")
        if self.missing:
            raise MedhashError(missing_text([self.missing_block(())], self.searched))
        absent = self.match.absent
        others = "" if len(absent) == 1 else f" (and {len(absent) - 1} more)"
        raise MedhashError(
            f"dataset '{self.card.name}': {self.parts[0].container.path} has no {absent[0]}"
            f"{others}{self.match.advice}; expected {', '.join(self.match.expected)}"
        )

    def missing_block(self, waiting: Sequence[str]) -> str:
        """What is missing: from where, how large, how by hand, who waits.

        Args:
            waiting: tables and figures that cannot be made without it.
        """
        card = self.card
        size = "unknown" if card.total_size is None else f"about {decimal(card.total_size)}"
        lines = [f"{card.name}: {card.title}"]
        lines += [f"  from     {source.page}" for source in card.sources]
        lines += [f"  size     {size}"] if card.sources else []
        lines += [f"  by hand  {card.by_hand}"]
        if self.parts or self.match.advice:
            absent = ", ".join(self.match.absent)
            lines += [f"  found    only a part; no {absent}{self.match.advice}"]
        lines += [f"  spoilt   {error}" for error in self.unusable]
        lines += [f"  waiting  {', '.join(waiting)}"] if waiting else []
        return "\n".join(lines)


def archive_folders(project: Path = Path()) -> list[Path]:
    """Where archives are looked for: ``data/archives``, then ``MEDHASH_ARCHIVES``.

    The variable may name several folders, separated as in ``PATH``.

    Raises:
        MedhashError: the variable names a folder that does not exist.
    """
    folders = [project / ARCHIVES_FOLDER]
    for text in filter(None, os.environ.get(ARCHIVES_VARIABLE, "").split(os.pathsep)):
        folder = Path(text).expanduser()
        if not folder.exists():
            raise MedhashError(f"{ARCHIVES_VARIABLE}: no such folder: {folder}")
        folders.append(folder)
    return folders


def missing_text(blocks: Sequence[str], folders: Sequence[Path]) -> str:
    """What is missing of several datasets, and where it was looked for."""
    where = ", ".join(str(folder) for folder in folders) or "no folder"
    return "\n\n".join([f"missing archives (looked in {where}):", *blocks])


def content_sha256(checksums: Mapping[str, str]) -> str:
    """One checksum for many files, the same for a zip file and for the unpacked folder.

    Args:
        checksums: path in the upstream layout -> SHA-256 of the file.
    """
    lines = (f"{digest}  {path}\n" for path, digest in sorted(checksums.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
