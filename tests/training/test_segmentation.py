"""What Y-Net's branch for pixels finds, counted against masks by slow loops."""

import json

import numpy as np
import pytest
import torch
from tiny_data import write_squares
from tiny_settings import make_settings

from medhash.errors import MedhashError
from medhash.methods.ynet import Method
from medhash.records.segmentation import pixel_scores
from medhash.records.sources import READERS
from medhash.schema.cell import Cell
from medhash.trained.segmentation import score_pixels
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs, Task

CELL = Cell("ynet", "toy", "ynet", "none", 16, 0)
CLASSES = ["background", "square", "nothing"]


def settings_of(**own):
    network = {"kind": "ynet_main", "image_size": 64, "width": 0.125}
    training = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2, "optimiser": "adam"}
    own = {"region_channels": 16, "threshold": "train-mean"} | own
    return make_settings(network=network, stored_size=64, hashing=training, methods={"ynet": own})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    write_squares(folder, 32, 8, CLASSES)
    return folder


def train(data, folder, **own):
    inputs = CellInputs(data, data / "split.csv", needs=("images", "masks"))
    train_cell(CELL, settings_of(**own), inputs, folder, device="cpu")
    return Task(CELL, settings_of(**own), CellInputs(data, data / "split.csv"), folder, "cpu")


@pytest.fixture(scope="module")
def task(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("cell") / "cell")


def test_pixels_are_counted_as_a_loop_counts_them(task, data, tmp_path, monkeypatch):
    found = []
    segment = Method.segment

    def listened(method, images):
        assert not method.training
        found.append(segment(method, images))
        return found[-1]

    monkeypatch.setattr(Method, "segment", listened)
    monkeypatch.setattr("medhash.trained.segmentation.IMAGES_AT_ONCE", 3)
    score_pixels(task, tmp_path / "segmentation.json", "small")
    scores = READERS["segmentation"](tmp_path / "segmentation.json")
    called, truth = torch.cat(found).numpy(), np.load(data / "masks.npy")[:8]
    counts = [[int(((truth == t) & (called == c)).sum()) for c in range(3)] for t in range(3)]
    assert np.array(scores.counts).tolist() == counts
    assert (scores.queries, scores.pixels) == (8, 64)
    assert scores.metrics.accuracy == pytest.approx((truth == called).mean())
    either = ((truth == 1) | (called == 1)).sum()
    both = ((truth == 1) & (called == 1)).sum()
    assert scores.metrics.iou["square"] == pytest.approx(both / either)
    # It has learned something: better than calling every pixel background.
    assert scores.metrics.mean_iou > scores.chance["background"].mean_iou
    assert scores.chance["background"].accuracy == pytest.approx((truth == 0).mean())


def test_a_class_that_is_nowhere_is_left_out():
    counts = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    scores = pixel_scores(counts, CLASSES)
    assert scores["iou"] == {"background": 6 / 9, "square": 3 / 6, "nothing": None}
    assert scores["mean_iou"] == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert scores["accuracy"] == 9 / 12
    counts[0, 2] = 1
    assert pixel_scores(counts, CLASSES)["iou"]["nothing"] == 0


def test_without_its_branch_it_gives_no_classes(data, tmp_path):
    cut = train(data, tmp_path / "cell", segmentation=False)
    with pytest.raises(MedhashError, match="without its FPN branch it gives pixels no classes"):
        score_pixels(cut, tmp_path / "segmentation.json", "small")
    assert not (tmp_path / "segmentation.json").exists()


def test_scores_that_counts_do_not_give_are_refused(task, tmp_path):
    path = tmp_path / "segmentation.json"
    score_pixels(task, path, "small")
    changed = json.loads(path.read_text())
    changed["metrics"]["accuracy"] /= 2
    path.write_text(json.dumps(changed))
    with pytest.raises(MedhashError, match="metrics are not what counts give"):
        READERS["segmentation"](path)
