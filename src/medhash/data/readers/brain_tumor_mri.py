"""Brain Tumor Classification (MRI): ``Training/<class>/`` and ``Testing/<class>/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from medhash.data.archives.finding import FoundArchives
from medhash.data.readers import class_folders
from medhash.data.readers.reading import OfficialRole, Reading
from medhash.schema.datasets import DatasetCard

_ROLES: Mapping[str, OfficialRole] = {"Training": "database", "Testing": "query"}


class Reader(class_folders.Reader):
    """Class folders in two parts; ``Testing`` is the official query set."""

    parts = tuple(_ROLES)

    def read(self, card: DatasetCard, found: FoundArchives) -> Reading:
        """The images, with the roles of their folders."""
        reading = super().read(card, found)
        images = [
            replace(image, official_role=_ROLES[PurePosixPath(image.image_id).parts[0]])
            for image in reading.images
        ]
        return replace(reading, images=images)
