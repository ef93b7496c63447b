"""What ``lesions.json`` and ``lesions.npz`` hold: searches with lesion patches, read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.records.measured import Measured, Single
from medhash.retrieval.arrays import read_arrays
from medhash.schema.base import Score
from medhash.schema.cell import Cell
from medhash.stored import Part, read_model

SOURCES = {
    "boxes": "boxes in config/lesions",
    "masks": "the box around the largest region of a mask",
    "found": "found by C2F-LP, not marked by a reader",
}
"""Source of patches -> what a table or figure says of it."""


class Precision(Part):
    """P@10 of lesion patches and of the whole images that they lie in, as fractions."""

    patches: Score
    images: Score


class ClassPrecision(Part):
    """The same over the patches of one class; none where the class has no patch."""

    count: int
    patches: Score | None = None
    images: Score | None = None


ALL_CLASSES = "(all)"
"""Stands for a class where all patches are meant."""


class Runtime(Part):
    """Latencies of both, and how much the median of patches lies above that of images."""

    patches: Single
    images: Single
    change: float


class NoSearch(Part):
    """A cell without any patch to search with."""

    what: ClassVar[str] = "lesion patches"

    schema_version: Literal[1] = Field(alias="schema")
    scale: str
    cell: Cell
    patches: Literal[0]
    reason: str


class LesionSearch(Measured):
    """A cell's searches with lesion patches."""

    what: ClassVar[str] = "lesion patches"
    remedy: ClassVar[str] = "search again"

    schema_version: Literal[1] = Field(alias="schema")
    protocol: str
    depth: int
    asked_per_class: int
    patches: int
    source: Literal["boxes", "masks", "found"]
    areas_sha256: str
    covered: Score
    precision_at_10: Precision
    by_class: dict[str, ClassPrecision]
    relevant_share: Score
    runtime: Runtime

    def part(self, name: str) -> Precision | ClassPrecision:
        """P@10 over all classes or one."""
        return self.precision_at_10 if name == ALL_CLASSES else self.by_class[name]


def check_same_patches(search: LesionSearch, other: LesionSearch, name: str) -> None:
    """Refuse to compare searches with different patches; ``name`` is the other's in the message."""
    if search.areas_sha256 != other.areas_sha256:
        raise MedhashError(
            f"lesion patches of cell {search.cell}: they are not those of {name}; delete "
            "lesions.json of both and let the workflow search again."
        )


def load_lesion_search(path: Path) -> LesionSearch | NoSearch:
    """Read one file.

    Raises:
        MedhashError: it is not whole; the message names the file and the key.
    """
    # Without patches a file has neither scores nor a machine.
    if read_model(path, _Patches, what="measurement").patches:
        return read_model(path, LesionSearch, what="measurement")
    return read_model(path, NoSearch, what="measurement")


@dataclass(frozen=True, eq=False)
class LesionPatches:
    """The patches that a cell was searched with; see :mod:`medhash.trained.lesions`.

    Attributes:
        source: where they come from, a key of :data:`SOURCES`; empty without patches.
        reason: why there are none; empty with patches.
        rows: int64 (n,), rows of their images.
        patches: int64 (n, 4): top, left, height and width in patches of the network.
        codes: packed, uint8 (n, ceil(q / 8)).
    """

    source: str
    reason: str
    rows: NDArray[np.int64]
    patches: NDArray[np.int64]
    codes: NDArray[np.uint8]


def load_lesion_patches(layout: Layout, cell: Cell) -> LesionPatches | None:
    """A cell's patches, or None if the step has not run.

    Raises:
        MedhashError: a file is damaged.
    """
    path = layout.lesions(cell)
    if not path.is_file():
        return None
    search = load_lesion_search(path)
    arrays: dict[str, Any] = read_arrays(layout.lesion_patches(cell), ("rows", "patches", "codes"))
    if isinstance(search, NoSearch):
        return LesionPatches("", search.reason, **arrays)
    return LesionPatches(search.source, "", **arrays)


class _Patches(Part):
    patches: int
