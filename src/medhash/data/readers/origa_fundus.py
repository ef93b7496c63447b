"""ORIGA(-light): eye fundus photographs, one table, and disc and cup outlined in masks."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
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
    OfficialRole,
    Reading,
    file_of,
    files_of,
    read_table,
)
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard

_COLUMNS = ("Filename", "ExpCDR", "Eye", "Set", "Glaucoma")
_CLASSES = {"0": "Normal", "1": "Glaucoma"}
# The name of every file of ORIGA; the bundle holds other datasets, too.
_NUMBER = "[0-9][0-9][0-9]"
# Lists of Y-Net's authors (fjssharpsword/YNet, dataset/): a name and a role.
_LISTS: Mapping[str, OfficialRole] = {
    "testset-origa.csv": "query",
    "trainset-origa.csv": "database",
}


class Reader(FileReader):
    """A table beside a folder of photographs and one of masks.

    Masks are the bundle's PNG (drawn for these photographs) or, where there are none, the
    upstream's MATLAB files; both say 0 background, 1 rim of the disc, 2 cup.
    """

    layout: ClassVar = {
        "table": "OrigaList.csv",
        "images": (f"Images/{_NUMBER}.jpg", f"images/{_NUMBER}.jpg"),
        "masks": (
            f"Masks/{_NUMBER}.png",
            f"Semi-automatic-annotations/{_NUMBER}.mat",
            f"mask/{_NUMBER}.mat",
        ),
    }

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The photographs in the table's order.

        Official roles are those of the lists of Y-Net's authors, if they lie in the same place.
        """
        lines, tables = read_table(found, "table", _COLUMNS)
        files, masks = files_of(found, "images"), _by_stem(files_of(found, "masks"))
        roles, lists = _official_roles(found)
        images = []
        for number, line in enumerate(lines, 2):
            name = _name(line["Filename"])
            container, file = file_of(files, name, "images")
            images.append(
                ImageFile(
                    image_id=name,
                    classes=(_class_of(line, number),),
                    container=container,
                    file=file,
                    official_role=roles.get(name, ""),
                    attributes={"cdr": _cdr(line, number), "eye": line["Eye"].strip()},
                    mask=partial(_mask, *file_of(masks, PurePosixPath(name).stem, "masks")),
                )
            )
        notes = _notes(roles, [image.image_id for image in images])
        return Reading(images, notes=notes, tables=tables | lists)


def _name(text: str) -> str:
    """A file name without the quotes and spaces that some copies of the tables have around it."""
    return text.strip().strip("'\"")


def _class_of(line: Mapping[str, str], number: int) -> str:
    text = line["Glaucoma"].strip()
    if text not in _CLASSES:
        raise MedhashError(
            f"OrigaList.csv: line {number}: Glaucoma is '{text}', not 0 or 1; get it again"
        )
    return _CLASSES[text]


def _cdr(line: Mapping[str, str], number: int) -> float:
    """The experts' ratio of the cup's diameter to the disc's."""
    try:
        ratio = float(line["ExpCDR"])
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise MedhashError(
            f"OrigaList.csv: line {number}: ExpCDR is '{line['ExpCDR']}', no ratio between 0 and "
            "1; get it again"
        )
    return ratio


def _by_stem(
    files: Mapping[str, tuple[Container, str]],
) -> dict[str, tuple[Container, str]]:
    return {PurePosixPath(name).stem: place for name, place in files.items()}


def _mask(container: Container, file: str) -> NDArray[np.uint8]:
    """uint8 (H, W): 0 background, 1 rim of the disc, 2 cup; a ValueError says what is wrong."""
    content = container.read(file)
    if PurePosixPath(file).suffix == ".png":
        return _png(content, file)
    from scipy.io import loadmat  # slow to import, and only these masks need it
    from scipy.io.matlab import MatReadError

    try:
        values = loadmat(io.BytesIO(content), variable_names=["mask"])["mask"]
    except (KeyError, MatReadError, NotImplementedError, TypeError, EOFError) as error:
        raise ValueError(f"'{file}' is no MATLAB file with an array 'mask' ({error})") from None
    return np.asarray(values)


def _png(content: bytes, file: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.mode not in ("L", "P"):
                raise ValueError(f"'{file}' is of mode {image.mode}, not one number a pixel")
            return np.array(image)
    except UnidentifiedImageError:
        raise ValueError(f"'{file}' is no PNG file") from None


def _official_roles(found: FoundArchives) -> tuple[dict[str, OfficialRole], dict[str, str]]:
    """File name -> role, and the lists' checksums."""
    roles: dict[str, OfficialRole] = {}
    checksums: dict[str, str] = {}
    for container in found.match.neighbours:
        for path in container.names:
            file = PurePosixPath(path).name
            if file in _LISTS and file not in checksums:
                content = container.read(path)
                checksums[file] = hashlib.sha256(content).hexdigest()
                roles |= dict.fromkeys(_listed(content, file), _LISTS[file])
    return roles, checksums


def _listed(content: bytes, file: str) -> list[str]:
    """The file names of a list, below its heading."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MedhashError(f"{file}: cannot be read as CSV ({error}); get it again") from None
    return [_name(row[0]) for row in rows[1:] if row]


def _notes(roles: Mapping[str, OfficialRole], ids: list[str]) -> list[str]:
    if not roles:
        return ["without the lists of Y-Net's authors there is no official split"]
    unlisted = sum(name not in roles for name in ids)
    return [f"{unlisted} of {len(ids)} images are in neither list"] if unlisted else []
