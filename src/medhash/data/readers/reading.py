"""What readers share: an image of an archive, tables, and layouts of files.

Readers open no image: they say where each one is, and what is known of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

from medhash.data.archives.containers import Container
from medhash.data.archives.finding import FoundArchives, FoundPart, Match
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard
from medhash.schema.validation import nearest, some_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

OfficialRole = Literal["", "query", "database", "validation"]


@dataclass(frozen=True)
class ImageFile:
    """One image of an archive.

    Attributes:
        image_id: its path in the upstream layout, or the upstream's own name; unique and stable,
            whatever the archive is called and wherever it lies.
        classes: one or several.
        container: the archive that holds it.
        file: its path in the archive.
        groups: what it has in common with other images; ``patient_id``, ``lesion_id``: every name
            ends in ``_id``. Empty texts where the upstream does not say.
        official_role: the upstream split: its test images are queries, its training and
            validation images the database; empty where there is none.
        attributes: what else is known of it (``cdr``, ``diagnosis``): columns of the index.
        mask: reads its mask, uint8 (H, W), the classes of pixels that the card counts up in
            ``mask_classes``; of any size, but of the whole image. None: the dataset has no masks.
        decode: makes an image of the file's bytes where Pillow cannot (raw pixels); a ValueError
            says why it is none. None: one of Pillow's formats.
    """

    image_id: str
    classes: tuple[str, ...]
    container: Container
    file: str
    groups: Mapping[str, str] = field(default_factory=dict)
    official_role: OfficialRole = ""
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    mask: Callable[[], NDArray[np.uint8]] | None = None
    decode: Callable[[bytes], Image.Image] | None = None

    def read(self) -> bytes:
        """The file's bytes."""
        return self.container.read(self.file)


@dataclass(frozen=True)
class Reading:
    """What a reader finds.

    Attributes:
        images: in the upstream's order.
        notes: what a person should know.
        tables: tables and lists read beside the images, file name -> SHA-256.
        classes: in the order of the label columns; filled in by
            :func:`medhash.data.upstream.read_archives`.
    """

    images: list[ImageFile]
    notes: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()


class DatasetReader(ABC):
    """One upstream layout."""

    @abstractmethod
    def match(self, card: DatasetCard, places: Sequence[Sequence[Container]]) -> Match:
        """Recognise the layout.

        Args:
            card: the dataset.
            places: the archives of each place that is searched, best place first.
        """

    @abstractmethod
    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """List the images.

        Args:
            card: the dataset.
            found: its archives, complete.

        Raises:
            MedhashError: a table of the upstream is damaged, or does not fit the images.
        """


class FileReader(DatasetReader):
    """A layout of named files and folders, in one archive or spread over several.

    Attributes:
        layout: name of a part -> pattern of its paths (``images_*/*.png``, ``labels.csv``; a
            ``*`` stays within one folder), below any number of outer folders; or several
            patterns, where the upstream is packed in several ways: the first that is there
            counts. Every part must be there, all in one place.
    """

    layout: ClassVar[Mapping[str, str | tuple[str, ...]]]

    def match(self, card: DatasetCard, places: Sequence[Sequence[Container]]) -> Match:
        """The place that has most of the parts; among equals the first."""
        matches = [self._match(containers) for containers in places]
        return min(matches, key=lambda match: len(match.absent), default=Match())

    def _match(self, containers: Sequence[Container]) -> Match:
        patterns = {name: (p,) if isinstance(p, str) else p for name, p in self.layout.items()}
        parts = {name: _first_parts(name, patterns[name], containers) for name in patterns}
        return Match(
            parts=tuple(part for found in parts.values() for part in found),
            absent=tuple(
                " or ".join(f"'{pattern}'" for pattern in patterns[name])
                for name, found in parts.items()
                if not found
            ),
            expected=tuple(" or ".join(choice) for choice in patterns.values()),
            neighbours=tuple(containers),
        )


def files_of(found: FoundArchives, part: str) -> dict[str, tuple[Container, str]]:
    """File name -> where it lies, of all files of a part.

    Raises:
        MedhashError: two files have one name.
    """
    files: dict[str, tuple[Container, str]] = {}
    for each in found.parts:
        for file in each.files if each.name == part else ():
            name = PurePosixPath(file).name
            if name in files:
                raise MedhashError(
                    f"{each.container.path}: '{file}' and '{files[name][1]}' "
                    f"({files[name][0].path}) are of one name; keep one of them"
                )
            files[name] = each.container, file
    return files


def file_of(
    files: Mapping[str, tuple[Container, str]], name: str, part: str
) -> tuple[Container, str]:
    """Where the file of a name lies, which a table mentions.

    Args:
        files: as :func:`files_of` gives them.
        name: the file's.
        part: what the files are, for the message.

    Raises:
        MedhashError: there is no such file.
    """
    if name not in files:
        raise MedhashError(
            f"{part}: there is no file '{name}'{nearest(name, files)}, which the upstream's table "
            "lists; get the archives again"
        )
    return files[name]


def read_table(
    found: FoundArchives, part: str, columns: Sequence[str]
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Read a CSV table of the upstream.

    Args:
        found: the archives.
        part: the part that is the table; one file.
        columns: those that it must have.

    Returns:
        Its lines as column -> text, and its name with the SHA-256 of its bytes.

    Raises:
        MedhashError: there are several such files, it is no CSV in UTF-8, or a column is missing.
    """
    own = [each for each in found.parts if each.name == part]
    tables = [(each.container, file) for each in own for file in each.files]
    if len(tables) != 1:
        raise MedhashError(
            f"dataset '{found.card.name}': there are several tables "
            f"({some_of(container.path / file for container, file in tables)}); keep one of them"
        )
    container, file = tables[0]
    content, where = container.read(file), container.path / file
    try:
        lines = list(csv.DictReader(io.StringIO(decoded(where, content), newline="")))
    except csv.Error as error:
        raise MedhashError(f"{where}: cannot be read as CSV ({error}); get it again") from None
    missing = [name for name in columns if not lines or lines[0].get(name) is None]
    if missing:
        raise MedhashError(f"{where}: has no column '{missing[0]}'; get it again")
    return lines, {PurePosixPath(file).name: hashlib.sha256(content).hexdigest()}


def decoded(where: object, content: bytes) -> str:
    """The text of a table or list; other encodings would give wrong names without a word.

    Raises:
        MedhashError: it is no text in UTF-8; ``where`` names it.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MedhashError(
            f"{where}: is no text in UTF-8 ({error.reason}); save it in UTF-8, or get it again"
        ) from None
    if "\0" in text:
        raise MedhashError(f"{where}: is no text in UTF-8 but perhaps in UTF-16; save it in UTF-8")
    return text


def with_known_classes(images: Iterable[ImageFile], known: Iterable[str]) -> list[ImageFile]:
    """Images without the classes that a card leaves out, and without those left with none.

    Where the card names no class, all are kept.
    """
    classes = set(known)
    kept = [
        replace(image, classes=tuple(name for name in image.classes if name in classes))
        for image in images
    ]
    return [image for image in kept if image.classes] if classes else list(images)


def _first_parts(
    name: str, patterns: Sequence[str], containers: Sequence[Container]
) -> list[FoundPart]:
    """Where a part lies, by the first of its patterns that finds anything."""
    found = (_parts(name, pattern, containers) for pattern in patterns)
    return next(filter(None, found), [])


def _parts(name: str, pattern: str, containers: Sequence[Container]) -> list[FoundPart]:
    wanted = PurePosixPath(pattern).parts
    parts = []
    for container in containers:
        files = [file for file in container.names if _fits(file, wanted)]
        if files:
            parts.append(FoundPart(name, container, "", tuple(sorted(files))))
    return parts


def _fits(file: str, wanted: tuple[str, ...]) -> bool:
    """Whether the last parts of a path fit patterns, each by itself."""
    parts = file.split("/")[-len(wanted) :]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
