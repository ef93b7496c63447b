"""Deep Vision's regions: what a detector is asked to find, and what becomes of what it finds."""

from __future__ import annotations

import math

import pytest
import torch

from medhash.errors import MedhashError
from medhash.methods import deep_vision_solo
from medhash.methods.deep_vision_solo import DeepVisionOutputs
from medhash.models.detection import targets_of
from medhash.schema.settings import NetworkSettings

NETWORK = NetworkSettings(kind="resnet50", image_size=64, width=0.0625)
THIRD, FOURTH = 64, 128
OWN = {"detector": "faster-rcnn", "pyramid_channels": 8, "head_units": 16}


@pytest.fixture(autouse=True)
def _one_thread():
    """As cells run; several hinder each other at maps this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(length=THIRD + FOURTH, **own):
    torch.manual_seed(0)
    settings = deep_vision_solo.Method.Settings(**OWN | own)
    return deep_vision_solo.Method(settings, NETWORK, length, 2, torch.Generator(), 3)


def masks_of(*boxes):
    """One image: class 1, 2, … in these boxes of (left, top, right, bottom), ends included."""
    mask = torch.zeros(64, 64, dtype=torch.uint8)
    for number, (left, top, right, bottom) in enumerate(boxes, start=1):
        mask[top : bottom + 1, left : right + 1] = number
    return mask


def test_a_box_stands_around_the_pixels_of_each_class():
    found = targets_of(masks_of((4, 8, 40, 30), (10, 12, 20, 18)))
    assert found["boxes"].tolist() == [[4, 8, 40, 30], [10, 12, 20, 18]]
    assert found["labels"].tolist() == [1, 2]
    for nothing in (masks_of(), masks_of((3, 3, 3, 9))):
        found = targets_of(nothing)
        assert found["boxes"].shape == (0, 4)
        assert found["labels"].tolist() == []


def test_an_image_is_described_by_the_greatest_answers_in_its_regions():
    generator = torch.Generator().manual_seed(3)
    maps = [torch.rand(2, n, s, s, generator=generator) for n, s in ((THIRD, 4), (FOURTH, 2))]
    whole, half = [0.0, 0.0, 64.0, 64.0], [0.0, 0.0, 32.0, 64.0]
    one, both = torch.tensor([half]), torch.tensor([half, whole])
    method = make().eval()
    found = method.aggregate(DeepVisionOutputs(tuple(maps), [one, both]))
    assert found.norm(dim=1).tolist() == pytest.approx([1, 1])
    for part, each in zip(found.split([THIRD, FOURTH], dim=1), maps, strict=True):
        own = part / part.norm(dim=1, keepdim=True)
        # Samples lie within a region, mixed of the places around them.
        assert (part.norm(dim=1) - math.sqrt(0.5)).abs().max() < 1e-6
        seen = each[0, :, :, : each.shape[3] // 2 + 1].amax(dim=(1, 2))
        assert (own[0] * seen.norm() >= 0).all()
    left = [each.clone() for each in maps]
    for each in left:
        each[:, :, :, each.shape[3] // 2 + 1 :] += 1
    changed = method.aggregate(DeepVisionOutputs(tuple(left), [one, both]))
    assert torch.equal(changed[0], found[0]), "what is outside of its region does not count"
    assert not torch.allclose(changed[1], found[1])


def test_an_image_without_regions_is_described_whole():
    method = make().eval()
    method.detector.regions.score_thresh = 2.0
    with torch.no_grad():
        outputs = method.look(torch.randn(2, 3, 64, 64))
    assert [boxes.tolist() for boxes in outputs.regions] == [[[0, 0, 64, 64]]] * 2


def test_only_the_surest_regions_count():
    method = make(regions=2).eval()
    method.detector.regions.score_thresh = 0.0
    with torch.no_grad():
        assert [len(each) for each in method.look(torch.randn(2, 3, 64, 64)).regions] == [2, 2]


def test_masks_train_the_network_also_where_an_image_has_none():
    method, pixels = make().train(), torch.randn(3, 3, 64, 64)
    masks = torch.stack([masks_of((4, 8, 40, 30), (10, 12, 20, 18)), masks_of(), masks_of()])
    outputs = method.look(pixels)
    assert outputs.regions == []
    losses = method.losses(outputs, torch.eye(2)[[0, 1, 0]], masks)
    assert sorted(losses) == [
        *("loss_box_reg", "loss_classifier", "loss_objectness", "loss_rpn_box_reg")
    ]
    assert all(each.shape == (3,) and each.isfinite().all() for each in losses.values())
    sum(each.sum() for each in losses.values()).backward()
    assert next(method.network.stages[3].parameters()).grad.abs().max() > 0


def test_another_length_and_no_detector_are_refused():
    with pytest.raises(MedhashError, match="two maps of resnet50 gives descriptors of 192 numbers"):
        make(length=100)
    with pytest.raises(ValueError, match="detector"):
        deep_vision_solo.Method.Settings()
