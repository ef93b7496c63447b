"""The door to a prepared dataset: images, labels, masks, ids, classes, groups and attributes.

Nothing is read before it is asked for: a step that needs images and labels opens no other file.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from medhash.data.prepared_files import FILES, FINDINGS, GIST, GROUP_ENDING, INDEX_COLUMNS, MASKS
from medhash.errors import MedhashError
from medhash.schema.validation import nearest
from medhash.stored import Part, read_array, read_csv, read_tree

PREPARE_AGAIN = "`medhash prepare` makes it: prepare the dataset again"
LESION = "lesion"
# What a phantom's masks show where its description names no classes of pixels.
_LESION_MASKS = ("background", LESION)


class Archive(Part):
    """What a dataset was prepared from."""

    file: str
    sha256: str
    source: str


class Description(Part):
    """What every ``dataset.json`` says."""

    dataset: str
    title: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    card_counts: dict[str, int]
    card_images: int | None = None
    mask_classes: tuple[str, ...] = ()
    differences: tuple[str, ...]
    archives: tuple[Archive, ...]
    synthetic: Annotated[bool, Field(strict=True)]


class PreparedDataset:
    """A dataset's folder as ``medhash prepare`` wrote it; N images of side S, C classes.

    Args:
        folder: ``data/<dataset>/<size>``.

    Raises:
        MedhashError: on the first use of a file that is missing or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (N, S, S, 3), memory-mapped."""
        path, shape = self.folder / FILES["images"], (None, None, None, 3)
        return read_array(path, np.uint8, shape, PREPARE_AGAIN, mapped=True)

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """uint8 (N, C), 1 where the image belongs to the class; one class or several."""
        return read_array(self.folder / FILES["labels"], np.uint8, (None, None), PREPARE_AGAIN)

    @cached_property
    def masks(self) -> NDArray[np.uint8] | None:
        """uint8 (N, S, S), memory-mapped: places in :attr:`mask_classes`; None without masks."""
        path = self.folder / MASKS
        if not path.is_file():
            return None
        return read_array(path, np.uint8, (None, None, None), PREPARE_AGAIN, mapped=True)

    @cached_property
    def findings(self) -> NDArray[np.uint16] | None:
        """uint16 (N, S, S), memory-mapped: bit c is set where the c-th of :attr:`classes` lies.

        None where no mask tells classes apart that may overlap.
        """
        path = self.folder / FINDINGS
        if not path.is_file():
            return None
        return read_array(path, np.uint16, (None, None, None), PREPARE_AGAIN, mapped=True)

    @cached_property
    def gist(self) -> NDArray[np.float32]:
        """float32 (N, 1024), memory-mapped, of :mod:`medhash.data.gist`."""
        path, remedy = self.folder / GIST, "`medhash gist` makes it"
        return read_array(path, np.float32, (None, None), remedy, mapped=True)

    @cached_property
    def index(self) -> pd.DataFrame:
        """The lines of ``index.csv`` in row order: every column text, empty where unknown."""
        return read_csv(self.folder / FILES["index"], ("image_id",), PREPARE_AGAIN)

    @cached_property
    def description(self) -> dict[str, Any]:
        """``dataset.json``: name, title, classes, counts, archives, whether it is synthetic."""
        return read_description(self.folder / FILES["description"])

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The N image ids."""
        return tuple(self.index["image_id"])

    @property
    def title(self) -> str:
        """As the dataset's card prints it."""
        return str(self.description["title"])

    @property
    def synthetic(self) -> bool:
        """Whether its images are phantoms."""
        return bool(self.description["synthetic"])

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the C columns of the labels."""
        return tuple(self.description["classes"])

    @property
    def mask_classes(self) -> tuple[str, ...]:
        """What the numbers in the masks stand for; 0 is the first. Empty without masks.

        Where the description names them the file itself need not be here.
        """
        named = tuple(self.description.get("mask_classes", ()))
        return named or (() if self.masks is None else _LESION_MASKS)

    @property
    def original_sizes(self) -> NDArray[np.int64]:
        """int64 (N, 2): width and height of the images before they were squeezed, in pixels."""
        return self.index[["width", "height"]].to_numpy(np.int64)

    @property
    def groups(self) -> dict[str, NDArray[np.str_]]:
        """What images have in common (patient_id, lesion_id): column -> N names, empty: unknown."""
        return {name: self.column(name) for name in group_columns(self.index)}

    @property
    def attributes(self) -> dict[str, NDArray[np.str_]]:
        """What else the reader tells of each image: column -> N texts."""
        known = {*INDEX_COLUMNS, *group_columns(self.index)}
        return {name: self.column(name) for name in self.index.columns if name not in known}

    def classes_of(self, row: int) -> tuple[str, ...]:
        """The names of an image's classes."""
        return tuple(self.classes[column] for column in np.flatnonzero(self.labels[row]))

    def column(self, name: str) -> NDArray[np.str_]:
        """A column of the index, N texts.

        Raises:
            MedhashError: there is no such column.
        """
        if name not in self.index:
            columns = list(map(str, self.index.columns))
            raise MedhashError(
                f"{self.folder / FILES['index']}: no column '{name}'{nearest(name, columns)} "
                f"(there are {', '.join(columns)})"
            )
        return self.index[name].to_numpy(np.str_)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, float64 (N,), NaN where the index is empty.

        Raises:
            MedhashError: there is no such column, or it holds other texts than numbers.
        """
        texts = pd.Series(self.column(name))
        values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
        wrong = texts[np.isnan(values) & (texts != "")]
        if len(wrong):
            raise MedhashError(
                f"{self.folder / FILES['index']}: column '{name}' holds '{wrong.iloc[0]}', "
                "which is no number"
            )
        return values

    def check(self) -> None:
        """Refuse files that do not have the same number of images.

        Raises:
            MedhashError: names the files and their numbers.
        """
        counts = {FILES[name]: len(getattr(self, name)) for name in ("images", "labels", "index")}
        if self.masks is not None:
            counts[MASKS] = len(self.masks)
        if len(set(counts.values())) > 1:
            held = ", ".join(f"{file} {count}" for file, count in counts.items())
            raise MedhashError(
                f"{self.folder}: its files hold different numbers of images ({held}); "
                "prepare the dataset again"
            )


def group_columns(index: pd.DataFrame) -> list[str]:
    """The columns that say which images belong together (``patient_id``, ``lesion_id``)."""
    names = [str(name) for name in index.columns]
    return [name for name in names if name.endswith(GROUP_ENDING) and name != "image_id"]


def read_description(path: Path) -> dict[str, Any]:
    """What a ``dataset.json`` says.

    Raises:
        MedhashError: it is not here, or no whole description of a dataset.
    """
    return read_tree(path, Description, PREPARE_AGAIN, "description")
