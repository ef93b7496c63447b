"""A small finished run, made by the real steps: two scales of one paper of three grids."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.flow.steps import Steps

PROJECT = Path(__file__).resolve().parents[2]

PAPER = {
    "paper": "mini",
    "title": "A paper of one dataset",
    "datasets": {"covid_ct": "COVID-CT-Dataset"},
    "methods": {"hashnet": {"title": "HashNet"}, "csq": {"title": "CSQ"}},
    "variants": {"none": "", "dbw": "+DBW"},
    "settings": {
        "network": {"image_size": 16, "patch_size": 4, "width": 16, "depth": 1, "heads": 2},
        "mae": {
            "epochs": 1,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "decoder_width": 8,
            "decoder_depth": 1,
            "decoder_heads": 2,
        },
        "classification": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
        "hashing": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3},
        "lcr": {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [2, 2]]},
    },
    "tables": {
        "table1": {
            "kind": "map",
            "title": "mAP (%)",
            "datasets": ["covid_ct"],
            "methods": ["hashnet", "csq"],
            "variants": ["none", "dbw"],
            "bits": [8],
        },
        "table2": {
            "kind": "wilcoxon",
            "title": "p-values",
            "datasets": ["covid_ct"],
            "methods": ["hashnet", "csq"],
            "compare": ["dbw", "none"],
            "bits": [8],
        },
    },
    "figures": {
        "table2": {  # a table and a figure may have the same name
            "kind": "precision_at_k",
            "title": "P@K curves",
            "datasets": ["covid_ct"],
            "methods": ["hashnet", "csq"],
            "variants": ["none", "dbw"],
            "bits": [8],
        },
    },
}
CLAIMS = {
    "paper": "mini",
    "claims": {
        "dbw_helps": {
            "place": "Table I",
            "says": "DBW beats the baselines",
            "rule": "better",
            "table": "table1",
            "pairs": [["dbw", "none"]],
            "tolerance": "0",
        }
    },
}
REAL = {"title": "images from archives", "seeds": [0, 1], "grid": {"papers": ["mini"]}}
SYNTHETIC = {
    "title": "phantoms",
    "phantoms": {"images": 40},
    "seeds": [0],
    "grid": {"papers": ["mini"], "methods": ["hashnet"]},
}
IMAGES_A_CLASS = 20


def build(root: Path, *scales: str, paper=PAPER) -> Path:
    """Configuration, archives and finished scales (``real``, ``synthetic``); the working folder
    must be ``root``."""
    shutil.copytree(PROJECT / "config", root / "config")
    shutil.copy(PROJECT / "Snakefile", root / "Snakefile")
    write_yaml(root / "config/papers/mini.yaml", paper)
    write_yaml(root / "config/papers/claims/mini.yaml", CLAIMS)
    write_yaml(root / "config/scales/real.yaml", REAL)
    write_yaml(root / "config/scales/synthetic.yaml", SYNTHETIC)
    write_yaml(root / "config/config.yaml", {"scale": "real", "download": False})
    _write_archives(root / "data/archives")
    for scale in scales:
        for step in Steps(load(overrides={"scale": scale})).all():
            medhash(*command(step), "--scale", scale)
    return root


@contextmanager
def working_in(root: Path) -> Iterator[Path]:
    """Work in a folder, with no archives but its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MEDHASH_ARCHIVES", raising=False)
        yield root


@contextmanager
def copy_of(finished: Path, folder: Path) -> Iterator[Path]:
    """Work in a copy of a finished tree, which a test may change."""
    shutil.copytree(finished, folder / "project")
    with working_in(folder / "project") as root:
        yield root


def command(step) -> list[str]:
    """A step as it is typed."""
    view, _, last = step.key.rpartition("/")
    if step.rule in ("prepare", "phantom"):
        return ["prepare", step.key]
    if step.rule in ("claims", "report"):
        return [step.rule]
    if step.rule == "pretrain":
        return ["pretrain", view, "--stage", last]
    if step.rule in ("split", "leakage"):
        return [step.rule, view]
    return [step.rule, step.key]


def medhash(*arguments: str, status: int = 0):
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def write_yaml(path: Path, content) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _write_archives(folder: Path) -> None:
    """COVID-CT in the layout of its repository; the classes differ in brightness, a little."""
    folder.mkdir(parents=True)
    for place, name in enumerate(("COVID", "NonCOVID")):
        with zipfile.ZipFile(folder / f"CT_{name}.zip", "w") as archive:
            for number in range(IMAGES_A_CLASS):
                seed = 100 * place + number
                archive.writestr(f"CT_{name}/{number}.png", _image(seed, 100 + 5 * place))


def _image(seed: int, brightness: int) -> bytes:
    noise = np.random.default_rng(seed).normal(brightness, 40, (20, 24, 3))
    stream = io.BytesIO()
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()
