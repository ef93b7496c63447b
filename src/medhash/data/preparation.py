"""From archives to ``data/<dataset>/<size>/``: decode, look at, shrink and index every image.

What the papers leave open is decided here, the same for every dataset: an image is squeezed to
a square as a whole (no crop, no padding) with an antialiased bicubic filter; transparency is
laid over black; more than 8 bits are stretched from the image's own least to greatest value.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagehash
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medhash.data.archives.containers import MEGABYTE
from medhash.data.archives.finding import FoundArchives
from medhash.data.array_files import new_array, write_array
from medhash.data.prepared_files import FILES, INDEX_COLUMNS, MASKS
from medhash.data.readers.reading import ImageFile, Reading
from medhash.data.upstream import archive_checksums, find_archives, read_archives
from medhash.errors import MedhashError
from medhash.files import usable_cores, write_json, written_whole
from medhash.progress import progress, say
from medhash.schema.datasets import DatasetCard

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

# The formats that image archives use; Pillow's other decoders stay out of reach of their bytes.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000
# Its own limit would warn of sizes that ours allows.
Image.MAX_IMAGE_PIXELS = None
BYTES_A_PIXEL = 16
"""Of the decoded image and what it is turned into: RGBA, the same over black, RGB; or floats."""


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of one image.

    Attributes:
        sha256: of the file's bytes.
        pixel_sha256: of the decoded RGB pixels (uint8, rows first) at the original size.
        perceptual_hash: 64-bit DCT hash of the original image, 16 hexadecimal digits.
        width: of the original, in pixels.
        height: of the original, in pixels.
        mode: Pillow's mode of the original.
    """

    sha256: str
    pixel_sha256: str
    perceptual_hash: str
    width: int
    height: int
    mode: str


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Prepare the dataset of a step."""
    prepare(
        configuration.card(step.values[0]),
        configuration.archive_folders,
        step.outputs["images"].parent,
        step.settings["image_size"],
        download_folder=configuration.archives if configuration.download else None,
        memory_mb=step.kind.resources.memory_mb,
    )


def prepare(
    card: DatasetCard,
    archives_folders: Sequence[Path],
    output_folder: Path,
    image_size: int,
    *,
    download_folder: Path | None = None,
    memory_mb: int = 4000,
) -> None:
    """Write ``images.npy``, ``labels.npy``, ``index.csv`` and ``dataset.json``, or nothing.

    Where the card names classes of pixels, ``masks.npy`` too: uint8 (N, S, S), squeezed as the
    images are, to the nearest pixel. The same archives give the same bytes. Differences between
    the archives and the card are printed and recorded.

    Args:
        card: the dataset.
        archives_folders: where its archives are looked for, best first.
        output_folder: ``data/<dataset>/<size>``; replaced if it exists.
        image_size: S, the side of the square images, in pixels.
        download_folder: where to download missing archives to; None to download nothing.
        memory_mb: what the job may use; half of it may be taken by images that are being decoded.

    Raises:
        MedhashError: archives are missing, spoilt or not in the upstream layout, or an image
            cannot be read. Nothing is left behind.
    """
    found = _find_or_download(card, archives_folders, download_folder)
    reading = read_archives(card, found)
    with written_whole(output_folder) as folder:
        folder.mkdir(parents=True)
        rows = _write_images(folder, card.name, reading, image_size, memory_mb)
        if card.mask_classes:
            _write_masks(folder, card, rows, image_size)
        _write_labels(folder, reading)
        _write_index(folder, rows)
        description = _describe(card, found, reading, rows, image_size)
        write_json(folder / FILES["description"], description)
    for text in [*description["differences"], *reading.notes]:
        say(f"{card.name}: {text}")


def prepare_image(
    content: bytes,
    image_size: int,
    decode: Callable[[bytes], Image.Image] | None = None,
) -> tuple[np.ndarray, ImageFacts]:
    """Decode one image, shrink it, and note what is recorded of it.

    Args:
        content: the bytes of a BMP, GIF, JPEG, PNG, TIFF or WebP file; of several frames the
            first is taken.
        image_size: S, the side of the square that it is squeezed to.
        decode: makes an image of other bytes (raw pixels).

    Returns:
        The pixels, uint8 (S, S, 3), and the facts.

    Raises:
        ValueError: it cannot be decoded, or has more than ``MAX_PIXELS`` pixels.
    """
    try:
        image = (decode or _decode)(content)
        rgb = _to_rgb(image)
    except ValueError:
        raise
    except Exception as error:
        # Decoders, those of eXIf among them, meet damaged bytes with errors of all kinds.
        raise ValueError(str(error) or type(error).__name__) from None
    small = rgb.resize((image_size, image_size), Image.Resampling.BICUBIC)
    facts = ImageFacts(
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=hashlib.sha256(rgb.tobytes()).hexdigest(),
        perceptual_hash=str(imagehash.phash(rgb)),
        width=rgb.width,
        height=rgb.height,
        mode=image.mode,
    )
    return np.asarray(small), facts


def _decode(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} is more than {MAX_PIXELS} pixels")
        image.load()
    except UnidentifiedImageError:
        raise ValueError(f"it is no image in one of the formats {', '.join(FORMATS)}") from None
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_stretched(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    """Any numbers (H, W) -> uint8 from their least to their greatest; a flat image is black."""
    values = values.astype(np.float64)
    least, greatest = values.min(), values.max()
    if not (np.isfinite(least) and np.isfinite(greatest)):
        raise ValueError("it holds numbers that are not finite")
    span = greatest - least
    if span == 0:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - least) / span * 255).astype(np.uint8)


def _find_or_download(
    card: DatasetCard, archives_folders: Sequence[Path], download_folder: Path | None
) -> FoundArchives:
    found = find_archives(card, archives_folders)
    if found.missing and card.sources and download_folder is not None:
        # Imported here: whoever has the archives needs no network code.
        from medhash.data.archives.sources import download

        download(card, download_folder)
        found = find_archives(card, [download_folder])
    found.require_complete()
    return found


Row = tuple[ImageFile, ImageFacts]


def _write_images(
    folder: Path, title: str, reading: Reading, image_size: int, memory_mb: int
) -> list[Row]:
    """Fill ``images.npy`` image by image; return what the index needs."""
    shape = (len(reading.images), image_size, image_size, 3)
    array = new_array(folder / FILES["images"], shape)
    rows: list[Row] = []
    with progress(f"prepare {title}", len(reading.images)) as advance:
        for image, pixels, facts in _decoded(reading.images, image_size, memory_mb * MEGABYTE // 2):
            array[len(rows)] = pixels
            rows.append((image, facts))
            advance(1)
    array.flush()
    return rows


def _decoded(
    images: list[ImageFile], image_size: int, memory: int
) -> Iterator[tuple[ImageFile, np.ndarray, ImageFacts]]:
    """Decode in threads (Pillow and hashlib release the lock), a few images ahead, in order.

    As many at once as go into the memory, in bytes; one that is too large goes alone.
    """
    workers = usable_cores()
    waiting: deque[tuple[ImageFile, Future[tuple[np.ndarray, ImageFacts]]]] = deque()
    taken: deque[int] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for image in images:
                content = image.read()
                needed = _memory_of(content)
                while taken and (sum(taken) + needed > memory or len(taken) > 2 * workers):
                    yield _finished(*waiting.popleft())
                    taken.popleft()
                task = pool.submit(prepare_image, content, image_size, image.decode)
                waiting.append((image, task))
                taken.append(needed)
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _memory_of(content: bytes) -> int:
    """About how many bytes an image takes while it is decoded, by the size that it claims."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = image.width * image.height
    except Exception:
        return len(content)  # decoding says what is wrong
    return len(content) + (BYTES_A_PIXEL * pixels if pixels <= MAX_PIXELS else 0)


def _finished(
    image: ImageFile, future: Future[tuple[np.ndarray, ImageFacts]]
) -> tuple[ImageFile, np.ndarray, ImageFacts]:
    try:
        return image, *future.result()
    except ValueError as error:
        raise MedhashError(
            f"image '{image.file}' cannot be read: {error}; get the archive again, or repair or "
            "remove the image"
        ) from None


def _write_masks(folder: Path, card: DatasetCard, rows: list[Row], image_size: int) -> None:
    """Fill ``masks.npy`` mask by mask."""
    shape = (len(rows), image_size, image_size)
    array = new_array(folder / MASKS, shape)
    for row, (image, facts) in enumerate(rows):
        try:
            array[row] = _squeezed_mask(image, facts, len(card.mask_classes), image_size)
        except (ValueError, OSError) as error:
            raise MedhashError(
                f"the mask of image '{image.file}' cannot be used: {error}; get the archive again, "
                "or repair the mask"
            ) from None
    array.flush()


def _squeezed_mask(
    image: ImageFile, facts: ImageFacts, classes: int, image_size: int
) -> np.ndarray:
    """A mask (S, S), squeezed as its image is; ValueError where it does not fit the image."""
    mask = image.mask() if image.mask else None
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8 or not mask.size:
        raise ValueError("it is no array of whole numbers (uint8) with rows and columns")
    height, width = mask.shape
    # Of the whole image, at any resolution: its sides are in proportion, but for a pixel.
    if abs(width * facts.height - height * facts.width) > max(facts.width, facts.height):
        raise ValueError(
            f"its {width}x{height} pixels are not in the proportions of the image's "
            f"{facts.width}x{facts.height}"
        )
    if mask.max() >= classes:
        raise ValueError(f"it holds {mask.max()}, but the card's mask_classes end at {classes - 1}")
    small = Image.fromarray(mask).resize((image_size, image_size), Image.Resampling.NEAREST)
    return np.asarray(small)


def _write_labels(folder: Path, reading: Reading) -> None:
    """``labels.npy``, uint8 (N, C), 1 where the image belongs to the class."""
    column = {name: index for index, name in enumerate(reading.classes)}
    labels = np.zeros((len(reading.images), len(column)), np.uint8)
    for row, image in enumerate(reading.images):
        labels[row, [column[name] for name in image.classes]] = 1
    write_array(folder / FILES["labels"], labels)


def _write_index(folder: Path, rows: list[Row]) -> None:
    """``index.csv``: what every index has, then the reader's further groups and attributes."""
    own = dict.fromkeys(name for image, _ in rows for name in (*image.groups, *image.attributes))
    columns = [*INDEX_COLUMNS, *(name for name in own if name not in INDEX_COLUMNS)]
    with (folder / FILES["index"]).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for image, facts in rows:
            values = {**vars(facts), **image.groups, **image.attributes}
            values |= {name: getattr(image, name) for name in ("image_id", "file", "official_role")}
            values["classes"] = "|".join(image.classes)
            writer.writerow([values.get(column, "") for column in columns])


def _describe(
    card: DatasetCard, found: FoundArchives, reading: Reading, rows: list[Row], image_size: int
) -> dict[str, Any]:
    counts = Counter(name for image in reading.images for name in image.classes)
    archives = _archives(card, found, reading, rows)
    return {
        "dataset": card.name,
        "title": card.title,
        "classes": list(reading.classes),
        "counts": {name: counts[name] for name in reading.classes},
        "image_size": image_size,
        "card_counts": dict(card.classes),
        "reported_counts": dict(card.reported_counts),
        "differences": [
            *_count_differences(card, counts, len(rows)),
            *_unknown_copies(card, archives),
        ],
        "notes": [*card.notes, *reading.notes],
        "archives": archives,
        "synthetic": False,
        "licence": card.licence,
        "reference": card.reference,
        **card.facts_of_kinds,
    }


def _archives(
    card: DatasetCard, found: FoundArchives, reading: Reading, rows: list[Row]
) -> list[dict[str, str]]:
    """Name and checksum of each archive; of an unpacked folder, its images' common checksum."""
    source = card.sources[0].page if card.sources else ""
    sha256 = {image.image_id: facts.sha256 for image, facts in rows}
    checksums = archive_checksums(found, reading, lambda image: sha256[image.image_id])
    return [
        {"file": name, "sha256": checksum, "source": source}
        for name, checksum in sorted(checksums.items())
    ]


def _count_differences(card: DatasetCard, counts: Counter[str], images: int) -> list[str]:
    differences = [
        f"class {name}: {counts[name]} images in the archive, {expected} on the card"
        for name, expected in card.classes.items()
        if counts[name] != expected
    ]
    if card.images not in (None, images):
        differences.append(f"{images} images, {card.images} on the card")
    return differences


def _unknown_copies(card: DatasetCard, archives: list[dict[str, str]]) -> list[str]:
    """Say which archives the card does not know, where it knows any of that source."""
    if not card.known_checksums:
        return []
    return [
        f"{archive['file']} is not a copy that the card knows (sha256 {archive['sha256']})"
        for archive in archives
        if archive["sha256"] not in card.known_checksums
    ]
