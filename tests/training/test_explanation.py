"""Explanations against the sums that they claim to be, and the step on a trained cell."""

import numpy as np
import pytest
import torch
from tiny_settings import make_settings

from medhash.errors import MedhashError
from medhash.retrieval.arrays import read_arrays
from medhash.schema.cell import Cell
from medhash.schema.shown import ExplanationSettings
from medhash.trained.explanation import (
    choose_rows,
    class_activation_map,
    explain_cell,
    grad_cam,
    load_cell,
    patch_embedding_map,
    scale_weights,
)
from medhash.training.cells import train_cell
from medhash.training.task import Task

CELL = Cell("ach", "folder", "hashnet", "ach", 8, 0)
NAMES = ("rows", "patch_embedding", "cam", "grad_cam", "area", "key_point", "window")
NAMES += ("mask_scales", "scale_weights", "scale_shift", "feature_rows", "features")


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained") / "cell"
    settings = make_settings()
    train_cell(CELL, settings, files, folder, device="cpu")
    return load_cell(Task(CELL, settings, files, folder, "cpu")), settings, folder


@pytest.fixture(scope="module")
def scene(trained, files):
    network = trained[0].network
    images = torch.from_numpy(np.load(files.data_folder / "images.npy")[:5])
    with torch.no_grad():
        pixels = network.backbone.normalise(images)
        tokens, features = trained[0].coder.look(pixels)
    return pixels, tokens, features


def test_the_mean_of_cam_is_the_score_without_biases(trained, scene):
    network, features = trained[0].network, scene[2]
    code = torch.randn(5, 8)
    head, norm = network.head.projection, network.backbone.norm
    score = (network.project(features) * code).mean(dim=1)
    constant = (code * (head.weight @ norm.bias + head.bias)).mean(dim=1)
    cam = class_activation_map(network, features, code)
    torch.testing.assert_close(cam.mean(dim=1), score - constant, rtol=1e-4, atol=1e-5)
    assert cam.std(dim=1).min() > 0


def test_grad_cam_is_the_loop_over_channels(trained, scene):
    coder, features = trained[0].coder, scene[2]
    code = torch.randn(5, 8)
    maps = grad_cam(coder, features, code)
    for image in range(2):
        leaf = features[image : image + 1].clone().requires_grad_()
        (coder.code_of_features(leaf) @ code[image] / 8).sum().backward()
        expected = torch.zeros(features.shape[1])
        for channel in range(features.shape[2]):
            weight = leaf.grad[0, :, channel].mean()
            expected += weight * features[image, :, channel]
        torch.testing.assert_close(maps[image], expected.clamp(min=0), rtol=1e-4, atol=1e-6)
    assert maps.max() > 0


def test_a_blank_patch_has_no_embedding(trained, scene):
    coder = trained[0].coder
    pixels = scene[0].clone()
    pixels[:, :, :4, 4:8] = 0
    maps = patch_embedding_map(coder.embed(pixels), coder.blank_tokens())
    assert maps[:, 1].max() < 1e-5
    projection = coder.network.backbone.transformer.patch_embed.proj.weight
    patch = pixels[0, :, 4:8, 4:8]
    expected = (projection * patch).sum(dim=(1, 2, 3)).norm()
    torch.testing.assert_close(maps[0, 5], expected, rtol=1e-4, atol=1e-5)


def test_scale_weights_are_a_softmax_of_the_greatest_distance_minus_the_own_one():
    distances = torch.rand(4, 3)
    weights = scale_weights(distances, torch.tensor([0.0, 1.0, 0.0]))
    scores = [np.exp(float(distances[:, 1].max() - d)) for d in distances[:, 1]]
    np.testing.assert_allclose(weights, np.array(scores) / sum(scores), rtol=1e-5)
    assert scale_weights(distances, torch.ones(3)).sum() == pytest.approx(1)


def test_the_chosen_rows_are_queries_some_of_each_class():
    labels = np.eye(3, dtype=np.uint8)[np.arange(30) % 3]
    queries = np.arange(0, 30, 2)
    rows = choose_rows(queries, labels, 4, 0)
    assert set(rows) <= set(queries)
    assert labels[rows].sum(axis=0).tolist() == [4, 4, 4]
    assert choose_rows(queries, labels, 4, 1).tolist() != rows.tolist()


def test_the_step_writes_the_same_bytes_and_fits_together(trained, files):
    _, settings, folder = trained
    chosen = ExplanationSettings(images_per_class=2, features=7)
    path = folder / "explanation.npz"
    explain_cell(Task(CELL, settings, files, folder, "cpu"), chosen, path)
    first = path.read_bytes()
    explain_cell(Task(CELL, settings, files, folder, "cpu"), chosen, path)
    assert path.read_bytes() == first
    arrays = read_arrays(path, NAMES)
    assert arrays["rows"].shape == (4,)
    assert arrays["cam"].shape == arrays["grad_cam"].shape == (4, 4, 4)
    assert arrays["features"].shape == (7, 16)
    inside = arrays["key_point"] - arrays["area"]
    assert (inside >= 0).all()
    assert (inside < arrays["window"]).all()
    np.testing.assert_allclose(arrays["scale_weights"].sum(axis=1), 1, rtol=1e-5)
    assert (arrays["scale_shift"] > 0).any()


def test_a_checkpoint_of_another_cell_is_refused(trained, files, tmp_path):
    _, settings, folder = trained
    other = Cell("ach", "folder", "hashnet", "ach", 8, 1)
    with pytest.raises(MedhashError, match="is of the cell folder/hashnet/ach/8/0, not"):
        load_cell(Task(other, settings, files, folder, "cpu"))
    with pytest.raises(MedhashError, match="train the cell"):
        load_cell(Task(CELL, settings, files, tmp_path, "cpu"))
