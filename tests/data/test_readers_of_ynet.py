"""ORIGA and JSRT: their upstream layouts, and what is said where they are damaged."""

import json

import numpy as np
import pytest
from upstream_archives import (
    JSRT_CLINICAL,
    JSRT_METADATA,
    ORIGA_TABLE,
    disc_and_cup,
    image_bytes,
    jsrt,
    jsrt_raw,
    lung,
    matlab,
    origa_fundus,
    png,
    write,
    zip_bytes,
)

from medhash.data.preparation import prepare
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.making import write_split
from medhash.data.splits.manifest import read_split
from medhash.data.upstream import find_archives, read_archives
from medhash.errors import MedhashError


def prepared(folder, card, files, size=18):
    prepare(card, [write(folder / "archives", files)], folder / "out", size)
    return PreparedDataset(folder / "out")


def unpacked(files, archive, **changes):
    """The files of a builder, one archive in place of which a folder lies."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(files[archive])) as opened:
        inside = {f"folder/{name}": opened.read(name) for name in opened.namelist()}
    rest = {name: content for name, content in files.items() if name != archive}
    return rest | inside | changes


@pytest.mark.parametrize("masks", ["Masks", "Semi-automatic-annotations"])
def test_origa_has_classes_ratios_eyes_and_masks(tmp_path, masks):
    card, files = origa_fundus(masks=masks)
    dataset = prepared(tmp_path, card, files)
    dataset.check()
    assert dataset.ids == ("001.jpg", "002.jpg", "003.jpg")
    assert dataset.index["classes"].tolist() == ["Normal", "Glaucoma", "Normal"]
    assert dataset.numbers("cdr").tolist() == [0.7097, 0.8012, 0.6525]
    assert dataset.attributes["eye"].tolist() == ["OD", "OS", "OD"]
    for row in range(3):
        assert (dataset.masks[row] == disc_and_cup(row + 1)[:, :1]).all()
    tables = {archive["file"] for archive in dataset.description["archives"]}
    assert {"OrigaList.csv", "trainset-origa.csv", "testset-origa.csv"} < tables


def test_the_authors_lists_are_the_official_split(tmp_path):
    card, files = origa_fundus()
    dataset = prepared(tmp_path, card, files)
    assert dataset.index["official_role"].tolist() == ["database", "database", "query"]
    rule = card.split.model_copy(update={"rule": "official", "query": None})
    write_split(tmp_path / "out", rule, 0, tmp_path / "0.csv")
    assert read_split(tmp_path / "0.csv")["role"].tolist() == ["database", "database", "query"]


def test_without_the_lists_there_is_no_official_split(tmp_path):
    card, files = origa_fundus()
    del files["trainset-origa.csv"], files["testset-origa.csv"]
    reading = read_archives(card, find_archives(card, [write(tmp_path, files)]))
    assert reading.notes == ["without the lists of Y-Net's authors there is no official split"]
    assert {image.official_role for image in reading.images} == {""}


def test_an_image_in_neither_list_is_said(tmp_path):
    card, files = origa_fundus()
    del files["testset-origa.csv"]
    reading = read_archives(card, find_archives(card, [write(tmp_path, files)]))
    assert reading.notes == ["1 of 3 images are in neither list"]


BAD_ORIGA = {
    "no ratio": (ORIGA_TABLE.replace("0.8012", "1.9"), "line 3: ExpCDR is '1.9', no ratio"),
    "no number": (ORIGA_TABLE.replace("0.8012", ""), "line 3: ExpCDR is '', no ratio"),
    "no class": (ORIGA_TABLE.replace("B,1", "B,2"), "line 3: Glaucoma is '2', not 0 or 1"),
    "no column": (ORIGA_TABLE.replace("ExpCDR", "CDR"), "has no column 'ExpCDR'"),
    "no image": (ORIGA_TABLE.replace("003", "004"), "there is no file '004.jpg'"),
    "twice": (ORIGA_TABLE.replace("003", "002"), "lists more than once: '002.jpg'"),
}


@pytest.mark.parametrize("case", BAD_ORIGA)
def test_a_bad_table_of_origa_is_one_error(tmp_path, case):
    table, message = BAD_ORIGA[case]
    card, files = origa_fundus(table)
    with pytest.raises(MedhashError) as raised:
        prepared(tmp_path, card, files)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


COLOURED = png(np.zeros((18, 24, 3), np.uint8))
BAD_MASKS = {
    "of another shape": ("Masks/002.png", png(np.zeros((18, 40), np.uint8)), "in the proportions"),
    "of another class": ("Masks/002.png", png(np.full((18, 24), 3, np.uint8)), "it holds 3"),
    "coloured": ("Masks/002.png", COLOURED, "is of mode RGB, not one number a pixel"),
    "no image": ("Masks/002.png", b"<html>", "is no PNG file"),
    "no MATLAB": ("Semi-automatic-annotations/002.mat", b"MATLAB", "is no MATLAB file"),
    "no mask in it": (
        "Semi-automatic-annotations/002.mat",
        matlab(other=np.zeros(3)),
        "is no MATLAB file with an array 'mask'",
    ),
}


@pytest.mark.parametrize("case", BAD_MASKS)
def test_a_bad_mask_of_origa_is_one_error(tmp_path, case):
    file, content, message = BAD_MASKS[case]
    card, files = origa_fundus(masks=file.split("/")[0])
    changed = unpacked(files, "glaucoma-datasets.zip", **{f"folder/ORIGA/{file}": content})
    with pytest.raises(MedhashError, match="the mask of image") as raised:
        prepared(tmp_path, card, changed)
    assert "'folder/ORIGA/Images/002.jpg'" in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize("packing", [jsrt, jsrt_raw])
def test_both_packings_of_jsrt_say_the_same(tmp_path, packing):
    card, files = packing()
    dataset = prepared(tmp_path, card, files, 16)
    dataset.check()
    assert dataset.ids == ("JPCLN001", "JPCLN002", "JPCLN003")
    assert dataset.index["classes"].tolist() == ["malignant", "benign", "malignant"]
    assert dataset.attributes["side"].tolist() == ["left", "left", "right"]
    diagnoses = dataset.attributes["diagnosis"].tolist()
    assert diagnoses == ["lung cancer", "pulmonary hematoma", "lung cancer"]
    assert dataset.attributes["position"].tolist()[1] == "l.upper lobe(S5)"
    assert dataset.attributes["sex"].tolist() == ["male", "female", "female"]
    assert dataset.numbers("subtlety").tolist() == [5, 5, 1]
    assert dataset.numbers("size_mm")[:2].tolist() == [15, 30]
    assert np.isnan(dataset.numbers("size_mm")[2])
    for row, side in enumerate(("left", "left", "right")):
        assert (dataset.masks[row] == (lung(side) > 0)).all()
    assert dataset.groups["patient_id"].tolist() == ["JPCLN001", "JPCLN002", "JPCLN003"]


def test_raw_films_have_dark_lungs_whatever_their_polarity(tmp_path):
    card, files = jsrt_raw()
    dataset = prepared(tmp_path, card, files, 16)
    for row, side in enumerate(("left", "left", "right")):
        inside = lung(side) > 0
        assert dataset.images[row][inside].mean() < 60
        assert dataset.images[row][~inside].mean() > 200
    assert dataset.index["width"].tolist() == ["2048"] * 3


def bad_film(files):
    return {**files, "All247images/JPCLN002.IMG": b"short"}


def bad_outline(content):
    return lambda files: unpacked(
        files, "masks.zip", **{"folder/fold2/masks/left lung/JPCLN002.gif": content}
    )


def without_outline(files):
    changed = unpacked(files, "masks.zip")
    del changed["folder/fold1/masks/right lung/JPCLN003.gif"]
    return changed


BAD_JSRT = {
    "short film": (JSRT_CLINICAL, bad_film, "5 bytes are not 2048x2048 pixels of 16 bits"),
    "no side": (JSRT_CLINICAL.replace("r.upper", "upper"), dict, "neither on the left (l.) nor on"),
    "no state": (JSRT_CLINICAL.replace("benign", "unknown"), dict, "is called 'unknown', not mal"),
    "cut line": (JSRT_CLINICAL + "JPCLN004.IMG\t5\n", dict, "'JPCLN004.IMG' has 2 columns, not 10"),
    "no text": (JSRT_CLINICAL + "\u00e9", dict, "CLNDAT_EN.txt: cannot be read"),
    "no outline": (JSRT_CLINICAL, without_outline, "right lung: there is no file 'JPCLN003'"),
    "empty outline": (
        JSRT_CLINICAL,
        bad_outline(png(np.zeros((16, 16), np.uint8), "GIF")),
        "its mask shows no lung",
    ),
    "no GIF": (JSRT_CLINICAL, bad_outline(b"<html>"), "is no GIF file"),
    "no film": (JSRT_CLINICAL.replace("LN003", "LN009"), dict, "there is no file 'JPCLN009'"),
}


@pytest.mark.parametrize("case", BAD_JSRT)
def test_bad_raw_films_and_tables_are_one_error(tmp_path, case):
    table, change, message = BAD_JSRT[case]
    card, files = jsrt_raw(table)
    with pytest.raises(MedhashError) as raised:
        prepared(tmp_path, card, change(files), 16)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_bad_table_of_the_bundle_is_one_error(tmp_path):
    for number, (table, message) in enumerate(
        [
            (JSRT_METADATA.replace("position", "place"), "has no column 'position'"),
            (JSRT_METADATA.replace("benign", ""), "'JPCLN002.png' is called ''"),
        ]
    ):
        card, files = jsrt(table)
        with pytest.raises(MedhashError, match=message.replace("(", r"\(")):
            prepared(tmp_path / str(number), card, files)


def test_what_is_missing_names_every_packing(tmp_path):
    card, files = jsrt()
    del files["masks.zip"]
    with pytest.raises(MedhashError) as raised:
        prepared(tmp_path, card, files)
    assert "has no 'left lung/JPCLN*.gif' or 'left_lung/JPCLN*.gif'" in str(raised.value)
    assert "expected jsrt_metadata.csv or CLNDAT_EN.txt" in str(raised.value)


def test_other_datasets_of_the_bundle_are_not_read(tmp_path):
    card, files = origa_fundus()
    extra = {"folder/REFUGE/test/Images/001_a.jpg": image_bytes(1, "jpg")}
    dataset = prepared(tmp_path, card, unpacked(files, "glaucoma-datasets.zip", **extra))
    assert len(dataset.ids) == 3
    assert json.loads((tmp_path / "out/dataset.json").read_text())["differences"] != []


def test_a_zip_may_be_repacked(tmp_path):
    card, files = jsrt()
    one = unpacked(files, "bundle.zip")
    whole = zip_bytes({name: content for name, content in one.items() if name != "masks.zip"})
    dataset = prepared(tmp_path, card, {"own.zip": whole, "masks.zip": files["masks.zip"]})
    assert len(dataset.ids) == 3
