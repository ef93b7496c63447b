"""Finding a dataset's archives by what they contain, never by how they are named.

An archive is a zip file or an unpacked folder. It holds a dataset where its paths have the
upstream layout: the class folders of the card, in the places where the upstream puts them,
below any number of outer folders.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rich.filesize import decimal

from medhash.data.archives.containers import (
    Container,
    UnusableArchiveError,
    is_image,
    open_containers,
)
from medhash.data.cards import DatasetCard, ReaderName
from medhash.errors import MedhashError

ARCHIVES_VARIABLE = "MEDHASH_ARCHIVES"
ARCHIVES_FOLDER = Path("data/archives")


@dataclass(frozen=True)
class Layout:
    """Where an upstream archive keeps a class: ``[part/]prefix+class[/inside]/image``."""

    parts: tuple[str, ...] = ("",)
    prefix: str = ""
    inside: str = ""
    one_archive_a_class: bool = False

    def slots(self, classes: Iterable[str]) -> list[Slot]:
        """Every folder of images that the layout promises for the classes."""
        return [
            Slot(part, self.prefix + name, name, self.inside)
            for part in self.parts
            for name in classes
        ]

    def locate(self, name: str) -> tuple[str, tuple[str, str]] | None:
        """Split an image's path into (outer folders, (part, class folder)), or None."""
        folders = list(PurePosixPath(name).parts[:-1])
        if self.inside and (not folders or folders.pop() != self.inside):
            return None
        if not folders:
            return None
        folder = folders.pop()
        part = ""
        if self.parts != ("",):
            if not folders or folders[-1] not in self.parts:
                return None
            part = folders.pop()
        return "/".join(folders), (part, folder)


LAYOUTS: Mapping[ReaderName, Layout] = {
    "covid_ct": Layout(prefix="CT_", one_archive_a_class=True),
    "brain_tumor_mri": Layout(parts=("Training", "Testing")),
    "covid_radiograph": Layout(inside="images"),
    "class_folders": Layout(),
}


@dataclass(frozen=True)
class Slot:
    """One folder of images that the upstream layout promises."""

    part: str
    folder: str
    image_class: str
    inside: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What :meth:`Layout.locate` finds for the slot's images."""
        return self.part, self.folder

    def __str__(self) -> str:
        return "/".join(text for text in (self.part, self.folder, self.inside) if text)


@dataclass(frozen=True)
class FoundFolder:
    """Where a slot's images lie."""

    slot: Slot
    container: Container
    root: str
    names: tuple[str, ...]


@dataclass
class FoundArchives:
    """What :func:`find_archives` found for one dataset."""

    card: DatasetCard
    searched: tuple[Path, ...]
    folders: list[FoundFolder] = field(default_factory=list)
    absent: list[Slot] = field(default_factory=list)
    neighbours: list[Container] = field(default_factory=list)
    unusable: list[UnusableArchiveError] = field(default_factory=list)
    other_folders: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every folder of the upstream layout is there."""
        return bool(self.folders) and not self.absent

    @property
    def missing(self) -> bool:
        """Whether nothing of the dataset is there, not even a spoilt archive."""
        return not self.folders and not self.unusable

    @property
    def containers(self) -> list[Container]:
        """The archives that hold the images, each once."""
        return list({id(folder.container): folder.container for folder in self.folders}.values())

    def require_complete(self) -> None:
        """Raise a MedhashError that says what is wrong, unless everything is there."""
        if self.complete:
            return
        if self.unusable:
            raise MedhashError(f"dataset '{self.card.name}': {self.unusable[0]}")
        if self.missing:
            raise MedhashError(missing_report({self.card.name: self.card}, self.searched, {}))
        absent = self.absent[0]
        others = "" if len(self.absent) == 1 else f" (and {len(self.absent) - 1} more)"
        raise MedhashError(
            f"dataset '{self.card.name}': {self.folders[0].container.path} has no folder "
            f"'{absent}' with images{others}{self._nearest_to(absent)}; "
            f"expected {', '.join(str(slot) for slot in self._slots())}"
        )

    def _slots(self) -> list[Slot]:
        return sorted([*self.absent, *(found.slot for found in self.folders)], key=str)

    def _nearest_to(self, absent: Slot) -> str:
        nearest = difflib.get_close_matches(str(absent), self.other_folders, n=1, cutoff=0.6)
        return f"; there is a folder '{nearest[0]}': rename it" if nearest else ""


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


def find_archives(card: DatasetCard, folders: Sequence[Path]) -> FoundArchives:
    """Look for a dataset's archives by content.

    Args:
        card: the dataset.
        folders: where to look, best first; a card with a ``path`` is looked for there alone.

    Returns:
        What was found, complete or not: see :meth:`FoundArchives.require_complete`. Nothing is
        unpacked, no image is read.
    """
    return _match(card, _places(card, folders), {})


def missing_report(
    cards: Mapping[str, DatasetCard],
    folders: Sequence[Path],
    tables_waiting: Mapping[str, Sequence[str]],
) -> str:
    """Say which archives are missing: from where, how large, how by hand, who waits.

    Args:
        cards: the datasets that a run needs; synthetic ones need nothing.
        folders: where archives are looked for.
        tables_waiting: dataset name -> tables and figures that cannot be made without it.

    Returns:
        The report, or an empty text where every archive is there.
    """
    opened: Opened = {}
    blocks = []
    for name, card in cards.items():
        if card.synthetic:
            continue
        found = _match(card, _places(card, folders), opened)
        if not found.complete:
            blocks.append(_missing_block(found, tables_waiting.get(name, ())))
    if not blocks:
        return ""
    where = ", ".join(str(folder) for folder in folders) or "no folder"
    return "\n\n".join([f"missing archives (looked in {where}):", *blocks])


def content_sha256(checksums: Mapping[str, str]) -> str:
    """One checksum for many files, the same for a zip file and for the unpacked folder.

    Args:
        checksums: path in the upstream layout -> SHA-256 of the file.
    """
    lines = (f"{digest}  {path}\n" for path, digest in sorted(checksums.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _places(card: DatasetCard, folders: Sequence[Path]) -> tuple[Path, ...]:
    if card.path is not None:
        if not card.path.exists():
            raise MedhashError(f"dataset '{card.name}': path {card.path} does not exist")
        return (card.path,)
    # Without a path, a folder of one's own would match any archive that lies around.
    return () if not card.sources else tuple(folders)


Images = dict[tuple[str, str], list[str]]
Opened = dict[Path, list[Container | UnusableArchiveError]]


@dataclass
class _Candidate:
    """The images of one container below one root, by (part, class folder)."""

    container: Container
    root: str
    images: Images
    neighbours: list[Container]


def _match(card: DatasetCard, places: tuple[Path, ...], opened: Opened) -> FoundArchives:
    """Match a card with what lies in the places; ``opened`` remembers what was opened before."""
    found = FoundArchives(card, places)
    candidates: list[_Candidate] = []
    for place in places:
        if place not in opened:
            opened[place] = list(open_containers(place))
        contents = opened[place]
        found.unusable += [item for item in contents if isinstance(item, UnusableArchiveError)]
        containers = [item for item in contents if not isinstance(item, UnusableArchiveError)]
        for container in containers:
            candidates += _candidates(card, container, containers)
    if card.classes:
        slots = LAYOUTS[card.reader].slots(card.classes)
        _choose(found, slots, candidates, LAYOUTS[card.reader].one_archive_a_class)
    else:
        _choose_own(found, candidates)
    return found


def _candidates(
    card: DatasetCard, container: Container, neighbours: list[Container]
) -> list[_Candidate]:
    """Group a container's images by the outer folders that the layout is found below."""
    layout = LAYOUTS[card.reader]
    roots: dict[str, Images] = defaultdict(lambda: defaultdict(list))
    for name in container.names:
        place = layout.locate(name) if is_image(name) else None
        if place:
            roots[place[0]][place[1]].append(name)
    return [_Candidate(container, root, dict(images), neighbours) for root, images in roots.items()]


def _choose(
    found: FoundArchives, slots: list[Slot], candidates: list[_Candidate], spread: bool
) -> None:
    """Take each slot from the candidate that has most of them; half of them at the least."""
    keys = {slot.key for slot in slots}
    expected = [item for item in candidates if keys & item.images.keys()]
    # Sorting is stable: among equals, the folder that is searched first wins.
    expected.sort(key=lambda item: _size(item, keys), reverse=True)
    least = 1 if spread else (len(slots) + 1) // 2
    usable = [item for item in expected if len(keys & item.images.keys()) >= least]
    chosen = usable if spread else usable[:1]
    for slot in slots:
        holder = next((item for item in chosen if slot.key in item.images), None)
        if holder is None:
            found.absent.append(slot)
            continue
        names = tuple(sorted(holder.images[slot.key]))
        found.folders.append(FoundFolder(slot, holder.container, holder.root, names))
        found.neighbours = holder.neighbours
    found.other_folders = sorted(
        str(Slot(part, folder, "", slots[0].inside))
        for item in (candidates if spread else chosen)
        for part, folder in item.images.keys() - keys
    )


def _size(candidate: _Candidate, keys: set[tuple[str, str]]) -> tuple[int, int]:
    """How many of the wanted folders a candidate has, and how many images in them."""
    held = keys & candidate.images.keys()
    return len(held), sum(len(candidate.images[key]) for key in held)


def _choose_own(found: FoundArchives, candidates: list[_Candidate]) -> None:
    """A folder of one's own: its classes are the folders that are there."""
    if not candidates:
        return
    first, *others = sorted(candidates, key=lambda item: item.root)
    if others:
        raise MedhashError(
            f"dataset '{found.card.name}': {first.container.path} must hold one folder of images "
            f"a class, side by side; there are class folders in '{first.root or '.'}' and in "
            f"'{others[0].root or '.'}'"
        )
    for (part, folder), names in sorted(first.images.items()):
        slot = Slot(part, folder, folder)
        found.folders.append(FoundFolder(slot, first.container, first.root, tuple(sorted(names))))
    found.neighbours = first.neighbours


def _missing_block(found: FoundArchives, waiting: Sequence[str]) -> str:
    card = found.card
    size = "unknown" if card.total_size is None else f"about {decimal(card.total_size)}"
    lines = [f"{card.name}: {card.title}"]
    lines += [f"  from     {source.page}" for source in card.sources]
    lines += [f"  size     {size}"] if card.sources else []
    lines += [f"  by hand  {card.by_hand}"]
    if found.folders:
        lines += [f"  found    only a part; no folder {', '.join(map(str, found.absent))}"]
    lines += [f"  spoilt   {error}" for error in found.unusable]
    lines += [f"  waiting  {', '.join(waiting)}"] if waiting else []
    return "\n".join(lines)
