"""Lesion patches as queries: coded by hand, scored by loops, and refused where none is marked."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_settings import make_settings

from medhash.causal.lcr import LesionReasoning, Scene
from medhash.causal.masking import lesion_boxes
from medhash.errors import MedhashError
from medhash.retrieval.arrays import read_arrays
from medhash.retrieval.codes import Codes
from medhash.retrieval.precision import precision_at_ten
from medhash.schema.cell import Cell
from medhash.schema.shown import LesionSettings
from medhash.trained import lesions
from medhash.trained.explanation import load_cell
from medhash.training.cells import train_cell
from medhash.training.machine import seed_for
from medhash.training.task import CellInputs, Task
from told import description

CELL, BASELINE = (Cell("ach", "folder", "adsh", variant, 12, 0) for variant in ("ach", "none"))
ARRAYS = ("rows", "areas", "patches", "codes")
NO_BOXES = Path("config/lesions/folder.csv")


@pytest.fixture(scope="module")
def inputs(files, tmp_path_factory):
    """The toy dataset with an index; 16 pixels and 4 patches a side."""
    folder = tmp_path_factory.mktemp("lesions") / "data"
    shutil.copytree(files.data_folder, folder)
    index = pd.DataFrame({"image_id": [f"image{i}" for i in range(60)], "width": 32, "height": 32})
    index.to_csv(folder / "index.csv", index=False)
    facts = description(synthetic=True, classes=["even", "odd"])
    (folder / "dataset.json").write_text(json.dumps(facts))
    return CellInputs(folder, folder / "split.csv", files.pretrained)


@pytest.fixture(scope="module")
def folders(inputs, tmp_path_factory):
    """Cell -> its folder, trained."""
    root = tmp_path_factory.mktemp("trained")
    folders = {cell: root / cell.variant for cell in (CELL, BASELINE)}
    for cell, folder in folders.items():
        train_cell(cell, make_settings(), inputs, folder, device="cpu")
    return folders


@pytest.fixture
def masked(inputs, tmp_path):
    """Masks on rows 0 to 3 and 5: four queries of class 0 or 1, and one more of class 1."""
    folder = tmp_path / "data"
    shutil.copytree(inputs.data_folder, folder)
    masks = np.zeros((60, 16, 16), dtype=np.uint8)
    masks[0, 0:3, 0:3] = masks[1, 5:6, 5:14] = masks[2, 4:12, 8:16] = 1
    masks[3, 15, 0] = masks[5, 2:9, 3:4] = masks[40, :, :] = 1
    np.save(folder / "masks.npy", masks)
    return CellInputs(folder, folder / "split.csv", inputs.pretrained)


@pytest.fixture
def search(folders, monkeypatch):
    """Runs the step; its two files as Python values."""
    monkeypatch.setattr(lesions, "TIMED", 6)
    monkeypatch.setattr(lesions, "WARM_UP", 1)

    score = partial(precision_at_ten, protocol="tie-aware")

    def search(inputs, cell=CELL, boxes=NO_BOXES, finder=None, **chosen):
        lesions.search_lesions(
            Task(cell, make_settings(), inputs, folders[cell], "cpu"),
            LesionSettings(**chosen),
            folders[cell],
            boxes=boxes,
            scale="small",
            score=score,
            finder=finder and replace(finder, inputs=inputs),
        )
        path = folders[cell] / "lesions.json"
        return json.loads(path.read_text()), read_arrays(path.with_name("lesions.npz"), ARRAYS)

    return search


@pytest.fixture
def finder(folders, inputs):
    return Task(CELL, make_settings(), inputs, folders[CELL], "cpu")


def coded_by_hand(trained, image, patch):
    """Token by token, block by block; +1 and -1."""
    network = trained.network
    transformer = network.backbone.transformer
    top, left, height, width = patch
    pixels = (torch.from_numpy(image).float() - network.backbone.mean) / network.backbone.deviation
    projection, positions = transformer.patch_embed.proj, transformer.pos_embed[0]
    tokens = [transformer.cls_token[0, 0] + positions[0]]
    for row in range(top, top + height):
        for column in range(left, left + width):
            cut = pixels[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].permute(2, 0, 1)
            token = (projection.weight * cut).sum(dim=(1, 2, 3)) + projection.bias
            tokens.append(token + positions[1 + 4 * row + column])
    sequence = torch.stack(tokens)[None]
    for block in transformer.blocks:
        sequence = block(sequence)
    pooled = network.backbone.norm(sequence[0, 1:].mean(dim=0))
    outputs = network.head.projection.weight @ pooled + network.head.projection.bias
    return [1 if value >= 0 else -1 for value in outputs.tolist()]


def unpacked(packed, bits=12):
    return (np.unpackbits(packed, axis=-1)[..., :bits].astype(int) * 2 - 1).tolist()


@torch.no_grad()
def test_a_patch_is_coded_from_its_own_tokens_alone(folders, inputs):
    trained = load_cell(Task(CELL, make_settings(), inputs, folders[CELL], "cpu"))
    codes = Codes.load(folders[CELL] / "codes.npz")
    search = lesions.PatchSearch(trained, codes)
    images = np.load(inputs.data_folder / "images.npy")
    seen = set()
    for number, patch in enumerate([[0, 0, 1, 1], [1, 2, 3, 2], [3, 0, 1, 4], [0, 0, 4, 4]] * 3):
        box = np.array(patch)
        (code,) = unpacked(search.encode_patch(images[number], box))
        assert code == coded_by_hand(trained, images[number], patch)
        seen.add(tuple(code))
        if patch == [0, 0, 4, 4]:
            assert code == unpacked(codes.query_codes[number])
    assert len(seen) > 2
    # what lies outside changes nothing
    other = images[0].copy()
    other[4:, :] = 255 - other[4:, :]
    box = np.array([0, 0, 1, 4])
    assert (search.encode_patch(images[0], box) == search.encode_patch(other, box)).all()
    ranked = search.rank_patch(images[0], box)
    assert (ranked == search.nearest(search.encode_patch(images[0], box))).all()
    assert sorted(ranked[0].tolist()) == list(range(48))


def precision_by_loops(query_codes, query_labels, codes):
    """Expected P@10 of each query over random order within ties, item by item."""
    values = []
    database = unpacked(codes.database_codes)
    for query, own in zip(query_codes, query_labels, strict=True):
        levels = {}
        for item, labels in zip(database, codes.database_labels.tolist(), strict=True):
            distance = sum(a != b for a, b in zip(query, item, strict=True))
            right = any(a and b for a, b in zip(own, labels, strict=True))
            levels.setdefault(distance, []).append(right)
        left, expected = 10, 0.0
        for distance in sorted(levels):
            taken = min(left, len(levels[distance]))
            expected += taken * sum(levels[distance]) / len(levels[distance])
            left -= taken
        values.append(expected / 10)
    return values


def test_masks_become_patches_and_p_at_10_is_the_loop_over_items(search, masked, folders):
    facts, arrays = search(masked, per_class=10)
    codes = Codes.load(folders[CELL] / "codes.npz")
    assert facts["source"] == "masks"
    assert facts["patches"] == 5
    order = {row: place for place, row in enumerate(arrays["rows"].tolist())}
    assert sorted(order) == [0, 1, 2, 3, 5]  # 40 is no query
    patches = {row: arrays["patches"][place].tolist() for row, place in order.items()}
    assert patches == {
        0: [0, 0, 1, 1],
        1: [1, 1, 1, 3],
        2: [1, 2, 2, 2],
        3: [3, 0, 1, 1],
        5: [0, 0, 3, 1],
    }
    assert facts["covered"] == pytest.approx((1 + 3 + 4 + 1 + 3) / 5 / 16)
    labels = np.eye(2, dtype=int)[arrays["rows"] % 2].tolist()
    by_patch = precision_by_loops(unpacked(arrays["codes"]), labels, codes)
    whole = unpacked(codes.query_codes[arrays["rows"]])
    by_image = precision_by_loops(whole, labels, codes)
    assert facts["precision_at_10"]["patches"] == pytest.approx(np.mean(by_patch))
    assert facts["precision_at_10"]["images"] == pytest.approx(np.mean(by_image))
    for number, name in enumerate(["even", "odd"]):
        own = [place for row, place in order.items() if row % 2 == number]
        assert facts["by_class"][name]["count"] == len(own)
        values = facts["by_class"][name]
        assert values["patches"] == pytest.approx(np.mean([by_patch[place] for place in own]))
        assert values["images"] == pytest.approx(np.mean([by_image[place] for place in own]))
    assert facts["relevant_share"] == pytest.approx(0.5)


def test_runtime_is_measured_for_both_in_one_run(search, masked):
    runtime = search(masked)[0]["runtime"]
    for name in ("patches", "images"):
        assert runtime[name]["queries"] == 6
        assert 0 < runtime[name]["median_seconds"] <= runtime[name]["p95_seconds"] < 5
    ratio = runtime["patches"]["median_seconds"] / runtime["images"]["median_seconds"]
    assert runtime["change"] == pytest.approx(ratio - 1)


def test_a_class_gives_no_more_patches_than_asked_for(search, masked):
    facts, arrays = search(masked, per_class=2)
    counts = {name: each["count"] for name, each in facts["by_class"].items()}
    assert counts == {"even": 2, "odd": 2}
    assert facts["asked_per_class"] == 2
    other = search(masked, per_class=2, seed=2)[1]
    assert set(other["rows"]) != set(arrays["rows"])


def test_both_cells_search_with_the_same_patches_and_twice_with_the_same_bytes(
    search, masked, folders
):
    first = search(masked)[1]
    content = (folders[CELL] / "lesions.npz").read_bytes()
    search(masked)
    assert (folders[CELL] / "lesions.npz").read_bytes() == content
    baseline = search(masked, BASELINE)[1]
    for name in ("rows", "areas", "patches"):
        assert (baseline[name] == first[name]).all()


def test_boxes_are_read_before_masks(search, masked, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image_id,top,left,height,width\nimage7,8,0,8,32\nimage7,0,0,1,1\n")
    facts, arrays = search(masked, boxes=boxes)
    assert facts["source"] == "boxes"
    assert arrays["rows"].tolist() == [7, 7]
    assert sorted(arrays["patches"].tolist()) == [[0, 0, 1, 1], [1, 0, 1, 4]]
    assert facts["by_class"]["even"] == {"count": 0}


def test_without_a_mark_nothing_is_searched_and_the_reason_is_told(search, inputs, masked):
    facts, arrays = search(inputs)
    reason = "no lesion is marked: there is neither config/lesions/folder.csv nor a mask"
    assert (facts["patches"], facts["reason"]) == (0, reason)
    assert arrays["rows"].shape == (0,)
    assert arrays["codes"].shape == (0, 2)
    np.save(masked.data_folder / "masks.npy", np.zeros((60, 16, 16), dtype=np.uint8))
    assert search(masked)[0]["reason"].endswith("the masks of all query images are empty")


def test_lesions_are_found_by_one_cell_for_all_and_only_when_asked(search, inputs, masked, finder):
    facts, found = search(inputs, BASELINE, finder=finder, source="found", per_class=3)
    assert facts["source"] == "found"
    assert {name: each["count"] for name, each in facts["by_class"].items()} == {
        "even": 3,
        "odd": 3,
    }
    own = search(inputs, CELL, finder=finder, source="given-or-found", per_class=3)[1]
    assert (own["patches"] == found["patches"]).all()
    assert search(masked, finder=finder, source="given-or-found")[0]["source"] == "masks"
    assert search(masked, finder=finder, source="found")[0]["source"] == "found"
    with pytest.raises(MedhashError, match="asks for C2F-LP, but no cell that finds was named"):
        search(inputs, source="found")


@torch.no_grad()
def test_what_is_found_is_the_largest_mask_around_the_key_point(folders, inputs):
    settings = make_settings(
        lcr={"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [3, 2], [2, 2]]}
    )
    trained = load_cell(Task(CELL, settings, inputs, folders[CELL], "cpu"))
    images = np.load(inputs.data_folder / "images.npy")[:12]
    labels = np.load(inputs.data_folder / "labels.npy")[:12]
    pixels = trained.network.backbone.normalise(torch.from_numpy(images))
    scene = Scene(pixels, *trained.coder.look(pixels), torch.from_numpy(labels).float())
    reasoning = LesionReasoning(settings.lcr, trained.class_codes)
    cut_off = 0
    for seed in range(4):
        areas = lesions.find_lesions(trained, images, labels, seed)
        generator = torch.Generator().manual_seed(seed_for("lesions", seed))
        points = reasoning.locate(scene, trained.coder, generator).key_point
        masks = lesion_boxes(points, ((3, 2),), 4)[:, 0].reshape(-1, 4, 4).numpy()
        for area, mask in zip(areas, masks, strict=True):
            top, left, height, width = (area * 4).astype(int)
            rows, columns = np.nonzero(mask)
            assert (top, left) == (rows.min(), columns.min())
            assert (height, width) == (np.ptp(rows) + 1, np.ptp(columns) + 1)
            cut_off += mask.sum() < 6
    assert cut_off > 4


def test_codes_of_another_split_are_refused(search, masked, folders):
    path = folders[CELL] / "codes.npz"
    codes, content = Codes.load(path), path.read_bytes()
    try:
        replace(codes, query_rows=codes.query_rows + 1).save(path)
        with pytest.raises(MedhashError, match="codes: lack the query in row 0; train"):
            search(masked)
    finally:
        path.write_bytes(content)


def test_p_at_10_needs_ten_images(folders):
    codes = Codes.load(folders[CELL] / "codes.npz")
    assert 0 < precision_at_ten(codes, "stable") <= 1
    sides = {name: getattr(codes, f"database_{name}")[:9] for name in ("codes", "labels", "rows")}
    small = replace(codes, **{f"database_{name}": side for name, side in sides.items()})
    with pytest.raises(MedhashError, match="P@10 needs 10 images in the database, not 9"):
        precision_at_ten(small, "stable")
