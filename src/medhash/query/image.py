"""The image that a database is asked about: a file of anybody's, or an image of the dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.data.archives.containers import FolderContainer
from medhash.data.preparation import prepare_image
from medhash.errors import MedhashError
from medhash.schema.validation import check_name, nearest

ClassSource = Literal["", "dataset", "command line"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared dataset, to look images up in and to show them.

    Attributes:
        title: as its card prints it.
        synthetic: whether its images are phantoms.
        classes: names of the C classes.
        images: uint8 (N, S, S, 3), memory-mapped.
        labels: uint8 0/1 (N, C).
        image_ids: N names.
        pixel_hashes: N SHA-256 sums of the RGB pixels at the original size.
        patients: N patient ids, empty where the upstream names none.
    """

    title: str
    synthetic: bool
    classes: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    image_ids: tuple[str, ...]
    pixel_hashes: tuple[str, ...]
    patients: tuple[str, ...]

    def classes_of(self, row: int) -> tuple[str, ...]:
        """Names of an image's classes."""
        return tuple(self.classes[column] for column in np.flatnonzero(self.labels[row]))


@dataclass(frozen=True, eq=False)
class QueryImage:
    """One image to ask about.

    Attributes:
        name: what the user called it.
        pixels: uint8 (S, S, 3), squeezed to the network's size.
        rows: rows of the dataset whose original pixels are the same, itself first.
        classes: its classes, empty where they are not known.
        class_source: who says so.
    """

    name: str
    pixels: NDArray[np.uint8]
    rows: tuple[int, ...]
    classes: tuple[str, ...] = ()
    class_source: ClassSource = ""


def load_dataset(folder: Path) -> Dataset:
    """Open what ``medhash prepare`` wrote.

    Raises:
        MedhashError: its files do not have the same number of images.
    """
    facts = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    columns = ["image_id", "pixel_sha256", "patient_id"]
    index = pd.read_csv(folder / "index.csv", dtype=str, usecols=columns, keep_default_na=False)
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    if not len(images) == len(labels) == len(index):
        raise MedhashError(
            f"{folder}: images.npy, labels.npy and index.csv hold {len(images)}, {len(labels)} and "
            f"{len(index)} images; prepare the dataset again"
        )
    return Dataset(
        facts["title"],
        facts["synthetic"],
        tuple(facts["classes"]),
        images,
        labels,
        *(tuple(index[column]) for column in columns),
    )


def image_of_file(path: Path, dataset: Dataset) -> QueryImage:
    """Read an image as ``medhash prepare`` reads those of archives.

    The dataset is searched for the same pixels, whatever the file is called; if it has them, the
    image's class is known.

    Args:
        path: a BMP, GIF, JPEG, PNG, TIFF or WebP file of any size, also of 16 bits.
        dataset: that of the cell.

    Raises:
        MedhashError: there is no such file, or it cannot be decoded.
    """
    if not path.is_file():
        raise MedhashError(
            f"{path}: no such image file (an image of the dataset is named with --image-id)"
        )
    content = FolderContainer(path.parent, (path.name,)).read(path.name)
    try:
        pixels, facts = prepare_image(content, dataset.images.shape[1])
    except ValueError as error:
        raise MedhashError(f"{path}: {error}") from None
    return _looked_up(path.name, pixels, _rows_with(facts.pixel_sha256, dataset), dataset)


def image_of_dataset(name: str, dataset: Dataset) -> QueryImage:
    """Take an image of the dataset itself.

    Args:
        name: its ``image_id``, or its row in ``index.csv`` counted from 0.
        dataset: that of the cell.

    Raises:
        MedhashError: there is none of that name.
    """
    row = _row_of(name, dataset)
    same = [other for other in _rows_with(dataset.pixel_hashes[row], dataset) if other != row]
    return _looked_up(dataset.image_ids[row], dataset.images[row], [row, *same], dataset)


def with_classes(query: QueryImage, classes: Sequence[str], dataset: Dataset) -> QueryImage:
    """The same image with the classes that the user says it has; nothing said changes nothing.

    Raises:
        MedhashError: the dataset has no such class.
    """
    if not classes:
        return query
    for name in classes:
        check_name(name, dataset.classes, "class", "--class")
    return replace(query, classes=tuple(classes), class_source="command line")


def _looked_up(
    name: str, pixels: NDArray[np.uint8], rows: Sequence[int], dataset: Dataset
) -> QueryImage:
    classes = dataset.classes_of(rows[0]) if rows else ()
    return QueryImage(name, pixels, tuple(rows), classes, "dataset" if classes else "")


def _rows_with(pixel_hash: str, dataset: Dataset) -> list[int]:
    return [row for row, value in enumerate(dataset.pixel_hashes) if value == pixel_hash]


def _row_of(name: str, dataset: Dataset) -> int:
    """An image_id that looks like a row is an image_id."""
    ids = dataset.image_ids
    if name in ids:
        return ids.index(name)
    if name.isascii() and name.isdigit() and int(name) < len(ids):
        return int(name)
    raise MedhashError(
        f"--image-id: '{name}' is neither an image_id of {dataset.title} nor one of its rows "
        f"0 to {len(ids) - 1}{nearest(name, ids)}"
    )
