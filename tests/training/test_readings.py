"""Settings for other readings of ACH: what they touch, what they leave alone, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_settings import make_settings

from medhash.configuration import relevant_settings
from medhash.errors import MedhashError
from medhash.methods import method_class
from medhash.methods.adsh import AdshSettings
from medhash.papers.ablations import Ablation, ablated
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.training.cells import train_cell
from medhash.training.devices import choose_device
from medhash.training.families.hashing import build_objective, load_objective
from medhash.training.loop import _optimiser
from medhash.training.task import CellInputs, Task

LCR = {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [2, 2]]}
TWO_EPOCHS = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3}
READINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "lcr.loss": ({"lcr": {"loss": "squared"}}, "hashnet", "lcr"),
    "lcr.strength": ({"lcr": {"strength": 0.25}}, "csq", "lfr"),
    "lcr.softmax": ({"lcr": {"softmax": "each-scale"}}, "dsh", "ach"),
    "lcr.weights": ({"lcr": {"weights": "intraclass-far"}}, "dsh", "ach"),
    "lcr.share sum": ({"lcr": {"share": "sum"}}, "adsh", "lcr"),
    "lcr.share mean": ({"lcr": {"share": "mean"}}, "adsh", "lfr"),
    "keep": ({"lcr": {"other_classes": "keep"}}, "transhash", "lcr"),
    "ignore": ({"lcr": {"other_classes": "ignore"}}, "transhash", "ach"),
    "ignore, centres": ({"lcr": {"other_classes": "ignore"}}, "csq", "lcr"),
    "dbw.population": ({"dbw": {"population": "batch"}}, "hashnet", "dbw"),
    "hashnet.alpha": ({"methods": {"hashnet": {"alpha": 0.1}}}, "hashnet", "none"),
    "dbdh.pairs": ({"methods": {"dbdh": {"pairs": "training"}}}, "dbdh", "ach"),
    "dbdh.straight_through": ({"methods": {"dbdh": {"straight_through": False}}}, "dbdh", "none"),
    "adsh.first_codes": ({"methods": {"adsh": {"first_codes": "zeros"}}}, "adsh", "ach"),
    "dsh.soft_targets": ({"methods": {"dsh": {"soft_targets": "inner-product"}}}, "dsh", "lcr"),
    "csq.pairwise": ({"methods": {"csq": {"pairwise": 0.2}}}, "csq", "none"),
    "decay_tokens": ({"hashing": {"decay_tokens": False}}, "csq", "none"),
}
"""What is set, and a method and a variant that read it."""


def settings_with(change: dict[str, Any]) -> Settings:
    tree = {"lcr": LCR, "hashing": TWO_EPOCHS}
    return make_settings(**{key: tree.get(key, {}) | change.get(key, {}) for key in tree | change})


def cell_of(method: str, variant: str) -> Cell:
    return Cell("ach", "toy", method, variant, 8, 0)


@pytest.mark.parametrize("reading", READINGS)
def test_a_reading_trains_and_gives_other_weights(reading, files, tmp_path):
    change, method, variant = READINGS[reading]
    checkpoints = []
    for name, tree in (("plain", {}), ("own", change)):
        folder = tmp_path / name
        train_cell(cell_of(method, variant), settings_with(tree), files, folder, device="cpu")
        checkpoints.append((folder / "checkpoint.safetensors").read_bytes())
    assert checkpoints[0] != checkpoints[1]


TOUCHED = {
    "lcr.loss": {"lcr", "ach", "lfr", "dbw+lfr"},
    "lcr.share sum": {"lcr", "lfr"},
    "keep": {"lcr", "ach"},
    "dbw.population": {"dbw", "ach", "dbw+lfr"},
}


@pytest.mark.parametrize("reading", TOUCHED)
def test_a_reading_is_part_of_the_cells_that_read_it(reading):
    own, plain = settings_with(READINGS[reading][0]), settings_with({})
    changed = {
        variant
        for variant in ("none", "dbw", "lcr", "ach", "lfr", "dbw+lfr")
        if relevant_settings.training(own, cell_of("dsh", variant))
        != relevant_settings.training(plain, cell_of("dsh", variant))
    }
    assert changed == TOUCHED[reading]


def test_at_its_default_no_later_setting_is_named():
    """What a receipt holds is what it held before these settings came."""
    kept = relevant_settings.training(settings_with({}), cell_of("dsh", "lcr"))
    assert set(kept["lcr"]) == {
        "window",
        "segment",
        "key_points",
        "mask_scales",
        "segment_encoding",
        "weights",
        "start_epoch",
    }
    assert "decay_tokens" not in kept["hashing"]
    for method in ("hashnet", "csq", "adsh", "dbdh"):
        written = method_class(method).Settings().model_dump()
        assert not {"alpha", "pairwise", "first_codes", "database", "pairs"} & set(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lcr": {"strength": 0}}, "greater than 0"),
        ({"lcr": {"other_classes": "drop"}}, "'remaining', 'keep' or 'ignore'"),
        (
            {"network": {"kind": "dsh", "image_size": 16}, "hashing": {"decay_tokens": False}},
            "hashing.decay_tokens: the backbone 'dsh' has no tokens",
        ),
    ],
)
def test_what_does_not_apply_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        settings_with(change)


@pytest.mark.parametrize(
    ("method", "own", "message"),
    [
        ("dsh", {"soft_targets": "inner-product", "activation": "linear"}, "set activation: tanh"),
    ],
)
def test_a_method_refuses_what_excludes_each_other(method, own, message):
    with pytest.raises(ValueError, match=message):
        method_class(method).Settings(**own)


def test_v_may_be_the_whole_database(files, out):
    """Of a split that trains on every third image of its database."""
    manifest = pd.read_csv(files.split)
    manifest["train"] = ((manifest["role"] == "database") & (manifest["row"] % 3 == 0)).astype(int)
    out.mkdir()
    split = out / "split.csv"
    manifest.to_csv(split, index=False)
    inputs = CellInputs(files.data_folder, split, files.pretrained)
    settings = settings_with({"methods": {"adsh": {"database": "whole", "alternation_epochs": 1}}})
    train_cell(cell_of("adsh", "lcr"), settings, inputs, out, device="cpu")
    task = Task(cell_of("adsh", "lcr"), settings, inputs, out, "cpu")
    method = load_objective(task)[0].method
    assert method.database_codes.shape == (48, 8)
    assert method.query_codes.shape == (16, 8)
    labels = np.load(files.data_folder / "labels.npy")[12:]
    assert np.array_equal(method.database_labels.numpy(), labels)
    rows = manifest.loc[manifest["train"] == 1, "row"].to_numpy()
    assert method.places.tolist() == (rows - 12).tolist()
    similar = 16 * 24
    assert method.dissimilar_target == -similar / (16 * 48 - similar)


def test_the_whole_database_must_hold_the_training_images():
    labels = torch.eye(2)[torch.arange(4) % 2]
    own = AdshSettings(database="whole")
    method = method_class("adsh")(own, 8, labels, torch.Generator().manual_seed(0))
    with pytest.raises(MedhashError, match="all in the database; set database: train"):
        method.stand_among(labels, torch.tensor([0, -1, 2, 3]))


def test_an_ablation_may_change_any_setting_of_lcr():
    settings = settings_with({"lcr": {"strength": 0.5}})
    change = {"strength": 1.0, "other_classes": "keep", "mask_scales": [[4, 4]]}
    found = ablated(
        settings, "lcr~other", {"other": Ablation.model_validate({"lcr": change})}, 16
    ).lcr
    assert (found.strength, found.other_classes, found.mask_scales) == (1.0, "keep", ((1, 1),))
    assert found.window == (3, 3)


@pytest.mark.parametrize("decay_tokens", [True, False])
def test_tokens_are_decayed_unless_told_otherwise(decay_tokens):
    settings = settings_with({"hashing": {"decay_tokens": decay_tokens, "weight_decay": 0.1}})
    device = choose_device("cpu", precision="float32", threads=1)
    objective = build_objective(cell_of("csq", "none"), settings, torch.eye(2), device)
    groups = _optimiser(objective, settings.hashing, device).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    names = {
        name.rpartition(".")[2] for name, p in objective.named_parameters() if id(p) in decayed
    }
    assert ({"pos_embed", "cls_token"} <= names) == decay_tokens
    assert "weight" in names
    assert "bias" not in names
