"""NIH ChestX-ray14: a table of labels that were mined from reports, and folders of images.

Kaggle's one zip holds the folders ``images_001/images`` to ``images_012/images``; each of NIH's
own parts, ``images_01.tar.gz`` to ``images_12.tar.gz``, holds one folder ``images``. A ``.tar.gz``
has no table of contents and would have to be inflated whole to look for one image: it must be
unpacked first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from medhash.data.archives.containers import Container
from medhash.data.archives.finding import FoundArchives, Match
from medhash.data.readers.reading import (
    FileReader,
    ImageFile,
    Reading,
    files_of,
    read_table,
    with_known_classes,
)
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard
from medhash.schema.validation import nearest

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema"),
    *("Fibrosis", "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening"),
    *("Pneumonia", "Pneumothorax"),
)
"""The labels of the table, beside ``No Finding``."""

WHOLE = 112_120, 30_805
"""Images and patients of the whole dataset (OSDH section 3)."""

# The first seven of its columns: the names of the others hold commas, and are split like their
# values; one release ends its header in another comma.
_IMAGE, _FINDINGS, _PATIENT = "Image Index", "Finding Labels", "Patient ID"
_ATTRIBUTES = {
    "Follow-up #": "follow_up",
    "Patient Age": "age",
    "Patient Gender": "gender",
    "View Position": "view",
}
_NO_FINDING = "No Finding"
_NAME = re.compile(r"(?P<patient>\d{8})_\d{3}\.png")


class Reader(FileReader):
    """The table beside one folder of images or several, packed as zip or not."""

    layout: ClassVar = {"table": "Data_Entry_2017*.csv", "images": "images/*.png"}

    def match(self, card: DatasetCard, places: Sequence[Sequence[Container]]) -> Match:
        """As every layout of files; where the images are packed as ``.tar.gz``, says so."""
        match = super().match(card, places)
        packed = _packed([container for place in places for container in place])
        return replace(match, advice=f"; {packed}") if match.absent and packed else match

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The images of the card's findings by name, the order of the table's first release.

        The release of 2020 lists a patient's images by age instead; by name both select the same.
        """
        columns = (_IMAGE, _FINDINGS, *_ATTRIBUTES, _PATIENT)
        lines, tables = read_table(found, "table", columns)
        table = next(part for part in found.parts if part.name == "table")
        where = table.container.path / table.files[0]
        for number, line in enumerate(lines, start=2):
            _check(line, f"{where}, line {number}")
        lines.sort(key=lambda line: line[_IMAGE])
        _check_names([line[_IMAGE] for line in lines], where)
        files = files_of(found, "images")
        _check_files([line[_IMAGE] for line in lines if line[_IMAGE] not in files], found, where)
        images = [_image(line, *files[line[_IMAGE]]) for line in lines]
        kept = with_known_classes(images, card.classes)
        return Reading(kept, [_extent(lines)], tables)


def _image(line: dict[str, str], container: Container, file: str) -> ImageFile:
    return ImageFile(
        image_id=line[_IMAGE],
        classes=_findings(line),
        container=container,
        file=file,
        groups={"patient_id": line[_PATIENT]},
        attributes={name: line[column] for column, name in _ATTRIBUTES.items()},
    )


def _findings(line: dict[str, str]) -> tuple[str, ...]:
    return () if line[_FINDINGS] == _NO_FINDING else tuple(line[_FINDINGS].split("|"))


def _check(line: dict[str, str], where: str) -> None:
    """Refuse a line that is cut short, or says what cannot be."""
    if any(line.get(column) is None for column in (*_ATTRIBUTES, _PATIENT)):
        raise MedhashError(f"{where}: is cut short; get the table again")
    name, patient = _NAME.fullmatch(line[_IMAGE]), line[_PATIENT]
    if name is None:
        raise MedhashError(
            f"{where}: '{line[_IMAGE]}' is no name of an image (00000001_000.png); get the table "
            "again"
        )
    if not patient.isdecimal() or int(patient) != int(name["patient"]):
        raise MedhashError(
            f"{where}: image '{line[_IMAGE]}' is of patient {int(name['patient'])} by its name, "
            f"but its {_PATIENT} is '{patient}'; get the table again"
        )
    findings = _findings(line)
    for each in findings:
        if each not in FINDINGS:
            raise MedhashError(
                f"{where}: image '{line[_IMAGE]}' has the unknown label '{each}'"
                f"{nearest(each, FINDINGS)}; get the table again"
            )
    if len({*findings}) < len(findings):
        raise MedhashError(
            f"{where}: image '{line[_IMAGE]}' has a label twice ('{line[_FINDINGS]}'); get the "
            "table again"
        )


def _check_names(names: Sequence[str], where: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MedhashError(
            f"{where}: lists image '{twice[0]}' more than once; get the table again, and keep one"
        )


def _check_files(absent: Sequence[str], found: FoundArchives, where: Path) -> None:
    """Refuse images that are listed and not there, and say which part to look at."""
    if not absent:
        return
    remedy = _packed(found.match.neighbours) or "get the part that holds it again"
    if found.unusable:
        remedy = f"perhaps because {found.unusable[0]}"
    raise MedhashError(
        f"{where}: lists image '{absent[0]}', which is in no folder 'images'"
        f"{f' (and {len(absent) - 1} more)' if len(absent) > 1 else ''}; {remedy}"
    )


def _packed(containers: Sequence[Container]) -> str:
    """What to do about parts as NIH packs them; empty where there is none."""
    parts = [
        container.path / name
        for container in containers
        for name in container.names
        if PurePosixPath(name).name.startswith("images") and name.endswith((".tar.gz", ".tgz"))
    ]
    if not parts:
        return ""
    return (
        f"images packed as .tar.gz are not read in place: unpack {parts[0].name} and the others "
        f"beside the table ('for part in images*.tar.gz; do tar -xzf $part; done' in "
        f"{parts[0].parent})"
    )


def _extent(lines: Sequence[dict[str, str]]) -> str:
    extent = len(lines), len({line[_PATIENT] for line in lines})
    known = "" if extent == WHOLE else ", but the whole dataset {:,} of {:,}".format(*WHOLE)
    return "the table lists {:,} images of {:,} patients".format(*extent) + known
