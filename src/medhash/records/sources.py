"""The files of cells that hold numbers, found and read by the name of their source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from medhash.configuration.paths import Layout
from medhash.records.lesions import load_lesion_search
from medhash.records.record import load_record
from medhash.records.segmentation import load_segmentation
from medhash.records.speed import load_measurement
from medhash.schema.cell import Cell
from medhash.schema.measures import Source

READERS: Mapping[Source, Callable[[Path], Any]] = {
    "record": load_record,
    "speed": load_measurement,
    "lesions": load_lesion_search,
    "segmentation": load_segmentation,
}
"""Source -> what reads its file; :class:`~medhash.configuration.paths.Layout` says where it is."""


def read_source(source: Source, cells: Iterable[Cell], layout: Layout) -> list[Any]:
    """The numbers of those cells that have them.

    Raises:
        MedhashError: a file is not whole; the message names the file and the key.
    """
    paths = (getattr(layout, source)(cell) for cell in cells)
    return [READERS[source](path) for path in paths if path.is_file()]
