"""A toy reader in one file: images labelled by a table, with patients, ages and masks.

Copied into ``src/medhash/data/readers``, it is a reader like the others; its name is the file's.
The layout, in one archive or several, below any number of outer folders::

    labels.csv            columns file, findings ("Mass|Effusion" or "none"), patient, age
    images/<file>         any image format
    masks/<file>          8-bit PNG, the same size: 0, 1, … as the card's mask_classes say
"""

from __future__ import annotations

import io
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medhash.data.archives.containers import Container
from medhash.data.archives.finding import FoundArchives
from medhash.data.readers.reading import (
    FileReader,
    ImageFile,
    Reading,
    file_of,
    files_of,
    read_table,
    with_known_classes,
)
from medhash.schema.datasets import DatasetCard


class Reader(FileReader):
    """A table beside two folders."""

    layout: ClassVar = {"table": "labels.csv", "images": "images/*", "masks": "masks/*"}

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The images in the order of the table, with those of their findings that the card has."""
        lines, tables = read_table(found, "table", ("file", "findings", "patient", "age"))
        files, masks = files_of(found, "images"), files_of(found, "masks")
        images = []
        for line in lines:
            name = line["file"]
            container, file = file_of(files, name, "images")
            image = ImageFile(
                image_id=name,
                classes=tuple(line["findings"].split("|")),
                container=container,
                file=file,
                groups={"patient_id": line["patient"]},
                attributes={"age": float(line["age"])},
                mask=partial(_mask, *file_of(masks, name, "masks")),
            )
            images.append(image)
        return Reading(with_known_classes(images, card.classes), tables=tables)


def _mask(container: Container, file: str) -> NDArray[np.uint8]:
    """uint8 (H, W): a grey image's values are the classes of its pixels."""
    return np.array(Image.open(io.BytesIO(container.read(file))).convert("L"))
