"""MarkedLesions of query images, marked in a CSV of boxes or by masks (ACH Section V-D-2).

A marked lesion is an upright box. Its sides are fractions of the image's, so that it means the
same at every size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from medhash.data.prepared import LESION, PreparedDataset
from medhash.data.splits.manifest import read_split, rows_of
from medhash.errors import MedhashError
from medhash.stored import reading

COLUMNS = ("image_id", "top", "left", "height", "width")
"""Of a file of boxes. Pixels of the original image, from its top left corner."""

Source = Literal["boxes", "masks", "found"]

# A side that is a whole number of patches must not gain one by its last bits.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class MarkedLesions:
    """MarkedLesions of query images.

    Attributes:
        source: a CSV of boxes, masks, or found by C2F-LP.
        rows: int64 (n,), each lesion's image as a row of the dataset's index; an image may have
            several.
        areas: float64 (n, 4): top, left, height and width, fractions of the image's sides.
    """

    source: Source
    rows: NDArray[np.int64]
    areas: NDArray[np.float64]

    def patches(self, grid: int) -> NDArray[np.int64]:
        """The patches that a lesion touches: top, left, height and width in patches, (n, 4).

        Args:
            grid: patches along one side of the image.
        """
        first = np.floor(self.areas[:, :2] * grid + _ROUNDING)
        first = np.clip(first, 0, grid - 1)
        last = np.ceil((self.areas[:, :2] + self.areas[:, 2:]) * grid - _ROUNDING)
        last = np.clip(last, first + 1, grid)
        return np.concatenate([first, last - first], axis=1).astype(np.int64)

    def take(self, places: NDArray[np.int64]) -> MarkedLesions:
        """Some of the lesions, by place."""
        return MarkedLesions(self.source, self.rows[places], self.areas[places])


def marked_lesions(boxes: Path, data_folder: Path, split: Path) -> MarkedLesions | None:
    """The lesions of a dataset's query images: its boxes, or else those of its masks.

    Args:
        boxes: CSV of boxes; need not be there.
        data_folder: the prepared dataset; may have masks, of lesions or of organs.
        split: its manifest.

    Returns:
        All lesions, or None where the dataset has neither boxes nor masks of lesions.

    Raises:
        MedhashError: as :func:`read_boxes`.
    """
    if boxes.is_file():
        return read_boxes(boxes, data_folder, split)
    dataset = PreparedDataset(data_folder)
    if dataset.masks is None or LESION not in dataset.mask_classes:
        return None
    place = dataset.mask_classes.index(LESION)
    return lesions_of_masks(dataset.masks, rows_of(split, "query"), place)


def read_boxes(path: Path, data_folder: Path, split: Path) -> MarkedLesions:
    """Read the boxes that a person has drawn; a line a lesion, columns :data:`COLUMNS`.

    Further columns (reader, finding) are left alone. Pixels may be fractions.

    Args:
        path: the CSV.
        data_folder: the prepared dataset; its index knows the images' original sizes.
        split: its manifest.

    Raises:
        MedhashError: the file cannot be read, a column is missing, an image is unknown or no
            query, a number is none, a box is empty, leaves the image or stands there twice. The
            message names the line.
    """
    table = _read_csv(path)
    dataset = PreparedDataset(data_folder)
    places = {image_id: row for row, image_id in enumerate(dataset.ids)}
    roles = read_split(split).set_index("row")["role"].to_dict()
    sizes = dataset.original_sizes[:, ::-1].astype(np.float64)
    rows, areas = [], []
    seen: dict[tuple[str, ...], int] = {}
    for line, entry in enumerate(table[list(COLUMNS)].itertuples(index=False), start=2):
        where = f"{path}: line {line}"
        image_id, *texts = map(str, entry)
        if image_id not in places:
            raise MedhashError(
                f"{where}: there is no image '{image_id}'; image_id is that of "
                f"{data_folder / 'index.csv'}"
            )
        row = places[image_id]
        if roles.get(row) != "query":
            raise MedhashError(
                f"{where}: the image '{image_id}' is no query but '{roles.get(row)}' in {split}; "
                "mark lesions of query images only"
            )
        if entry in seen:
            raise MedhashError(f"{where}: the box stands in line {seen[entry]} already")
        seen[entry] = line
        rows.append(row)
        areas.append(_area(where, texts, sizes[row]))
    return MarkedLesions("boxes", np.array(rows, dtype=np.int64), np.array(areas, dtype=np.float64))


def lesions_of_masks(
    masks: NDArray[np.uint8], rows: NDArray[np.int64], lesion: int = 1
) -> MarkedLesions:
    """One lesion an image: the box around the largest region of its mask.

    Pixels that touch at a corner are of one region; of equal regions the first in reading order
    is taken. An image whose mask is empty has no lesion.

    Args:
        masks: uint8 (N, S, S), classes of pixels.
        rows: the images to look at.
        lesion: the class that is a lesion's.
    """
    size = masks.shape[1]
    boxes = {int(row): _largest_region(masks[row] == lesion) for row in rows}
    marked = {row: box for row, box in boxes.items() if box is not None}
    areas = np.array(list(marked.values()), dtype=np.float64).reshape(-1, 4) / size
    return MarkedLesions("masks", np.array(list(marked), dtype=np.int64), areas)


def _largest_region(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Top, left, height and width in pixels."""
    regions, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    if not count:
        return None
    largest = int(np.bincount(regions.ravel())[1:].argmax())
    rows, columns = ndimage.find_objects(regions)[largest]
    return rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start


def _read_csv(path: Path) -> pd.DataFrame:
    remedy = f"a file of boxes is a CSV file in UTF-8 with the columns {', '.join(COLUMNS)}"
    with reading(path, remedy):
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise ValueError(f"the column {missing[0]} is missing")
    if table.empty:
        raise MedhashError(f"{path}: holds no box; add some, or remove the file")
    return table


def _area(where: str, texts: list[str], size: NDArray[np.float64]) -> list[float]:
    """A box as fractions of its image, whose height and width in pixels are ``size``."""
    numbers = [_number(where, name, t) for name, t in zip(COLUMNS[1:], texts, strict=True)]
    top, left, height, width = numbers
    if height <= 0 or width <= 0:
        raise MedhashError(f"{where}: height {height:g} and width {width:g} must be above 0")
    if top < 0 or left < 0 or top + height > size[0] or left + width > size[1]:
        raise MedhashError(
            f"{where}: the box reaches from row {top:g} to {top + height:g} and from column "
            f"{left:g} to {left + width:g}, but the image has {size[0]:g} rows and {size[1]:g} "
            "columns of pixels"
        )
    return [top / size[0], left / size[1], height / size[0], width / size[1]]


def _number(where: str, name: str, text: Any) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MedhashError(f"{where}: {name} is '{text}'; a number of pixels is needed")
    return value
