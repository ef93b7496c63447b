"""Prepared datasets of two classes that are learned in a few epochs."""

import json

import numpy as np
import pandas as pd

from told import description


def write_stripes(folder, count):
    """64 x 64 images with stripes across or down; the first twelve are queries."""
    random = np.random.default_rng(5)
    classes = np.arange(count) % 2
    images = random.integers(0, 120, (count, 64, 64, 3), dtype=np.uint8)
    images[classes == 0, ::4] += 120
    images[classes == 1, :, ::4] += 120
    _write(folder, images, classes, 12)


def write_squares(folder, count, queries, mask_classes):
    """Dark 64 x 64 images with a bright square, a small or a large one; masks are the squares."""
    random = np.random.default_rng(5)
    classes = np.arange(count) % 2
    images = random.integers(0, 60, (count, 64, 64, 3), dtype=np.uint8)
    masks = np.zeros((count, 64, 64), np.uint8)
    for row, size in enumerate(np.where(classes == 1, 40, 12)):
        top, left = random.integers(0, 64 - size, 2)
        images[row, top : top + size, left : left + size] += 150
        masks[row, top : top + size, left : left + size] = 1
    np.save(folder / "masks.npy", masks)
    _write(folder, images, classes, queries, mask_classes=mask_classes)


def _write(folder, images, classes, queries, **told):
    rows = np.arange(len(images))
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.eye(2, dtype=np.uint8)[classes])
    role = np.where(rows < queries, "query", "database")
    manifest = {"row": rows, "image_id": rows, "role": role, "train": (rows >= queries).astype(int)}
    pd.DataFrame(manifest).to_csv(folder / "split.csv", index=False)
    told = description(synthetic=True, **told)
    (folder / "dataset.json").write_text(json.dumps(told))
