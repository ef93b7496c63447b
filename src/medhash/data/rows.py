"""The rows of a dataset that a split gives to each part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def rows_of(split: Path, part: str) -> NDArray[np.int64]:
    """Rows, int64 (n,), of the index that a manifest gives to ``part``: a role, or ``train``."""
    manifest = pd.read_csv(split)
    chosen = manifest["train"] == 1 if part == "train" else manifest["role"] == part
    return manifest.loc[chosen, "row"].to_numpy(np.int64, copy=True)
