"""The files of cells that hold numbers, found and read by the name of their source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medhash.configuration.paths import Layout
from medhash.records.lesions import load_lesion_search
from medhash.records.pointing import Pointing
from medhash.records.record import load_record
from medhash.records.segmentation import Segmentation
from medhash.records.speed import Measurement
from medhash.schema.cell import Cell
from medhash.schema.measures import Source
from medhash.stored import read_model

READERS: Mapping[Source, Callable[[Path], Any]] = {
    "record": load_record,
    "speed": partial(read_model, model=Measurement, what="measurement"),
    "lesions": load_lesion_search,
    "segmentation": partial(read_model, model=Segmentation, what="segmentation"),
    "pointing": partial(read_model, model=Pointing, what="measurement"),
}
"""Source -> what reads its file; :class:`~medhash.configuration.paths.Layout` says where it is."""


def read_source(source: Source, cells: Iterable[Cell], layout: Layout) -> list[Any]:
    """The numbers of those cells that have them.

    Raises:
        MedhashError: a file is not whole; the message names the file and the key.
    """
    paths = (getattr(layout, source)(cell) for cell in cells)
    return [READERS[source](path) for path in paths if path.is_file()]
