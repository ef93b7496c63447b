"""Two explained cells of a small dataset, for the figures that show images."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from told import description

CELLS = [Cell("ach", "phantom_x", "adsh", variant, 8, 0) for variant in ("none", "ach")]
IMAGES, QUERIES = 60, 20


def write_cells(layout, classes):
    """Sixty images of two classes in turn, random codes, and an explanation of four of them."""
    random = np.random.default_rng(0)
    folder = layout.data("phantom_x", 32)
    folder.mkdir(parents=True)
    labels = np.eye(2, dtype=np.uint8)[np.arange(IMAGES) % 2]
    images = random.integers(0, 255, (IMAGES, 16, 16, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    (folder / "dataset.json").write_text(json.dumps(description(classes=classes)))
    query, database = np.arange(QUERIES), np.arange(QUERIES, IMAGES)
    for cell in CELLS:
        bits = random.integers(0, 256, (IMAGES, 1), dtype=np.uint8)
        sides = bits[query], bits[database], 8, labels[query], labels[database], query, database
        Codes(*sides).save(layout.codes(cell))
        maps = {name: random.random((4, 4, 4)) for name in ("patch_embedding", "cam", "grad_cam")}
        rest = {
            "rows": np.array([0, 2, 1, 3]),
            "area": np.ones((4, 2), int),
            "key_point": np.full((4, 2), 2),
            "window": np.array([2, 2]),
            "mask_scales": np.array([[1, 1], [2, 2]]),
            "scale_weights": np.full((4, 2), [0.25, 0.75]),
            "scale_shift": random.random((4, 2)),
            "feature_rows": query,
            "features": random.normal(size=(QUERIES, 8)).astype(np.float32),
        }
        write_arrays(layout.explanation(cell), maps | rest)


def files_of(layout):
    """Where the files of the cells lie, as a configuration says it."""
    return SimpleNamespace(layout=layout, data_of=lambda cell: layout.data(cell.dataset, 32))
