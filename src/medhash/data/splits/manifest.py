"""Manifests: a split as a file, read back and checked against its hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.stored import Part, read_csv, read_tree

_DRAW_AGAIN = "`medhash split` draws it"
ROLES = ("query", "database", "validation", "none")


class SplitSummary(Part):
    """What the JSON beside every manifest says."""

    dataset: str
    seed: int
    sizes: dict[str, int]
    manifest_sha256: str


def read_split(csv_path: Path) -> pd.DataFrame:
    """Read a manifest back, and check it against the hash beside it.

    Returns:
        Columns ``row`` (int64), ``image_id`` (text), ``role`` (text), ``train`` (int64).

    Raises:
        MedhashError: there is none, or it is not the one that its JSON describes.
    """
    summary_path = csv_path.with_suffix(".json")
    if summary_path.is_file():
        pinned = read_summary(csv_path)["manifest_sha256"]
        if csv_path.is_file() and sha256_of_file(csv_path) != pinned:
            raise MedhashError(
                f"{csv_path}: its content is not what {summary_path.name} describes "
                "(manifest_sha256 differs); delete both and draw the split again"
            )
    types = {"row": np.int64, "image_id": str, "role": str, "train": np.int64}
    return read_csv(csv_path, tuple(types), _DRAW_AGAIN, types)


def read_summary(csv_path: Path) -> dict[str, Any]:
    """What the JSON beside a manifest says.

    Raises:
        MedhashError: it is not here, or not whole.
    """
    return read_tree(
        csv_path.with_suffix(".json"), SplitSummary, _DRAW_AGAIN, "description of a split"
    )


def rows_of(csv_path: Path, part: str) -> NDArray[np.int64]:
    """The rows of the dataset that a manifest gives to a part, int64 (n,), ascending.

    Args:
        csv_path: the manifest.
        part: ``train`` or one of the roles.

    Raises:
        MedhashError: as :func:`read_split`.
    """
    manifest = read_split(csv_path)
    chosen = manifest["train"] == 1 if part == "train" else manifest["role"] == part
    return manifest.loc[chosen, "row"].to_numpy(np.int64, copy=True)
