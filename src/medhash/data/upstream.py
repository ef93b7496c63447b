"""A dataset's archives: found, reported missing, and read by the reader that its card names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medhash.data import readers
from medhash.data.archives.containers import Container, UnusableArchiveError, open_containers
from medhash.data.archives.finding import FoundArchives, content_sha256, missing_text
from medhash.data.prepared_files import GROUP_ENDING, INDEX_COLUMNS
from medhash.data.readers.reading import ImageFile, Reading
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard, Selection
from medhash.schema.validation import nearest, some_of

# Control characters, and bytes of a name that are no UTF-8.
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_Opened = dict[Path, list[Container | UnusableArchiveError]]


def find_archives(
    card: DatasetCard, folders: Sequence[Path], opened: _Opened | None = None
) -> FoundArchives:
    """Look for a dataset's archives by content.

    Args:
        card: the dataset.
        folders: where to look, best first; a card with a ``path`` is looked for there alone.
        opened: remembers what is opened, where several datasets are looked for.

    Returns:
        What was found, complete or not: see :meth:`FoundArchives.require_complete`. Nothing is
        unpacked, no image is read.
    """
    opened = {} if opened is None else opened
    places = _places(card, folders)
    for place in places:
        if place not in opened:
            opened[place] = list(open_containers(place))
    found = [item for place in places for item in opened[place]]
    unusable = tuple(item for item in found if isinstance(item, UnusableArchiveError))
    usable = [
        [item for item in opened[place] if not isinstance(item, UnusableArchiveError)]
        for place in places
    ]
    match = readers.reader_of(card.reader).match(card, usable)
    return FoundArchives(card, places, match, unusable)


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
    opened: _Opened = {}
    found = {n: find_archives(c, folders, opened) for n, c in cards.items() if not c.synthetic}
    blocks = [
        each.missing_block(tables_waiting.get(name, ()))
        for name, each in found.items()
        if not each.complete
    ]
    return missing_text(blocks, folders) if blocks else ""


def read_archives(card: DatasetCard, found: FoundArchives) -> Reading:
    """List a dataset's images: those that its card selects, where it selects.

    Args:
        card: the dataset.
        found: its archives, complete.

    Returns:
        The images in the order of their ids. Classes come in the card's order, or sorted by
        name where the card lists none.

    Raises:
        MedhashError: a part of the layout is missing, a table of the upstream is damaged, or
            what the reader says of an image contradicts the card.
    """
    found.require_complete()
    reading = _read(card, found)
    _check(card, reading.images)
    images, notes = reading.images, list(reading.notes)
    if card.selection is not None:
        images = _selected(images, card.selection, notes)
    classes = tuple(card.classes) or tuple(sorted({c for image in images for c in image.classes}))
    images = sorted(images, key=lambda image: image.image_id)
    return replace(reading, images=images, notes=notes, classes=classes)


def archive_checksums(
    found: FoundArchives,
    reading: Reading,
    sha256_of: Callable[[ImageFile], str],
    sha256_of_archive: Callable[[Container], str | None] = lambda container: container.sha256(),
) -> dict[str, str]:
    """Name and SHA-256 of each archive and table; of an unpacked folder, its images' common one.

    Args:
        found: the archives.
        reading: what was read from them.
        sha256_of: of an image's bytes.
        sha256_of_archive: of an archive's own file, None for a folder.
    """
    checksums: dict[str, str] = {}
    for container in found.containers:
        checksum = sha256_of_archive(container)
        own = [image for image in reading.images if image.container is container]
        if checksum is None and own:
            checksum = content_sha256({image.image_id: sha256_of(image) for image in own})
        if checksum is not None:
            checksums[container.path.name] = checksum
    return checksums | reading.tables


def _places(card: DatasetCard, folders: Sequence[Path]) -> tuple[Path, ...]:
    if card.path is not None:
        if not card.path.exists():
            raise MedhashError(f"dataset '{card.name}': path {card.path} does not exist")
        return (card.path,)
    # Without a path, a folder of one's own would match any archive that lies around.
    return () if not card.sources else tuple(folders)


def _read(card: DatasetCard, found: FoundArchives) -> Reading:
    try:
        return readers.reader_of(card.reader).read(card, found)
    except MedhashError:
        raise
    except Exception as error:
        # A reader parses what others wrote, and may be anybody's.
        places = ", ".join(str(container.path) for container in found.containers)
        raise MedhashError(
            f"dataset '{card.name}': {places}: not as the reader '{card.reader}' expects it "
            f"({error!r}); get the archives again"
        ) from None


def _check(card: DatasetCard, images: Sequence[ImageFile]) -> None:
    """Refuse what cannot be written down, naming the image."""
    where = f"dataset '{card.name}', reader '{card.reader}'"
    if not images:
        raise MedhashError(f"{where}: finds no image of the card's classes")
    twice = [name for name, count in Counter(i.image_id for i in images).items() if count > 1]
    if twice:
        raise MedhashError(f"{where}: lists more than once: {some_of(twice)}")
    for image in images:
        _check_image(card, image, where)
    wrong = [image.image_id for image in images if (image.mask is None) == bool(card.mask_classes)]
    if wrong:
        found = "no masks" if card.mask_classes else "masks"
        raise MedhashError(
            f"{where}: gives {found} of {some_of(wrong)}; the card's key mask_classes says what "
            "the masks of all images show, and is left out where there are none"
        )


def _check_image(card: DatasetCard, image: ImageFile, where: str) -> None:
    for name in (image.image_id, image.file):
        if _NO_TEXT.search(name):
            raise MedhashError(
                f"{where}: {image.container.path}: the name {name!a} is no text in UTF-8; "
                "rename the file"
            )
    known = card.classes or image.classes
    for name in image.classes:
        if "|" in name:
            raise MedhashError(
                f"{where}: {image.container.path}: the class '{name}' has a '|' in its name, which "
                "divides classes in index.csv; rename it"
            )
        if name not in known:
            raise MedhashError(
                f"{where}: image '{image.image_id}' is of the class '{name}', which the card does "
                f"not list{nearest(name, known)}"
            )
    if not image.classes or len({*image.classes}) < len(image.classes):
        raise MedhashError(
            f"{where}: image '{image.image_id}' has the classes {image.classes}; each image needs "
            "one at least, none twice"
        )
    wrong = [name for name in image.groups if not name.endswith(GROUP_ENDING)]
    wrong += [name for name in image.attributes if name.endswith(GROUP_ENDING)]
    wrong += [name for name in image.attributes if name in INDEX_COLUMNS]
    if wrong:
        raise MedhashError(
            f"{where}: '{wrong[0]}' cannot be a column: groups end in '{GROUP_ENDING}', "
            "attributes do not, and none is called as a column that every index has"
        )


def _selected(
    images: Sequence[ImageFile], selection: Selection, notes: list[str]
) -> list[ImageFile]:
    """Class by class, the rarest first, the first images that no class before has taken."""
    counts = Counter(name for image in images for name in image.classes)
    queue = list(images)
    if selection.order == "ranked":
        queue.sort(key=lambda image: _rank(selection.seed, image.image_id))
    taken: dict[str, ImageFile] = {}
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        free = [i for i in queue if name in i.classes and i.image_id not in taken]
        taken |= {image.image_id: image for image in free[: selection.images]}
        if len(free) < selection.images:
            notes.append(f"class {name}: {len(free)} images to select, not {selection.images}")
    notes.append(
        f"{len(taken)} of {len(images)} images selected: {selection.images} a class, the rarest "
        f"class first, in the order '{selection.order}'"
    )
    return list(taken.values())


def _rank(seed: int, image_id: str) -> str:
    return hashlib.sha256(f"{seed}/selection/{image_id}".encode()).hexdigest()
