"""Folders of images, one a class: the layout of most datasets, and of one's own images."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from medhash.data.archives.containers import Container, is_image
from medhash.data.archives.finding import FoundArchives, FoundPart, Match
from medhash.data.readers.reading import DatasetReader, ImageFile, Reading
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard


class Reader(DatasetReader):
    """``[part/]prefix+class[/inside]/image``, below any number of outer folders.

    Attributes:
        parts: folders that divide the dataset; an empty name: none does.
        prefix: of every class folder's name.
        inside: a folder in every class folder, which holds the images.
        one_archive_a_class: whether the upstream packs each class by itself.
    """

    parts: ClassVar[tuple[str, ...]] = ("",)
    prefix: ClassVar[str] = ""
    inside: ClassVar[str] = ""
    one_archive_a_class: ClassVar[bool] = False

    def match(self, card: DatasetCard, places: Sequence[Sequence[Container]]) -> Match:
        """The class folders of the card, or those that are there where the card names none."""
        candidates = [
            candidate
            for containers in places
            for container in containers
            for candidate in self._candidates(container, tuple(containers))
        ]
        if card.classes:
            return self._choose(self._slots(card.classes), candidates)
        return _choose_own(card, candidates)

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """Every image under the class of its folder, by the order of its path."""
        classes = {str(slot): slot.image_class for slot in self._slots(card.classes)}
        images = [
            ImageFile(
                image_id=str(PurePosixPath(file).relative_to(part.root)),
                classes=(classes.get(part.name, part.name),),
                container=part.container,
                file=file,
            )
            for part in found.parts
            for file in part.files
        ]
        return Reading(sorted(images, key=lambda image: image.image_id), _stray_images(found))

    def _slots(self, classes: Iterable[str]) -> list[_Slot]:
        """Every folder of images that the layout promises for the classes."""
        return [
            _Slot(part, self.prefix + name, name, self.inside)
            for part in self.parts
            for name in classes
        ]

    def _locate(self, name: str) -> tuple[str, _Key] | None:
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

    def _candidates(
        self, container: Container, neighbours: tuple[Container, ...]
    ) -> list[_Candidate]:
        """Group a container's images by the outer folders that the layout is found below."""
        roots: dict[str, dict[_Key, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name in container.names:
            place = self._locate(name) if is_image(name) else None
            if place:
                roots[place[0]][place[1]].append(name)
        return [
            _Candidate(container, root, dict(images), neighbours) for root, images in roots.items()
        ]

    def _choose(self, slots: list[_Slot], candidates: list[_Candidate]) -> Match:
        """Take each slot from the candidate that has most of them; half of them at the least."""
        keys = {slot.key for slot in slots}
        expected = [item for item in candidates if keys & item.images.keys()]
        # Sorting is stable: among equals, the folder that is searched first wins.
        expected.sort(key=lambda item: item.size(keys), reverse=True)
        spread = self.one_archive_a_class
        least = 1 if spread else (len(slots) + 1) // 2
        usable = [item for item in expected if len(keys & item.images.keys()) >= least]
        chosen = usable if spread else usable[:1]
        holders = {
            slot: next(item for item in chosen if slot.key in item.images)
            for slot in slots
            if any(slot.key in item.images for item in chosen)
        }
        absent = [str(slot) for slot in slots if slot not in holders]
        others = sorted(
            str(_Slot(part, folder, "", self.inside))
            for item in (candidates if spread else chosen)
            for part, folder in item.images.keys() - keys
        )
        return Match(
            parts=tuple(item.part(slot) for slot, item in holders.items()),
            absent=tuple(f"folder '{name}' with images" for name in absent),
            expected=tuple(sorted(map(str, slots))),
            neighbours=[*holders.values()][-1].neighbours if holders else (),
            advice=_nearest_to(absent[0], others) if absent else "",
        )


_Key = tuple[str, str]


@dataclass(frozen=True)
class _Slot:
    """One folder of images that the layout promises."""

    part: str
    folder: str
    image_class: str
    inside: str = ""

    @property
    def key(self) -> _Key:
        """What :meth:`Reader._locate` finds for the slot's images."""
        return self.part, self.folder

    def __str__(self) -> str:
        return "/".join(text for text in (self.part, self.folder, self.inside) if text)


@dataclass
class _Candidate:
    """The images of one container below one root, by (part, class folder)."""

    container: Container
    root: str
    images: dict[_Key, list[str]]
    neighbours: tuple[Container, ...]

    def size(self, keys: set[_Key]) -> tuple[int, int]:
        """How many of the wanted folders it has, and how many images in them."""
        held = keys & self.images.keys()
        return len(held), sum(len(self.images[key]) for key in held)

    def part(self, slot: _Slot) -> FoundPart:
        """The images of a slot."""
        files = tuple(sorted(self.images[slot.key]))
        return FoundPart(str(slot), self.container, self.root, files)


def _choose_own(card: DatasetCard, candidates: list[_Candidate]) -> Match:
    """A folder of one's own: its classes are the folders that are there."""
    if not candidates:
        return Match()
    first, *others = sorted(candidates, key=lambda item: item.root)
    if others:
        raise MedhashError(
            f"dataset '{card.name}': {first.container.path} must hold one folder of images "
            f"a class, side by side; there are class folders in '{first.root or '.'}' and in "
            f"'{others[0].root or '.'}'"
        )
    slots = [_Slot(part, folder, folder) for part, folder in sorted(first.images)]
    return Match(
        parts=tuple(first.part(slot) for slot in slots),
        expected=tuple(map(str, slots)),
        neighbours=first.neighbours,
    )


def _nearest_to(absent: str, folders: list[str]) -> str:
    nearest = difflib.get_close_matches(absent, folders, n=1, cutoff=0.6)
    return f"; there is a folder '{nearest[0]}': rename it" if nearest else ""


def _stray_images(found: FoundArchives) -> list[str]:
    """Say how many images of the archives lie outside the class folders."""
    notes = []
    for container in found.containers:
        parts = [part for part in found.parts if part.container is container]
        roots = {f"{part.root}/" if part.root else "" for part in parts}
        inside = [
            name
            for name in container.names
            if is_image(name) and any(name.startswith(root) for root in roots)
        ]
        stray = len(inside) - sum(len(part.files) for part in parts)
        if stray:
            notes.append(f"{stray} images outside the class folders were not used")
    return notes
