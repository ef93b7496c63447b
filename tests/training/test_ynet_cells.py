"""Y-Net's cells: with masks, without, at two lengths, resumed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_data import write_squares
from tiny_settings import make_settings

from medhash.errors import MedhashError
from medhash.retrieval.arrays import read_arrays
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.reading import load
from medhash.schema.cell import Cell
from medhash.schema.shown import ExplanationSettings
from medhash.trained.cell import encode_again, load_encoder
from medhash.trained.explanation import explain_cell
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs, Task

YNET = Cell("ynet", "toy", "ynet", "none", 16, 0)
NETWORK = {"kind": "ynet_main", "image_size": 64, "width": 0.125}
TRAINING = {"epochs": 6, "batch_size": 16, "learning_rate": 3e-3, "optimiser": "adam"}
# A random filter for all places, made of few channels, can give every bit one value.
OWN = {"region_channels": 16, "threshold": "train-mean"}


def settings_of(name="ynet", **own):
    methods = {name: OWN | own}
    return make_settings(network=NETWORK, stored_size=64, hashing=TRAINING, methods=methods)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    write_squares(folder, 48, 12, ["background", "square"])
    return folder


def inputs_of(data, *needs):
    return CellInputs(data, data / "split.csv", needs=("images", *needs))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ynet") / "cell"
    train_cell(YNET, settings_of(), inputs_of(data, "masks"), folder, device="cpu")
    return folder


def test_both_losses_fall_and_what_is_easy_is_retrieved(trained):
    losses = pd.read_csv(trained / "train.csv")
    terms = ["segmentation", "classification"]
    assert losses.columns.tolist() == ["epoch", "learning_rate", *terms]
    assert (losses[terms].iloc[-1] < losses[terms].iloc[0]).all()
    assert evaluate(load(trained / "codes.npz")).metrics["map"] > 0.8


@pytest.mark.parametrize("masks_are_here", [True, False])
def test_the_checkpoint_gives_the_same_codes_without_a_mask(
    trained, data, tmp_path, masks_are_here
):
    folder = shutil.copytree(data, tmp_path / "data")
    if not masks_are_here:
        (folder / "masks.npy").unlink()
    inputs = CellInputs(folder, folder / "split.csv")
    again = encode_again(Task(YNET, settings_of(), inputs, trained, "cpu"))
    kept = load(trained / "codes.npz")
    assert np.array_equal(again.query_vectors, kept.query_vectors)
    assert np.array_equal(again.database_vectors, kept.database_vectors)


def test_the_number_of_bits_changes_no_trained_weight(trained, data, tmp_path):
    longer = replace(YNET, bits=36)
    train_cell(longer, settings_of(), inputs_of(data, "masks"), tmp_path, device="cpu")
    own, other = (load_file(folder / "checkpoint.safetensors") for folder in (trained, tmp_path))
    assert own.keys() == other.keys()
    different = {name for name in own if own[name].shape != other[name].shape}
    assert different == {"method.threshold", "method.hashing.weight", "method.hashing.bias"}
    assert all(torch.equal(own[name], other[name]) for name in own.keys() - different)
    assert (trained / "train.csv").read_bytes() == (tmp_path / "train.csv").read_bytes()
    assert load(tmp_path / "codes.npz").length == 36


def test_a_run_that_was_stopped_ends_in_the_same_bytes(trained, data, tmp_path):
    inputs, asked = inputs_of(data, "masks"), iter([False, True])
    with pytest.raises(MedhashError, match="epoch 2"):
        train_cell(YNET, settings_of(), inputs, tmp_path, device="cpu", pause=lambda: next(asked))
    train_cell(YNET, settings_of(), inputs, tmp_path, device="cpu")
    for name in ("checkpoint.safetensors", "codes.npz", "train.csv"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_without_branches_nothing_or_a_ranking_is_trained(data, tmp_path):
    cut = {"segmentation": False, "classification": "none"}
    for main, epochs in (("untrained", 0), ("triplet", 6)):
        own = settings_of(main=main, **cut)
        train_cell(YNET, own, inputs_of(data, "masks"), tmp_path / main, device="cpu")
        facts = json.loads((tmp_path / main / "training.json").read_text())
        assert facts["epochs"] == len(facts["states"]) == epochs


def test_without_masks_the_other_branch_is_trained(data, tmp_path):
    cell = replace(YNET, method="ynet_no_fpn")
    train_cell(cell, settings_of("ynet_no_fpn"), inputs_of(data), tmp_path, device="cpu")
    assert list(pd.read_csv(tmp_path / "train.csv"))[2:] == ["classification"]


def test_ddmh_goes_on_with_its_queue_and_its_slow_copy(data, tmp_path):
    cell, own = replace(YNET, method="ddmh"), {"ddmh": {"momentum": 0.8, "queue": 40}}
    longer = settings_of().hashing.model_copy(update={"epochs": 14, "schedule": "cosine"})
    own = settings_of().model_copy(update={"methods": own, "hashing": longer})
    asked = iter([True, *[False] * 13])
    with pytest.raises(MedhashError, match="epoch 1"):
        train_cell(cell, own, inputs_of(data), tmp_path, device="cpu", pause=lambda: next(asked))
    train_cell(cell, own, inputs_of(data), tmp_path, device="cpu")
    train_cell(cell, own, inputs_of(data), tmp_path / "whole", device="cpu")
    for name in ("checkpoint.safetensors", "codes.npz", "train.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    losses = pd.read_csv(tmp_path / "train.csv")
    assert list(losses)[2:] == ["triplet", "quantisation"]
    assert losses["triplet"].iloc[-1] < losses["triplet"].iloc[0]
    assert evaluate(load(tmp_path / "codes.npz")).metrics["map"] > 0.8


def test_deep_vision_trains_its_detector_and_codes_the_same_again(data, tmp_path):
    cell = replace(YNET, method="deep_vision_solo", bits=192)
    network = {"kind": "resnet50", "image_size": 64, "width": 0.0625}
    own = {"detector": "faster-rcnn", "pyramid_channels": 8, "head_units": 16}
    settings = make_settings(
        network=network,
        stored_size=64,
        hashing=TRAINING | {"epochs": 1},
        methods={cell.method: own},
    )
    train_cell(cell, settings, inputs_of(data, "masks"), tmp_path, device="cpu")
    assert len(list(pd.read_csv(tmp_path / "train.csv"))[2:]) == 4
    kept = load(tmp_path / "descriptors.npz")
    assert np.linalg.norm(kept.query_descriptors, axis=1) == pytest.approx(np.ones(12))
    again = encode_again(Task(cell, settings, inputs_of(data, "masks"), tmp_path, "cpu"))
    assert np.array_equal(again.query_vectors, kept.query_vectors)


def test_half_precision_trains_both_branches(data, tmp_path):
    own = settings_of().model_copy(update={"precision": "bfloat16"})
    train_cell(YNET, own, inputs_of(data, "masks"), tmp_path, device="cpu")
    assert np.isfinite(pd.read_csv(tmp_path / "train.csv").to_numpy()).all()


def test_its_maps_are_means_over_the_channels_of_what_its_branches_see(trained, data, tmp_path):
    task = Task(YNET, settings_of(), inputs_of(data, "masks"), trained, "cpu")
    path = tmp_path / "explanation.npz"
    explain_cell(task, ExplanationSettings(images_per_class=2), path)
    arrays = read_arrays(path, ("rows", "core", "rmac", "t3", "t2", "t1"))
    assert len(arrays["rows"]) == 4
    method, rows = load_encoder(task).method, arrays["rows"]
    images = torch.from_numpy(np.load(data / "images.npy")[rows])
    with torch.no_grad():
        stages = method.network.maps(method.network.normalise(images))
        wanted = {"core": stages[-1], "rmac": method.rmac.norm(method.rmac.convolution(stages[-1]))}
        wanted |= zip(("t3", "t2", "t1"), method.fpn.top_down(stages), strict=True)
    for name, maps in wanted.items():
        for image, row, column in np.ndindex(len(rows), *maps.shape[2:]):
            values = [float(value) for value in maps[image, :, row, column]]
            mean = sum(values) / len(values)
            assert arrays[name][image, row, column] == pytest.approx(mean, rel=1e-4, abs=1e-6)


def test_a_branch_that_is_cut_has_no_map(data, tmp_path):
    cell, own = replace(YNET, method="ynet_no_fpn"), settings_of("ynet_no_fpn")
    train_cell(cell, own, inputs_of(data), tmp_path, device="cpu")
    path = tmp_path / "explanation.npz"
    explain_cell(Task(cell, own, inputs_of(data), tmp_path, "cpu"), ExplanationSettings(), path)
    with pytest.raises(MedhashError, match="array t3 is missing; the file has core, rmac, rows"):
        read_arrays(path, ("t3",))
