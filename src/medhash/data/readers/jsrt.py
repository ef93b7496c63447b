"""JSRT: chest radiographs with one nodule each, and SCR's outlines of the lungs.

Two packings are read: the upstream's raw files (2048 × 2048 pixels of 16 bits, big-endian, 12 of
them used, no header) with ``CLNDAT_EN.txt``, and the PNG bundle with ``jsrt_metadata.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from medhash.data.archives.containers import Container
from medhash.data.archives.finding import FoundArchives
from medhash.data.readers.reading import (
    FileReader,
    ImageFile,
    Reading,
    file_of,
    files_of,
    read_table,
)
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard

RAW_SIDE = 2048
_TABLE = ("file", "subtlety", "size_mm", "age", "sex", "x", "y", "state", "position", "diagnosis")
# What the bundle calls the same; it may lack those that are not in _NEEDED.
_NAMES_OF_BUNDLE = {"study_id": "file", "gender": "sex", "size": "size_mm"}
_NEEDED = ("study_id", "state", "position", "diagnosis")
_NUMBERS = ("subtlety", "size_mm", "age", "x", "y")
_SIDES = {"l": "left", "r": "right"}
_CLASSES = ("malignant", "benign")


class Reader(FileReader):
    """Films with a nodule; the mask is the lung of the nodule's side, as Y-Net takes it."""

    layout: ClassVar = {
        "table": ("jsrt_metadata.csv", "CLNDAT_EN.txt"),
        "images": ("JPCLN*.png", "JPCLN*.IMG"),
        "left": ("left lung/JPCLN*.gif", "left_lung/JPCLN*.gif"),
        "right": ("right lung/JPCLN*.gif", "right_lung/JPCLN*.gif"),
    }

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The films in the table's order; those without a nodule are left out."""
        lines, tables = _lines(found)
        files = _by_stem(files_of(found, "images"))
        masks = {side: _by_stem(files_of(found, side)) for side in _SIDES.values()}
        images = []
        for line in lines:
            name = PurePosixPath(line["file"]).stem
            container, file = file_of(files, name, "images")
            side = _side(line)
            mask = partial(_mask, *file_of(masks[side], name, f"{side} lung"))
            images.append(
                ImageFile(
                    image_id=name,
                    classes=(line["state"],),
                    container=container,
                    file=file,
                    groups={"patient_id": name},
                    attributes=_attributes(line) | {"side": side},
                    mask=mask,
                    decode=partial(_film, mask) if file.endswith(".IMG") else None,
                )
            )
        return Reading(images, tables=tables)


def _lines(found: FoundArchives) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Column -> text of each film with a nodule, and the table's checksum."""
    [part] = [part for part in found.parts if part.name == "table"][:1]
    if PurePosixPath(part.files[0]).suffix == ".txt":
        lines, tables = _clinical_table(part.container, part.files[0])
    else:
        rows, tables = read_table(found, "table", _NEEDED)
        lines = [{_NAMES_OF_BUNDLE.get(key, key): row[key] for key in row if key} for row in rows]
        lines = [line for line in lines if line["state"] != "non-nodule"]
    for line in lines:
        if line["state"] not in _CLASSES:
            raise MedhashError(
                f"{part.container.path / part.files[0]}: '{line['file']}' is called "
                f"'{line['state']}', not malignant or benign; get it again"
            )
    return lines, tables


def _clinical_table(container: Container, file: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The upstream's table: no heading, tabs, empty lines, and spare tabs in the last columns."""
    content, where = container.read(file), container.path / file
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise MedhashError(f"{where}: cannot be read ({error}); get it again") from None
    rows = [row for row in csv.reader(io.StringIO(text), delimiter="\t") if "".join(row).strip()]
    for row in rows:
        if len(row) < len(_TABLE):
            raise MedhashError(
                f"{where}: '{row[0]}' has {len(row)} columns, not {len(_TABLE)} "
                f"({', '.join(_TABLE)}); get it again"
            )
    last = len(_TABLE) - 1
    lines = [
        dict(zip(_TABLE, [*map(str.strip, row[:last]), _joined(row[last:])], strict=True))
        for row in rows
    ]
    return lines, {PurePosixPath(file).name: hashlib.sha256(content).hexdigest()}


def _joined(texts: Sequence[str]) -> str:
    return " ".join(text.strip() for text in texts if text.strip())


def _side(line: Mapping[str, str]) -> str:
    """The patient's side on which the nodule lies, by its place (``l.upper lobe``)."""
    side = _SIDES.get(line["position"].strip().lower()[:1])
    if side is None:
        raise MedhashError(
            f"the table of JSRT: the nodule of '{line['file']}' lies at '{line['position']}', "
            "neither on the left (l.) nor on the right (r.); get it again"
        )
    return side


def _attributes(line: Mapping[str, str]) -> dict[str, str | float]:
    """What else is known; a number that the table does not know (``?``) is left empty."""
    known = [name for name in _TABLE if name in line and name not in ("file", "state")]
    return {name: _number(line[name]) if name in _NUMBERS else line[name] for name in known}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return ""


def _by_stem(
    files: Mapping[str, tuple[Container, str]],
) -> dict[str, tuple[Container, str]]:
    return {PurePosixPath(name).stem: place for name, place in files.items()}


def _mask(container: Container, file: str) -> NDArray[np.uint8]:
    """uint8 (H, W): 1 in the lung, whose outline is drawn in white (255) on black."""
    try:
        with Image.open(io.BytesIO(container.read(file)), formats=("GIF",)) as image:
            return (np.asarray(image.convert("L")) > 127).astype(np.uint8)
    except UnidentifiedImageError:
        raise ValueError(f"'{file}' is no GIF file") from None


def _film(mask: Callable[[], NDArray[np.uint8]], content: bytes) -> Image.Image:
    """A raw film with dark lungs, as films are looked at; copies are known in both polarities.

    Which one it is says the lung itself: air is darker than what lies around it.
    """
    if len(content) != 2 * RAW_SIDE * RAW_SIDE:
        raise ValueError(f"{len(content)} bytes are not {RAW_SIDE}x{RAW_SIDE} pixels of 16 bits")
    values = np.frombuffer(content, ">u2").reshape(RAW_SIDE, RAW_SIDE).astype(np.int32)
    small = Image.fromarray(mask()).resize((RAW_SIDE, RAW_SIDE), Image.Resampling.NEAREST)
    lung = np.asarray(small) > 0
    if not lung.any() or lung.all():
        raise ValueError("its mask shows no lung, which alone says what is dark in the raw file")
    if values[lung].mean() > values[~lung].mean():
        values = values.max() - values
    return Image.fromarray(values)
