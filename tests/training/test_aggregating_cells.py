"""Cells of the methods that aggregate a map: of a shared classifier's, or of their own network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_data import write_stripes
from tiny_settings import make_settings

from medhash.errors import MedhashError
from medhash.models.aggregation import unit
from medhash.models.regions import as_maps, region_grid, rmac
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.reading import load
from medhash.schema.cell import Cell
from medhash.trained.cell import encode_again, load_encoder
from medhash.training.cells import train_cell
from medhash.training.pretraining import pretrain
from medhash.training.task import CellInputs, Task

RESNET = {"kind": "resnet50", "image_size": 64, "width": 0.05}
VGG = {"kind": "vgg16_bn", "image_size": 64, "width": 0.05}
SMALL = {"epochs": 6, "batch_size": 16, "learning_rate": 3e-3, "optimiser": "adam"}
WIDE, NARROW = 104, 52  # channels of the last two maps
LENGTHS = {
    **{"rmac": 26, "blcf": 30, "cam": WIDE, "regional_attention": WIDE},
    **{"rmac_rpn": WIDE + NARROW, "solar_local": NARROW},
}
NETWORKS = {"rmac": VGG, "blcf": VGG, "solar_local": RESNET | {"stages": 3}}
OWN = {"blcf": {"components": 8}, "regional_attention": {"levels": 3}}
SHARED = ["rmac", "blcf", "cam", "regional_attention"]


def cell_of(method, **changes):
    return replace(Cell("ynet", "toy", method, "none", LENGTHS[method], 0), **changes)


def settings_of(method, **own):
    network = NETWORKS.get(method, RESNET)
    methods = {method: OWN.get(method, {}) | own}
    return make_settings(
        network=network, stored_size=64, classification=SMALL, hashing=SMALL, methods=methods
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes")
    write_stripes(folder, 48)
    for method in ("rmac", "cam"):
        own = settings_of(method)
        out = folder / f"{own.network.kind}.safetensors"
        pretrain(own.network.kind, own, folder, folder / "split.csv", out)
    return folder


def inputs_of(method, data):
    kind = NETWORKS.get(method, RESNET)["kind"]
    pretrained = data / f"{kind}.safetensors" if method in SHARED else None
    return CellInputs(data, data / "split.csv", pretrained)


@pytest.fixture(scope="module", params=LENGTHS)
def trained(request, data, tmp_path_factory):
    method, folder = request.param, tmp_path_factory.mktemp(request.param) / "cell"
    train_cell(cell_of(method), settings_of(method), inputs_of(method, data), folder, device="cpu")
    return method, folder


def test_what_is_easy_is_retrieved_by_descriptors_of_length_one(trained):
    method, folder = trained
    vectors = load(folder / "descriptors.npz")
    assert vectors.length == LENGTHS[method]
    assert np.linalg.norm(vectors.database_descriptors, axis=1) == pytest.approx(np.ones(36))
    assert evaluate(vectors).metrics["map"] > 0.65


def test_the_checkpoint_gives_the_same_descriptors(trained, data):
    method, folder = trained
    task = Task(cell_of(method), settings_of(method), inputs_of(method, data), folder, "cpu")
    again = encode_again(task)
    assert np.array_equal(again.query_vectors, load(folder / "descriptors.npz").query_vectors)


def test_only_what_has_losses_is_trained(trained):
    method, folder = trained
    terms = list(pd.read_csv(folder / "train.csv"))[2:]
    expected = {
        "regional_attention": ["cross_entropy"],
        "rmac_rpn": ["cross_entropy"],
        "solar_local": ["triplet", "second_order"],
    }
    assert terms == expected.get(method, [])


def test_a_length_that_the_network_does_not_have_is_refused(data, tmp_path):
    for method in set(LENGTHS) - {"blcf"}:
        cell = cell_of(method, bits=LENGTHS[method] + 1)
        with pytest.raises(MedhashError, match=rf"of {LENGTHS[method]} numbers"):
            train_cell(cell, settings_of(method), inputs_of(method, data), tmp_path, device="cpu")


def test_rmac_is_of_the_classifiers_map(data, tmp_path):
    cell, own, inputs = cell_of("rmac"), settings_of("rmac"), inputs_of("rmac", data)
    train_cell(cell, own, inputs, tmp_path, device="cpu")
    network = load_encoder(Task(cell, own, inputs, tmp_path, "cpu")).method.network
    images = torch.from_numpy(np.load(data / "images.npy")[:12])
    with torch.no_grad():
        maps = as_maps(network.encode(network.normalise(images)), 2)
        expected = rmac(maps, region_grid(2, 3)).numpy()
    assert maps.shape == (12, 26, 2, 2)
    found = load(tmp_path / "descriptors.npz").query_descriptors
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", ["cam", "regional_attention"])
def test_the_last_layer_is_the_shared_classifiers(method, data, tmp_path):
    own, inputs = settings_of(method), inputs_of(method, data)
    train_cell(cell_of(method), own, inputs, tmp_path, device="cpu")
    shared, kept = load_file(inputs.pretrained), load_file(tmp_path / "checkpoint.safetensors")
    for name, tensor in shared.items():
        place = "class_layer." + name[11:] if name.startswith("classifier.") else f"network.{name}"
        if name not in ("mean", "deviation"):
            assert torch.equal(kept[f"method.{place}"], tensor), name
    assert "classifier.weight" in shared


def test_a_classifier_with_hidden_layers_has_no_activation_maps(data, tmp_path):
    own = settings_of("cam").model_copy(update={"network": settings_of("rmac").network})
    inputs = inputs_of("rmac", data)
    with pytest.raises(MedhashError, match=r"as CAM needs it; set network\.kind to a residual"):
        train_cell(cell_of("cam", bits=26), own, inputs, tmp_path, device="cpu")


def test_words_are_learned_from_training_images_and_by_the_seed(data, tmp_path):
    inputs, own, words = inputs_of("blcf", data), settings_of("blcf"), []
    for seed in (0, 0, 1):
        folder = tmp_path / str(len(words))
        train_cell(cell_of("blcf", seed=seed), own, inputs, folder, device="cpu")
        words.append(load_file(folder / "checkpoint.safetensors")["method.words"])
    assert words[0].shape == (30, 8)
    assert torch.equal(words[0], words[1])
    assert not torch.equal(words[0], words[2])
    with pytest.raises(MedhashError, match="have 144 local features, fewer than the 145 words"):
        train_cell(cell_of("blcf", bits=145), own, inputs, tmp_path / "many", device="cpu")


@pytest.mark.parametrize("saliency", ["intensity", "l2norm", "uniform"])
def test_what_a_place_counts(saliency, data, tmp_path):
    own, inputs = settings_of("blcf", saliency=saliency), inputs_of("blcf", data)
    train_cell(cell_of("blcf"), own, inputs, tmp_path, device="cpu")
    method = load_encoder(Task(cell_of("blcf"), own, inputs, tmp_path, "cpu")).method
    images = torch.from_numpy(np.load(data / "images.npy")[:3])
    with torch.no_grad():
        features, found = method.look(method.network.normalise(images))
    blocks = images[..., 2].reshape(3, 2, 32, 2, 32).amax(dim=(2, 4)).flatten(1)
    expected = {"intensity": blocks, "l2norm": features.norm(dim=2)}.get(saliency, torch.ones(3, 4))
    share = expected / expected.amax(dim=1, keepdim=True)
    assert found.numpy() == pytest.approx(share.numpy(), abs=1e-5)


def test_region_vectors_are_weighed_before_they_are_averaged(data, tmp_path):
    cell, own = cell_of("regional_attention"), settings_of("regional_attention")
    inputs = inputs_of("regional_attention", data)
    train_cell(cell, own, inputs, tmp_path, device="cpu")
    method = load_encoder(Task(cell, own, inputs, tmp_path, "cpu")).method
    pixels = method.network.normalise(torch.from_numpy(np.load(data / "images.npy")[:3]))
    with torch.no_grad():
        maps = as_maps(method.network.encode(pixels), 2)
        total = torch.zeros(3, WIDE)
        for row, column, size in region_grid(2, 3):
            part = maps[:, :, row : row + size, column : column + size]
            seen = torch.cat([part.mean(dim=(2, 3)), maps.mean(dim=(2, 3))], dim=1)
            total += method.attention(seen) * unit(part.amax(dim=(2, 3)))
        assert torch.allclose(method.aggregate(method.look(pixels)), unit(total), atol=1e-5)


def test_triplets_can_train_two_maps(data, tmp_path):
    own = settings_of("rmac_rpn", loss="triplet")
    train_cell(cell_of("rmac_rpn"), own, inputs_of("rmac_rpn", data), tmp_path, device="cpu")
    assert list(pd.read_csv(tmp_path / "train.csv"))[2:] == ["triplet"]
