"""A dataset of two classes that differ by a bright corner, as prepared files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_settings import make_settings

from medhash.schema.settings import Settings
from medhash.training.pretraining import pretrain
from medhash.training.task import CellInputs


@pytest.fixture
def settings() -> Settings:
    return make_settings()


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> CellInputs:
    folder = tmp_path_factory.mktemp("dataset")
    random = np.random.default_rng(5)
    classes = np.arange(60) % 2
    images = random.integers(0, 120, (60, 16, 16, 3), dtype=np.uint8)
    images[classes == 1, :6, :6] += 120
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.eye(2, dtype=np.uint8)[classes])
    role = np.where(np.arange(60) < 12, "query", "database")
    manifest = pd.DataFrame(
        {
            "row": np.arange(60),
            "image_id": [f"image{i}" for i in range(60)],
            "role": role,
            "train": (role == "database").astype(int),
        }
    )
    split = folder / "split.csv"
    manifest.to_csv(split, index=False)
    out = folder / "pretrain"
    tiny = make_settings()
    pretrain("mae", tiny, folder, split, out / "mae.safetensors")
    previous = out / "mae.safetensors"
    pretrained = out / "classification.safetensors"
    pretrain("classification", tiny, folder, split, pretrained, previous=previous)
    return CellInputs(folder, split, pretrained)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "cell"
