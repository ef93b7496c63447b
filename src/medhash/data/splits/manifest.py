"""Manifests: a split as a file, read back and checked against its hash."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.files import sha256_of_file

ROLES = ("query", "database", "validation", "none")


def read_split(csv_path: Path) -> pd.DataFrame:
    """Read a manifest back, and check it against the hash beside it.

    Returns:
        Columns ``row`` (int64), ``image_id`` (text), ``role`` (text), ``train`` (int64).

    Raises:
        MedhashError: there is none, or it is not the one that its JSON describes.
    """
    if not csv_path.is_file():
        raise MedhashError(f"{csv_path}: no such file; `medhash split` draws it")
    summary_path = csv_path.with_suffix(".json")
    if summary_path.is_file():
        pinned = json.loads(summary_path.read_text(encoding="utf-8"))["manifest_sha256"]
        if sha256_of_file(csv_path) != pinned:
            raise MedhashError(
                f"{csv_path}: its content is not what {summary_path.name} describes "
                "(manifest_sha256 differs); delete both and draw the split again"
            )
    types = {"row": np.int64, "image_id": str, "role": str, "train": np.int64}
    return pd.read_csv(csv_path, dtype=types, keep_default_na=False)


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
