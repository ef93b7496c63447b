"""The files of a prepared dataset, and the columns of its index; see :mod:`.prepared`.

By themselves, because the steps name the files and need nothing that reads them.
"""

from __future__ import annotations

FILES = {
    "images": "images.npy",
    "labels": "labels.npy",
    "index": "index.csv",
    "description": "dataset.json",
}
MASKS = "masks.npy"
FINDINGS = "findings.npy"
GIST = "gist.npy"

# What the index says of every image; a reader's further groups and attributes follow.
INDEX_COLUMNS = (
    "image_id",
    "file",
    "classes",
    "sha256",
    "pixel_sha256",
    "perceptual_hash",
    "width",
    "height",
    "mode",
    "patient_id",
    "official_role",
)
GROUP_ENDING = "_id"
"""Of a column that says which images belong together."""
