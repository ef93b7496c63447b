"""Settings that train a cell in a second."""

from __future__ import annotations

import json
from pathlib import Path

from medhash.files import sha256_of_file
from medhash.schema.settings import Settings


def make_settings(**changes: object) -> Settings:
    tiny = {
        "network": {"image_size": 16, "patch_size": 4, "width": 16, "depth": 1, "heads": 2},
        "mae": {
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "decoder_width": 8,
            "decoder_depth": 1,
            "decoder_heads": 2,
        },
        "classification": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3},
        "hashing": {
            "epochs": 4,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "augmentation": {"flip": 0.5, "least_area": 0.8},
        },
        "lcr": {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [2, 2]]},
    }
    return Settings.model_validate(tiny | changes)


def write_receipt(folder: Path) -> Path:
    """What the step that trains a cell leaves behind, as far as later steps read it."""
    from told import receipt  # not there for a process that is started in this folder

    (codes,) = [*folder.glob("codes.npz"), *folder.glob("descriptors.npz")]
    files = {"checkpoint": folder / "checkpoint.safetensors", "codes": codes}
    outputs = {
        name: {"path": path.as_posix(), "sha256": sha256_of_file(path)}
        for name, path in files.items()
    }
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt("train", "a", outputs=outputs)))
    return path
