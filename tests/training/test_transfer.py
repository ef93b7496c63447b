"""Cells with an origin: what training starts from, and pauses between epochs."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
import torch
from tiny_settings import make_settings

from medhash.errors import MedhashError
from medhash.schema.cell import Cell
from medhash.training.cells import train_cell
from medhash.training.checkpoints import load_tensors
from medhash.training.loop import PausedError
from medhash.training.pretraining import pretrain, resume_file

SOURCE = Cell("ach", "toy", "csq", "none", 8, 0)
FROM_SOURCE = replace(SOURCE, dataset="other", origin="toy")
FROM_SCRATCH = replace(SOURCE, dataset="other", origin="scratch")
# So slow that training moves no weight by more than rounding.
STANDING_STILL = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-12, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def source(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    train_cell(SOURCE, make_settings(), files, folder, device="cpu")
    return folder / "checkpoint.safetensors"


def network_of(path):
    tensors, _ = load_tensors(path)
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("network.") and "normalisation" not in name
    }


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_fine_tuning_starts_from_the_whole_network_of_the_source(files, source, out):
    still = make_settings(hashing=STANDING_STILL)
    train_cell(FROM_SOURCE, still, replace(files, pretrained=source), out, device="cpu")
    assert same(network_of(out / "checkpoint.safetensors"), network_of(source))


def test_fine_tuning_moves_on_from_there(files, source, out):
    inputs = replace(files, pretrained=source)
    train_cell(FROM_SOURCE, make_settings(), inputs, out, device="cpu")
    assert not same(network_of(out / "checkpoint.safetensors"), network_of(source))


def test_from_scratch_nothing_that_was_pretrained_is_used(files, source, tmp_path):
    still = make_settings(hashing=STANDING_STILL)
    for name, pretrained in (("none", None), ("source", source)):
        inputs = replace(files, pretrained=pretrained)
        train_cell(FROM_SCRATCH, still, inputs, tmp_path / name, device="cpu")
    weights = [network_of(tmp_path / n / "checkpoint.safetensors") for n in ("none", "source")]
    assert same(*weights)
    assert not same(weights[0], network_of(source))


def test_pretrained_weights_that_are_missing_are_named(files, settings, out):
    with pytest.raises(MedhashError, match="ach/other@toy/csq/none/8/0: no pretrained weights"):
        train_cell(FROM_SOURCE, settings, replace(files, pretrained=None), out, device="cpu")


def test_a_source_of_another_length_is_refused(files, settings, source, out):
    longer = replace(FROM_SOURCE, bits=16)
    with pytest.raises(MedhashError, match=r"checkpoint\.safetensors: this network does not fit"):
        train_cell(longer, settings, replace(files, pretrained=source), out, device="cpu")


def test_a_paused_cell_goes_on_and_ends_in_the_same_bytes(files, settings, tmp_path):
    cell = Cell("ach", "toy", "adsh", "ach", 8, 0)
    whole, paused = tmp_path / "whole", tmp_path / "paused"
    train_cell(cell, settings, files, whole, device="cpu")
    for epochs in (1, 2, 3):
        with pytest.raises(PausedError, match=f"paused after epoch {epochs}"):
            train_cell(cell, settings, files, paused, device="cpu", pause=lambda: True)
    assert [path.name for path in paused.iterdir()] == [".resume.safetensors"]
    train_cell(cell, settings, files, paused, device="cpu", pause=lambda: True)
    for file in ("codes.npz", "checkpoint.safetensors", "train.csv"):
        assert (whole / file).read_bytes() == (paused / file).read_bytes()


def test_pretraining_pauses_too(files, settings, tmp_path):
    out = tmp_path / "mae.safetensors"
    arguments = ("mae", settings, files.data_folder, files.split, out)
    with pytest.raises(PausedError):
        pretrain(*arguments, pause=lambda: True)
    assert not out.exists()
    assert resume_file(out).exists()
    pretrain(*arguments, pause=lambda: True)
    assert out.read_bytes() == files.pretrained.with_name("mae.safetensors").read_bytes()


def test_a_full_disk_is_one_clear_error_and_leaves_no_half_file(files, settings, out, monkeypatch):
    def save_file(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("medhash.training.checkpoints.save_file", save_file)
    with pytest.raises(MedhashError, match=r"No space left on device.*make room and start again"):
        train_cell(SOURCE, settings, files, out, device="cpu")
    assert not list(out.iterdir())
