"""The image that a database is asked about: a file of anybody's, or an image of the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medhash.data.archives.containers import FolderContainer
from medhash.data.preparation import prepare_image
from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.schema.validation import check_name, nearest

ClassSource = Literal["", "dataset", "command line"]


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


def image_of_file(path: Path, dataset: PreparedDataset) -> QueryImage:
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


def image_of_dataset(name: str, dataset: PreparedDataset) -> QueryImage:
    """Take an image of the dataset itself.

    Args:
        name: its ``image_id``, or its row in ``index.csv`` counted from 0.
        dataset: that of the cell.

    Raises:
        MedhashError: there is none of that name.
    """
    row = _row_of(name, dataset)
    same = [
        other for other in _rows_with(dataset.column("pixel_sha256")[row], dataset) if other != row
    ]
    return _looked_up(dataset.ids[row], dataset.images[row], [row, *same], dataset)


def with_classes(query: QueryImage, classes: Sequence[str], dataset: PreparedDataset) -> QueryImage:
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
    name: str, pixels: NDArray[np.uint8], rows: Sequence[int], dataset: PreparedDataset
) -> QueryImage:
    classes = dataset.classes_of(rows[0]) if rows else ()
    return QueryImage(name, pixels, tuple(rows), classes, "dataset" if classes else "")


def _rows_with(pixel_hash: str, dataset: PreparedDataset) -> list[int]:
    return np.flatnonzero(dataset.column("pixel_sha256") == pixel_hash).tolist()


def _row_of(name: str, dataset: PreparedDataset) -> int:
    """An image_id that looks like a row is an image_id."""
    ids = dataset.ids
    if name in ids:
        return ids.index(name)
    if name.isascii() and name.isdigit() and int(name) < len(ids):
        return int(name)
    raise MedhashError(
        f"--image-id: '{name}' is neither an image_id of {dataset.title} nor one of its rows "
        f"0 to {len(ids) - 1}{nearest(name, ids)}"
    )
