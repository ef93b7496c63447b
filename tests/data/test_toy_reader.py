"""What a reader costs: one file in data/readers and a card, no other edit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from upstream_archives import PROJECT, toy_labelled, toy_mask, write

from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import read_split

TOY = PROJECT / "examples/toy_reader.py"
CARD = {
    "title": "Toy",
    "licence": "none",
    "reference": "none",
    "reader": "toy",
    "classes": {"Mass": 5, "Effusion": 3},
    "images": 6,
    "mask_classes": ["background", "disc", "cup"],
    "sources": [
        {
            "kind": "http",
            "page": "https://example.org",
            "files": [{"url": "https://example.org/images.zip", "path": "images.zip"}],
        }
    ],
    "split": {"rule": "random", "query": 2, "group_by": "patient_id"},
}
SCRIPT = """
import sys
from pathlib import Path
from medhash.data.cards import load_cards
from medhash.data.leakage import write_leakage
from medhash.data.preparation import prepare
from medhash.data.splits.making import write_split
from medhash.errors import MedhashError

try:
    card = load_cards(Path("config/datasets.yaml"))["toy_data"]
    prepare(card, [Path("archives")], Path("data/toy_data"), 18)
    write_split(Path("data/toy_data"), card.split, 0, Path("splits/0.csv"))
    write_leakage(Path("data/toy_data"), Path("splits/0.csv"), Path("leakage/0"))
except MedhashError as error:
    sys.exit(f"error: {error}")
"""


def run(folder: Path, files: dict[str, bytes], reader: str | None = None, **changes: object) -> str:
    """Prepare and split in a package that has one file more; what it complains of."""
    package = folder / "src/medhash"
    if not package.exists():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "src/medhash", package, ignore=ignored)
    (package / "data/readers/toy.py").write_text(reader or TOY.read_text())
    write(folder / "archives", files)
    (folder / "config").mkdir(exist_ok=True)
    cards = {"toy_data": {**CARD, **changes}}
    (folder / "config/datasets.yaml").write_text(yaml.safe_dump(cards, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 or "\nerror: " in f"\n{done.stderr}", done.stderr
    return done.stderr.partition("error: ")[2] if done.returncode else ""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    assert run(folder, toy_labelled()) == ""
    return folder


def test_several_labels_patients_ages_and_masks_are_prepared(tree):
    dataset = PreparedDataset(tree / "data/toy_data")
    dataset.check()
    # Without 001 (none) and 008 (only Hernia, which the card leaves out), by id.
    assert dataset.ids == tuple(f"{n:03d}.png" for n in (2, 3, 4, 5, 6, 7))
    assert dataset.index["classes"].tolist() == [
        "Mass",
        "Effusion",
        "Mass",
        "Effusion|Mass",
        "Mass",
        "Mass|Effusion",
    ]
    assert dataset.classes == ("Mass", "Effusion")
    assert dataset.labels.tolist() == [[1, 0], [0, 1], [1, 0], [1, 1], [1, 0], [1, 1]]
    assert dataset.classes_of(3) == ("Mass", "Effusion")
    assert dataset.groups["patient_id"].tolist() == ["p1", "p2", "p4", "p5", "p6", "p3"]
    assert dataset.attributes.keys() == {"age"}
    assert dataset.numbers("age").tolist() == [50.5, 33, 64, 28, 45, 71]
    assert dataset.mask_classes == ("background", "disc", "cup")
    for row, name in enumerate(dataset.ids):
        # 18 x 24 squeezed to 18 x 18: the bars run along the rows, and stay whole.
        assert (dataset.masks[row] == toy_mask(name[:3])[:, :1]).all()
    description = dataset.description
    assert description["counts"] == {"Mass": 5, "Effusion": 3}
    assert description["card_images"] == 6
    assert [archive["file"] for archive in description["archives"]] == [
        "images.zip",
        "labels.csv",
        "masks.zip",
    ]


def test_patients_stay_on_one_side_and_leakage_knows_them(tree):
    split = read_split(tree / "splits/0.csv")
    assert (split["role"] == "query").sum() == 2
    summary = json.loads((tree / "leakage/0.json").read_text())
    assert summary["groups"]["patient_id"]["groups_on_both_sides"] == 0


def test_equal_sets_of_labels_are_equal_in_any_order(tree, tmp_path):
    from medhash.data.leakage import measure

    index = PreparedDataset(tree / "data/toy_data").index.iloc[[3, 5]].reset_index(drop=True)
    index["perceptual_hash"] = "0" * 16
    split = pd.DataFrame({"image_id": index["image_id"], "role": ["query", "database"]})
    assert measure(index, split).pairs["same_label"].tolist() == [True]


TABLE = "file,findings,patient,age\n"
BAD = {
    "a column missing": ("file,findings,patient\n1.png,Mass,p\n", "has no column 'age'"),
    "an image missing": (TABLE + "9.png,Mass,p,1\n", "no file '9.png'.*which the upstream's table"),
    "no number": (TABLE + "001.png,Mass,p,old\n", "not as the reader 'toy' expects.*'old'"),
    "twice": (TABLE + "001.png,Mass,p,1\n001.png,Mass,p,1\n", "lists more than once: '001.png'"),
    "no class of the card": (TABLE + "001.png,none,p,1\n", "finds no image of the card's classes"),
    "one class twice": (TABLE + "001.png,Mass|Mass,p,1\n", "each image needs one at least, none"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_error(tree, tmp_path, case):
    table, message = BAD[case]
    shutil.copytree(tree / "src", tmp_path / "src")
    error = run(tmp_path, toy_labelled(table))
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert not (tmp_path / "data/toy_data").exists()


def test_masks_that_the_card_does_not_describe_are_refused(tree, tmp_path):
    shutil.copytree(tree / "src", tmp_path / "src")
    assert "gives masks of '007.png', '002.png'" in run(tmp_path, toy_labelled(), mask_classes=[])
    error = run(tmp_path, toy_labelled(), mask_classes=["background", "disc"])
    assert "the mask of image 'toy/images/002.png' cannot be used: it holds 2" in error


def test_a_part_of_the_layout_that_is_missing_is_named(tree, tmp_path):
    shutil.copytree(tree / "src", tmp_path / "src")
    files = {"images.zip": toy_labelled()["images.zip"]}
    error = run(tmp_path, files)
    assert "images.zip has no 'masks/*'; expected labels.csv, images/*, masks/*" in error


def test_raw_pixels_and_columns_of_a_reader_s_own(tree, tmp_path):
    """Twelve bits, big-endian, without a header; a second group; a column with a wrong name."""
    reader = """
import numpy as np
from PIL import Image
from medhash.data.readers.reading import FileReader, ImageFile, Reading


def decode(content):
    if len(content) != 2 * 6 * 4:
        raise ValueError(f"{len(content)} bytes are not 6x4 pixels of 16 bits")
    return Image.fromarray(np.frombuffer(content, ">u2").reshape(6, 4).astype(np.int32))


class Reader(FileReader):
    layout = {"images": "raw/*.IMG"}

    def read(self, card, found):
        return Reading([
            ImageFile(file, ("Mass",), part.container, file, {"lesion_id": "L", "NAME": "x"},
                      decode=decode)
            for part in found.parts for file in part.files
        ])
"""
    shutil.copytree(tree / "src", tmp_path / "src")
    values = np.arange(24, dtype=">u2") * 170
    files = {"raw/a.IMG": values.tobytes(), "raw/b.IMG": values[::-1].tobytes()}
    changes = {"classes": {"Mass": 2}, "images": None, "mask_classes": []}
    changes["split"] = {"query": 1, "group_by": ["patient_id", "lesion_id"], "stratified": False}
    error = run(tmp_path, files, reader, **changes)
    assert "'NAME' cannot be a column: groups end in '_id'" in error
    named = reader.replace('"NAME": "x"', '"series_id": file')
    error = run(tmp_path, files, named, **changes)
    assert "no image has the role 'query'" in error
    dataset = PreparedDataset(tmp_path / "data/toy_data")
    assert list(dataset.index.columns)[-2:] == ["lesion_id", "series_id"]
    assert dataset.groups["lesion_id"].tolist() == ["L", "L"]
    assert dataset.index["mode"].tolist() == ["I", "I"]
    assert dataset.images.min() == 0
    assert dataset.images[0, 0, 0, 0] < dataset.images[1, 0, 0, 0]
    error = run(tmp_path, {**files, "raw/c.IMG": b"short"}, named, **changes)
    assert "image 'raw/c.IMG' cannot be read: 5 bytes are not 6x4 pixels" in error
