"""COVID-CT-Dataset: one zip a class, tables that name the patients, lists of the official split."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from medhash.data.archives.containers import ZipContainer, is_image
from medhash.data.archives.finding import FoundArchives
from medhash.data.readers import class_folders
from medhash.data.readers.reading import OfficialRole, Reading, decoded
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard


class Reader(class_folders.Reader):
    """Class folders ``CT_<class>``, with tables and lists anywhere in the same place."""

    prefix = "CT_"
    one_archive_a_class = True

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The images, patients from the two tables, official roles from ``Data-split``."""
        reading = super().read(card, found)
        names = [table for table, _ in _PATIENT_TABLES.values()]
        tables = _neighbours(found, [*names, *_SPLIT_LISTS])
        patients = _patients(tables)
        roles = _official_roles(tables)
        images = [
            replace(
                image,
                groups={"patient_id": patients.get((image.classes[0], _stem(image.image_id)), "")},
                official_role=roles.get(PurePosixPath(image.image_id).name, ""),
            )
            for image in reading.images
        ]
        known = [image.groups["patient_id"] for image in images]
        notes = [
            *reading.notes,
            *_unmapped("patient id in the metadata tables", known),
            *_unmapped("entry in the lists of Data-split", [i.official_role for i in images]),
        ]
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
        return replace(reading, images=images, notes=notes, tables=checksums)


def _patients_of_covid(content: bytes) -> dict[str, str]:
    """``COVID-CT-MetaInfo.xlsx``: file name, which often lacks its suffix, and patient."""
    import openpyxl  # slow to import, and only this table needs it

    ZipContainer(Path("COVID-CT-MetaInfo.xlsx"), content)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    rows = book.worksheets[0].iter_rows(min_row=2, max_col=2, values_only=True)
    return {_stem(str(name)): str(patient).strip() for name, patient in rows if name and patient}


def _patients_of_non_covid(content: bytes) -> dict[str, str]:
    """``NonCOVID-CT-MetaInfo.csv``: running number, image name and patient id."""
    text = decoded("NonCOVID-CT-MetaInfo.csv", content)
    rows = csv.DictReader(io.StringIO(text, newline=""))
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


def _neighbours(found: FoundArchives, files: list[str]) -> dict[str, bytes]:
    """Tables and lists that lie anywhere in the place where the images were found."""
    contents: dict[str, bytes] = {}
    for container in found.match.neighbours:
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
    except MedhashError:
        raise
    except Exception as error:
        # A damaged workbook raises whatever its parts meet first.
        raise MedhashError(
            f"{table}: cannot be read as the upstream's table ({error!r}); get it again"
        ) from None


def _official_roles(tables: Mapping[str, bytes]) -> dict[str, OfficialRole]:
    """File name -> role; the lists have Unix or Windows line ends and blank lines."""
    roles: dict[str, OfficialRole] = {}
    for file, role in _SPLIT_LISTS.items():
        lines = decoded(file, tables.get(file, b"")).splitlines()
        roles.update({line.strip(): role for line in lines if line.strip()})
    return roles


def _stem(name: str) -> str:
    """A file name without folders and image suffix; other dots belong to the name."""
    path = PurePosixPath(name.strip())
    return path.stem if is_image(path.name) else path.name


def _unmapped(what: str, values: list[str]) -> list[str]:
    count = values.count("")
    return [f"{count} of {len(values)} images have no {what}"] if count else []
