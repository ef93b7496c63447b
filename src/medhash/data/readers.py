"""One reader for each upstream layout: from archives to images with ids, classes and patients.

Readers open no image: they yield where each one is and a function that reads its bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Literal

import openpyxl

from medhash.data.archives.containers import is_image
from medhash.data.archives.finding import FoundArchives, FoundFolder
from medhash.data.cards import DatasetCard, ReaderName
from medhash.errors import MedhashError

OfficialRole = Literal["", "query", "database"]


@dataclass(frozen=True)
class ImageFile:
    """One image of an archive.

    Attributes:
        image_id: its path in the upstream layout, ``class folder/file``; unique and stable,
            whatever the archive is called and wherever it lies.
        image_class: the class that its folder stands for.
        file: its path in the archive.
        read: returns the file's bytes.
        patient_id: empty where the upstream names no patient.
        official_role: the upstream split: its test images are queries, its training and
            validation images the database; empty where there is none.
    """

    image_id: str
    image_class: str
    file: str
    read: Callable[[], bytes]
    patient_id: str = ""
    official_role: OfficialRole = ""


@dataclass(frozen=True)
class Reading:
    """What a reader finds.

    Attributes:
        images: sorted by id.
        classes: in the order of the label columns.
        notes: what a person should know.
        tables: tables and lists read beside the images, file name -> SHA-256.
    """

    images: list[ImageFile]
    classes: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)


def read_archives(card: DatasetCard, found: FoundArchives) -> Reading:
    """List a dataset's images.

    Args:
        card: the dataset.
        found: its archives, complete.

    Returns:
        The images in the order of their ids. Classes come in the card's order, or sorted by
        name where the card lists none.

    Raises:
        MedhashError: a folder of the layout is missing, or a table of the upstream is damaged.
    """
    found.require_complete()
    images = [image for folder in found.folders for image in _images_of(folder)]
    images.sort(key=lambda image: image.image_id)
    classes = tuple(card.classes) or tuple(sorted({image.image_class for image in images}))
    reading = Reading(images, classes, _stray_images(found))
    complete = _COMPLETED_BY.get(card.reader)
    return complete(reading, found) if complete else reading


def _images_of(folder: FoundFolder) -> list[ImageFile]:
    root = PurePosixPath(folder.root)
    return [
        ImageFile(
            image_id=str(PurePosixPath(name).relative_to(root)),
            image_class=folder.slot.image_class,
            file=name,
            read=partial(folder.container.read, name),
        )
        for name in folder.names
    ]


def _stray_images(found: FoundArchives) -> list[str]:
    """Say how many images of the archives lie outside the class folders."""
    notes = []
    for container in found.containers:
        folders = [folder for folder in found.folders if folder.container is container]
        roots = {f"{folder.root}/" if folder.root else "" for folder in folders}
        inside = [
            name
            for name in container.names
            if is_image(name) and any(name.startswith(root) for root in roots)
        ]
        stray = len(inside) - sum(len(folder.names) for folder in folders)
        if stray:
            notes.append(f"{stray} images outside the class folders were not used")
    return notes


def _complete_brain_tumor(reading: Reading, found: FoundArchives) -> Reading:
    """``Testing/`` is the official query set, ``Training/`` the database."""
    roles: dict[str, OfficialRole] = {"Training": "database", "Testing": "query"}
    images = [
        replace(image, official_role=roles[PurePosixPath(image.image_id).parts[0]])
        for image in reading.images
    ]
    return replace(reading, images=images)


def _complete_covid_ct(reading: Reading, found: FoundArchives) -> Reading:
    """Patients from the two metadata tables, official roles from the lists in ``Data-split``."""
    tables = _neighbours(found, [table for table, _ in _PATIENT_TABLES.values()] + [*_SPLIT_LISTS])
    patients = _patients(tables)
    roles = _official_roles(tables)
    images = [
        replace(
            image,
            patient_id=patients.get((image.image_class, _stem(image.image_id)), ""),
            official_role=roles.get(PurePosixPath(image.image_id).name, ""),
        )
        for image in reading.images
    ]
    notes = [
        *reading.notes,
        *_unmapped("patient id in the metadata tables", [image.patient_id for image in images]),
        *_unmapped("entry in the lists of Data-split", [image.official_role for image in images]),
    ]
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
    return replace(reading, images=images, notes=notes, tables=checksums)


def _patients_of_covid(content: bytes) -> dict[str, str]:
    """``COVID-CT-MetaInfo.xlsx``: file name, which often lacks its suffix, and patient."""
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    rows = book.worksheets[0].iter_rows(min_row=2, max_col=2, values_only=True)
    return {_stem(str(name)): str(patient).strip() for name, patient in rows if name and patient}


def _patients_of_non_covid(content: bytes) -> dict[str, str]:
    """``NonCOVID-CT-MetaInfo.csv``: running number, image name and patient id."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    return {_stem(row["image name"]): row["patient id"].strip() for row in rows}


Parser = Callable[[bytes], dict[str, str]]

# class -> the table that names its patients, and how to read it
_PATIENT_TABLES: Mapping[str, tuple[str, Parser]] = {
    "COVID": ("COVID-CT-MetaInfo.xlsx", _patients_of_covid),
    "NonCOVID": ("NonCOVID-CT-MetaInfo.csv", _patients_of_non_covid),
}

# the upstream trains on train, selects on val and reports on test
_SPLIT_LISTS: Mapping[str, OfficialRole] = {
    f"{role}CT_{image_class}.txt": "query" if role == "test" else "database"
    for image_class in _PATIENT_TABLES
    for role in ("train", "val", "test")
}

_COMPLETED_BY: Mapping[ReaderName, Callable[[Reading, FoundArchives], Reading]] = {
    "brain_tumor_mri": _complete_brain_tumor,
    "covid_ct": _complete_covid_ct,
}


def _neighbours(found: FoundArchives, files: list[str]) -> dict[str, bytes]:
    """Tables and lists that lie anywhere in the place where the images were found."""
    contents: dict[str, bytes] = {}
    for container in found.neighbours:
        for name in container.names:
            file = PurePosixPath(name).name
            if file in files and file not in contents:
                contents[file] = container.read(name)
    return contents


def _patients(tables: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    """(class, file name without suffix) -> patient, from the tables that are there."""
    patients: dict[tuple[str, str], str] = {}
    for image_class, (table, parse) in _PATIENT_TABLES.items():
        if table in tables:
            rows = _parsed(table, parse, tables[table])
            patients.update({(image_class, name): patient for name, patient in rows.items()})
    return patients


def _parsed(table: str, parse: Parser, content: bytes) -> dict[str, str]:
    try:
        return parse(content)
    except (KeyError, ValueError, AttributeError, zipfile.BadZipFile, csv.Error) as error:
        raise MedhashError(
            f"{table}: cannot be read as the upstream's table ({error!r}); get it again"
        ) from None


def _official_roles(tables: Mapping[str, bytes]) -> dict[str, OfficialRole]:
    """File name -> role; the lists have Unix or Windows line ends and blank lines."""
    roles: dict[str, OfficialRole] = {}
    for file, role in _SPLIT_LISTS.items():
        lines = tables.get(file, b"").decode("utf-8-sig").splitlines()
        roles.update({line.strip(): role for line in lines if line.strip()})
    return roles


def _stem(name: str) -> str:
    """A file name without folders and image suffix; other dots belong to the name."""
    path = PurePosixPath(name.strip())
    return path.stem if is_image(path.name) else path.name


def _unmapped(what: str, values: list[str]) -> list[str]:
    count = values.count("")
    return [f"{count} of {len(values)} images have no {what}"] if count else []
