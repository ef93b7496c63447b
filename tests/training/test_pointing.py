"""Masks at given places in training, and the pointing game."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_settings import make_settings

from medhash.causal.lcr import LesionReasoning
from medhash.errors import MedhashError
from medhash.schema.cell import Cell
from medhash.trained.pointing import play
from medhash.training import hashing
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs, Task

PATCHES = {(0, 0), (0, 1), (1, 0), (1, 1)}
"""Where the lesion of the second class is, on the grid of 4 x 4 patches."""


@pytest.fixture(scope="module")
def marked(files, tmp_path_factory):
    """The same data with masks: the second class has its bright corner, the first nothing."""
    folder = tmp_path_factory.mktemp("marked")
    for name in ("images.npy", "labels.npy"):
        (folder / name).write_bytes((files.data_folder / name).read_bytes())
    masks = np.zeros((60, 16, 16), dtype=np.uint8)
    masks[np.arange(60) % 2 == 1, :6, :6] = 1
    np.save(folder / "masks.npy", masks)
    return CellInputs(folder, files.split, files.pretrained, ("images", "masks"))


def cell(variant="ach"):
    return Cell("ach", "toy", "hashnet", variant, 8, 0)


def settings_at(where):
    lcr = make_settings().lcr.model_dump() | {"where": where}
    plain = make_settings().hashing.model_dump() | {"augmentation": {}}
    return make_settings(lcr=lcr, hashing=plain)


@pytest.mark.parametrize("where", ["lesion", "outside", "random"])
def test_masks_lie_where_the_settings_say(where, marked, tmp_path, monkeypatch):
    points, labels = [], []
    own = LesionReasoning._key_points

    def spied(self, scene, encoder, generator):
        found = own(self, scene, encoder, generator)
        points.extend(map(tuple, found.tolist()))
        labels.extend(scene.labels[:, 1].tolist())
        return found

    monkeypatch.setattr(LesionReasoning, "_key_points", spied)
    train_cell(cell(), settings_at(where), marked, tmp_path / "cell", device="cpu")
    of_lesions = {point for point, ill in zip(points, labels, strict=True) if ill}
    of_others = {point for point, ill in zip(points, labels, strict=True) if not ill}
    free = {(h, w) for h in range(4) for w in range(4) if h > 2 or w > 2}
    expected = {"lesion": PATCHES, "outside": free, "random": of_others}[where]
    assert of_lesions == expected
    assert len(of_others) == 16


def test_the_random_patch_needs_no_masks(files, marked, tmp_path):
    states = []
    for inputs in (files, marked):
        folder = tmp_path / inputs.data_folder.name
        train_cell(cell(), settings_at("random"), inputs, folder, device="cpu")
        states.append(json.loads((folder / "training.json").read_text())["states"])
    assert states[0] == states[1]


@pytest.mark.parametrize("variant", ["none", "ach"])
def test_the_game_is_played_with_the_cell_as_it_was_trained(variant, files, marked, tmp_path):
    settings = make_settings()
    train_cell(cell(variant), settings, files, tmp_path / "cell", device="cpu")
    facts = json.loads((tmp_path / "cell" / "training.json").read_text())
    images, epochs = play(Task(cell(variant), settings, marked, tmp_path, "cpu"))
    assert [each["state"] for each in epochs] == facts["states"]
    assert [each["epoch"] for each in epochs] == [1, 2, 3, 4]
    assert images == 24
    assert all(each["chance"] == pytest.approx(4 / 16) for each in epochs)


def test_hits_are_counted_patch_by_patch(marked, tmp_path, monkeypatch):
    """A network that looks at a corner alone hits it, or never does."""
    corner = {"top": (0, 0), "bottom": (2, 2)}
    for name, (row, column) in corner.items():

        def look(self, pixels, row=row, column=column):
            tokens = self.embed(pixels)
            features = torch.zeros_like(tokens).unflatten(1, (4, 4))
            features[:, row : row + 2, column : column + 2] = 1
            return tokens, features.flatten(1, 2)

        settings = make_settings(
            lcr=make_settings().lcr.model_dump() | {"window": (2, 2)},
            hashing=make_settings().hashing.model_dump() | {"epochs": 1},
        )
        with monkeypatch.context() as patched:
            patched.setattr(hashing.Coder, "look", look)
            _, (epoch,) = play(Task(cell("none"), settings, marked, tmp_path / name, "cpu"))
        assert (epoch["hit"], epoch["window"]) == ((1, 1) if name == "top" else (0, 0))


def test_without_lesions_nothing_can_be_pointed_at(files, tmp_path):
    with pytest.raises(MedhashError, match="no training image of toy has a lesion"):
        play(Task(cell(), make_settings(), files, tmp_path, "cpu"))
    itq = replace(cell(), method="itq", variant="none")
    with pytest.raises(MedhashError, match="itq is no hashing method"):
        play(Task(itq, make_settings(), files, tmp_path, "cpu"))
