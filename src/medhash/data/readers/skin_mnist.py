"""HAM10000 ("Skin Cancer MNIST"): two folders of dermatoscopic images and one table."""

from __future__ import annotations

from typing import ClassVar

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

_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


class Reader(FileReader):
    """A class is a diagnosis; several images may show one lesion (``lesion_id``).

    The bundle's tables of shrunken pixels (``hmnist_*.csv``) are not read.
    """

    layout: ClassVar = {
        "table": ("HAM10000_metadata.csv", "HAM10000_metadata"),
        "images": "HAM10000_images_part_[12]/ISIC_*.jpg",
    }

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The images in the table's order."""
        lines, tables = read_table(found, "table", _COLUMNS)
        files = files_of(found, "images")
        images = []
        for number, line in enumerate(lines, 2):
            if not line["lesion_id"]:
                raise MedhashError(
                    f"HAM10000_metadata.csv: line {number}: image '{line['image_id']}' has no "
                    "lesion_id; get it again"
                )
            container, file = file_of(files, f"{line['image_id']}.jpg", "images")
            images.append(
                ImageFile(
                    image_id=line["image_id"],
                    classes=(line["dx"],),
                    container=container,
                    file=file,
                    groups={"lesion_id": line["lesion_id"]},
                    attributes={
                        "confirmed_by": line["dx_type"],
                        "age": _age(line["age"], number),
                        "sex": line["sex"],
                        "localization": line["localization"],
                    },
                )
            )
        return Reading(images, tables=tables)


def _age(text: str, number: int) -> float | str:
    """Years, to the nearest five; empty where it is not known."""
    if not text:
        return ""
    try:
        return float(text)
    except ValueError:
        raise MedhashError(
            f"HAM10000_metadata.csv: line {number}: age is '{text}', no number; get it again"
        ) from None
