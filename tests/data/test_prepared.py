"""The door to a prepared dataset: what it gives, when it reads, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medhash.data.prepared import PreparedDataset, group_columns
from medhash.data.prepared_files import FILES, MASKS
from medhash.errors import MedhashError
from told import description


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / FILES["images"], np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3))
    np.save(tmp_path / FILES["labels"], np.uint8([[1, 0], [0, 1], [1, 1], [1, 0]]))
    index = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "width": [30, 40, 50, 60],
            "height": [3, 4, 5, 6],
            "patient_id": ["p", "", "p", "q"],
            "lesion_id": ["1", "2", "3", ""],
            "cdr": ["0.5", "", "0.25", "1"],
            "eye": ["left", "right", "", "left"],
        }
    )
    index.to_csv(tmp_path / FILES["index"], index=False)
    (tmp_path / FILES["description"]).write_text(json.dumps(description()))
    return tmp_path


def test_everything_is_behind_the_door(folder):
    dataset = PreparedDataset(folder)
    dataset.check()
    assert isinstance(dataset.images, np.memmap)
    assert dataset.images.shape == (4, 2, 2, 3)
    assert dataset.ids == ("a", "b", "c", "d")
    assert dataset.classes == ("x", "y")
    assert [dataset.classes_of(row) for row in range(4)] == [("x",), ("y",), ("x", "y"), ("x",)]
    assert dataset.original_sizes.tolist() == [[30, 3], [40, 4], [50, 5], [60, 6]]
    assert {name: list(v) for name, v in dataset.groups.items()} == {
        "patient_id": ["p", "", "p", "q"],
        "lesion_id": ["1", "2", "3", ""],
    }
    assert set(dataset.attributes) == {"cdr", "eye"}
    np.testing.assert_array_equal(dataset.numbers("cdr"), [0.5, np.nan, 0.25, 1])
    assert group_columns(dataset.index) == ["patient_id", "lesion_id"]
    assert dataset.masks is None
    assert dataset.mask_classes == ()


def test_masks_are_what_the_description_says_and_lesions_where_it_is_silent(folder):
    np.save(folder / MASKS, np.full((4, 2, 2), 1, np.uint8))
    assert PreparedDataset(folder).mask_classes == ("background", "lesion")
    facts = description(mask_classes=["background", "disc", "cup"])
    (folder / FILES["description"]).write_text(json.dumps(facts))
    assert PreparedDataset(folder).mask_classes == ("background", "disc", "cup")


def test_only_what_is_asked_for_is_read(folder):
    for name in ("index", "description"):
        (folder / FILES[name]).unlink()
    dataset = PreparedDataset(folder)
    assert len(dataset.images) == len(dataset.labels) == 4
    with pytest.raises(MedhashError, match=r"index\.csv: no such file; `medhash prepare` makes it"):
        _ = dataset.ids


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_error(folder, name):
    (folder / FILES[name]).write_bytes(b"\xff\xfe{")
    with pytest.raises(
        MedhashError, match=rf"{FILES[name]}: (the file cannot be read|not a whole description)"
    ) as caught:
        getattr(PreparedDataset(folder), name)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_column_and_texts_for_numbers_are_refused(folder):
    dataset = PreparedDataset(folder)
    with pytest.raises(MedhashError, match=r"no column 'cd'; did you mean 'cdr'\?"):
        dataset.numbers("cd")
    with pytest.raises(MedhashError, match=r"column 'eye' holds 'left', which is no number"):
        dataset.numbers("eye")


@pytest.mark.parametrize("name", ["images", "labels", "masks"])
def test_files_of_other_lengths_are_refused(folder, name):
    shapes = {"images": (3, 2, 2, 3), "labels": (3, 2), "masks": (3, 2, 2)}
    np.save(folder / {**FILES, "masks": MASKS}[name], np.zeros(shapes[name], np.uint8))
    with pytest.raises(MedhashError, match=f"different numbers of images .*{name}.npy 3"):
        PreparedDataset(folder).check()
