import hashlib
import io
import json
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from upstream_archives import (
    BUILDERS,
    REAL_CARDS,
    brain_tumor_members,
    brain_tumor_mri,
    covid_ct,
    image_bytes,
    own_folder,
    write,
    zip_bytes,
)

from medhash.data import preparation, readers
from medhash.data.archives.finding import archive_folders
from medhash.data.preparation import prepare, prepare_image
from medhash.data.prepared_files import INDEX_COLUMNS
from medhash.data.readers import brain_tumor_mri as brain_tumor_reader
from medhash.data.upstream import find_archives
from medhash.errors import MedhashError
from medhash.schema.datasets import Selection

FILES = ("dataset.json", "images.npy", "index.csv", "labels.npy")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read_back(folder: Path):
    index = pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False)
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    return index, images, labels, json.loads((folder / "dataset.json").read_text())


@pytest.mark.parametrize("name", BUILDERS)
def test_each_layout_is_prepared(tmp_path, name):
    card, files = BUILDERS[name]()
    prepare(card, [write(tmp_path / "archives", files)], tmp_path / "data" / name, 16)
    own = {*FILES, "masks.npy"} if card.mask_classes else FILES
    assert {path.name for path in (tmp_path / "data" / name).iterdir()} == set(own)
    index, images, labels, dataset = read_back(tmp_path / "data" / name)
    assert images.shape == (card.image_count, 16, 16, 3)
    assert images.dtype == labels.dtype == np.uint8
    assert tuple(index.columns)[: len(INDEX_COLUMNS)] == INDEX_COLUMNS
    assert index.image_id.is_unique
    assert [dataset["classes"][column] for column in labels.argmax(1)] == list(index.classes)
    assert (labels.sum(1) == 1).all()
    assert dataset["counts"] == dataset["card_counts"] == dict(card.classes)
    assert not dataset["synthetic"]


def test_pixels_and_index_describe_the_image_that_they_name(tmp_path):
    card, files = brain_tumor_mri()
    prepare(card, [write(tmp_path / "archives", files)], tmp_path / "out", 8)
    index, images, _, _ = read_back(tmp_path / "out")
    members = brain_tumor_members()
    for row, name in enumerate(index.image_id):
        original = Image.open(io.BytesIO(members[name]))
        small = original.resize((8, 8), Image.Resampling.BICUBIC)
        assert (images[row] == np.asarray(small)).all()
        assert index.sha256[row] == hashlib.sha256(members[name]).hexdigest()
        pixels = np.asarray(original).tobytes()
        assert index.pixel_sha256[row] == hashlib.sha256(pixels).hexdigest()
        assert index.perceptual_hash[row] == str(imagehash.phash(original))
        assert (index.width[row], index.height[row], index["mode"][row]) == ("24", "18", "RGB")


def test_preparing_twice_gives_the_same_bytes(tmp_path):
    card, files = covid_ct()
    write(tmp_path / "archives", files)
    for name in ("one", "two"):
        prepare(card, [tmp_path / "archives"], tmp_path / name, 16)
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_zips_and_the_folders_they_unpack_to_give_the_same_images(tmp_path):
    card, files = brain_tumor_mri()
    prepare(card, [write(tmp_path / "packed", files)], tmp_path / "one", 16)
    prepare(card, [write(tmp_path / "unpacked", brain_tumor_members())], tmp_path / "two", 16)
    for file in ("images.npy", "index.csv", "labels.npy"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_was_prepared_before_is_replaced(tmp_path):
    card, files = covid_ct()
    write(tmp_path / "archives", files)
    prepare(card, [tmp_path / "archives"], tmp_path / "out", 8)
    prepare(card, [tmp_path / "archives"], tmp_path / "out", 16)
    assert read_back(tmp_path / "out")[1].shape == (7, 16, 16, 3)


def test_counts_that_differ_from_the_card_are_said_and_recorded(tmp_path, capsys):
    card, files = covid_ct()
    card = card.model_copy(update={"classes": {"COVID": 3, "NonCOVID": 9}})
    prepare(card, [write(tmp_path / "archives", files)], tmp_path / "out", 8)
    expected = "class NonCOVID: 4 images in the archive, 9 on the card"
    assert expected in read_back(tmp_path / "out")[3]["differences"]
    assert expected in capsys.readouterr().err


def test_archives_are_recorded_with_checksums_and_unknown_copies_are_said(tmp_path):
    card, files = brain_tumor_mri()
    prepare(card, [write(tmp_path / "archives", files)], tmp_path / "out", 8)
    dataset = read_back(tmp_path / "out")[3]
    digest = hashlib.sha256(files["archive.zip"]).hexdigest()
    [archive] = dataset["archives"]
    assert (archive["file"], archive["sha256"]) == ("archive.zip", digest)
    assert dataset["differences"] == [
        f"archive.zip is not a copy that the card knows (sha256 {digest})"
    ]


def test_own_folder_is_prepared_and_nothing_of_this_machine_is_recorded(tmp_path):
    card = own_folder(tmp_path / "mine")
    prepare(card, [], tmp_path / "out", 8)
    index, _, labels, dataset = read_back(tmp_path / "out")
    assert dataset["classes"] == ["benign", "malignant"]
    assert labels.sum(0).tolist() == [3, 3]
    for file in ("index.csv", "dataset.json"):
        assert str(tmp_path) not in (tmp_path / "out" / file).read_text()
    assert index.file[0] == "benign/0.png"


# decoding


def test_transparency_is_laid_over_black():
    pixels = np.full((4, 4, 4), 200, np.uint8)
    pixels[:2, :, 3] = 0
    pixels[2:, :, 3] = 255
    rgb, facts = prepare_image(encoded(Image.fromarray(pixels)), 4)
    assert facts.mode == "RGBA"
    assert (rgb[0] == 0).all()
    assert (rgb[3] == 200).all()


def test_sixteen_bits_are_stretched_from_least_to_greatest():
    values = np.linspace(1000, 4095, 64).reshape(8, 8).astype(np.uint16)
    rgb, facts = prepare_image(encoded(Image.fromarray(values)), 8)
    expected = np.rint((values - 1000.0) / 3095 * 255)
    assert facts.mode == "I;16"
    assert (rgb[..., 0] == expected).all()
    assert rgb.max() == 255


@pytest.mark.filterwarnings("error")
def test_a_flat_sixteen_bit_image_is_black():
    flat = Image.fromarray(np.full((8, 8), 3000, np.uint16))
    assert (prepare_image(encoded(flat), 8)[0] == 0).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGB", "F"])
def test_other_modes_become_rgb(mode):
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert(mode)
    rgb, facts = prepare_image(encoded(image, "TIFF"), 16)
    assert rgb.shape == (16, 16, 3)
    assert facts.mode == mode


def test_shrinking_is_antialiased():
    """Stripes of one pixel become even grey; picking single pixels would keep black or white."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small, _ = prepare_image(encoded(Image.fromarray(stripes)), 8)
    assert np.abs(small.astype(int) - 127).max() < 12


def test_images_are_upright():
    exif = Image.Exif()
    exif[274] = 6
    image = Image.fromarray(np.zeros((10, 20, 3), np.uint8))
    _, facts = prepare_image(encoded(image, "JPEG", exif=exif), 8)
    assert (facts.width, facts.height) == (10, 20)


def test_pixels_are_limited_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(preparation, "MAX_PIXELS", 100)
    with pytest.raises(ValueError, match="24x18 is more than 100 pixels"):
        prepare_image(image_bytes(0), 8)


def test_a_picture_bomb_is_refused():
    """A tiny PNG that declares 11000 x 11000 pixels."""
    bomb = encoded(Image.new("1", (11000, 11000)))
    assert len(bomb) < 1_000_000
    with pytest.raises(ValueError, match="pixels"):
        prepare_image(bomb, 8)


# bad archives: one error, nothing left


def with_member(name: str, content: bytes, mode: int = 0) -> bytes:
    stream = io.BytesIO(zip_bytes(brain_tumor_members()))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return stream.getvalue()


def without(prefix: str) -> bytes:
    members = brain_tumor_members()
    return zip_bytes({name: members[name] for name in members if not name.startswith(prefix)})


def encrypted() -> bytes:
    content = bytearray(zip_bytes(brain_tumor_members()))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


GOOD_IMAGE = image_bytes(1, "jpg", size=(64, 64))
NEW = "Training/no_tumor/new.jpg"
BAD_ARCHIVES = {
    "cut short": (zip_bytes(brain_tumor_members())[:-100], "cut short or damaged"),
    "a web page": (b"<!doctype html><title>Sign in</title>", "is a web page"),
    "an image that is none": (with_member(NEW, b"not an image"), f"image '{NEW}' cannot be read"),
    "an image cut short": (
        with_member(NEW, GOOD_IMAGE[:-200]),
        f"image '{NEW}' cannot be read.*truncated",
    ),
    "a class folder missing": (without("Testing/no_tumor"), "no folder 'Testing/no_tumor'"),
    "a path that leaves": (with_member("../../evil.jpg", GOOD_IMAGE), "path leaves the folder"),
    "a link": (with_member(NEW, b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link"),
    "a zip bomb": (with_member(NEW, bytes(50_000_000)), "a zip bomb"),
    "the same name twice": (
        with_member("Training/no_tumor/./image(0).jpg", GOOD_IMAGE),
        r"'Training/no_tumor/image\(0\)\.jpg' twice",
    ),
    "encrypted": (encrypted(), "is encrypted"),
    "a picture bomb": (
        with_member(NEW, encoded(Image.new("1", (11000, 11000)))),
        f"image '{NEW}' cannot be read.*pixels",
    ),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_gives_one_error_and_leaves_nothing(tmp_path, case):
    content, reason = BAD_ARCHIVES[case]
    card, _ = brain_tumor_mri()
    archives = write(tmp_path / "archives", {"archive.zip": content})
    with pytest.raises(MedhashError, match=reason) as caught:
        prepare(card, [archives], tmp_path / "data/brain_tumor_mri", 8)
    assert len(str(caught.value).splitlines()) == 1
    everything = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert everything <= {"archives", "archives/archive.zip", "data"}


def test_a_bad_archive_leaves_what_was_prepared_before(tmp_path):
    card, files = brain_tumor_mri()
    prepare(card, [write(tmp_path / "good", files)], tmp_path / "out", 8)
    before = {file: (tmp_path / "out" / file).read_bytes() for file in FILES}
    bad = write(tmp_path / "bad", {"archive.zip": with_member(NEW, b"not an image")})
    with pytest.raises(MedhashError):
        prepare(card, [bad], tmp_path / "out", 8)
    assert {file: (tmp_path / "out" / file).read_bytes() for file in FILES} == before


def test_missing_archives_are_reported_when_nothing_may_be_downloaded(tmp_path):
    with pytest.raises(MedhashError, match=r"missing archives.*\n\ncovid_ct: COVID-CT-Dataset"):
        prepare(REAL_CARDS["covid_ct"], [tmp_path], tmp_path / "out", 8)
    assert not (tmp_path / "out").exists()


def test_images_that_are_not_selected_are_never_decoded(tmp_path):
    """Files that are no images lie behind those that are, in the order of the archive."""
    bad = {f"Training/no_tumor/z{number}.jpg": b"not an image" for number in range(9)}
    members = brain_tumor_members() | bad
    card, _ = brain_tumor_mri()
    card = card.model_copy(update={"selection": Selection(images=2)})
    archives = write(tmp_path / "archives", {"archive.zip": zip_bytes(members)})
    prepare(card, [archives], tmp_path / "out", 8)
    index, images, labels, dataset = read_back(tmp_path / "out")
    assert len(images) == 8
    assert labels.sum(0).tolist() == [2, 2, 2, 2]
    assert dataset["notes"][-1].startswith("8 of 21 images selected: 2 a class")
    assert sorted(index.image_id[labels[:, 2] == 1]) == [
        "Testing/no_tumor/image(0).jpg",
        "Training/no_tumor/image(0).jpg",
    ]


def prepare_with_mask(folder, monkeypatch, mask):
    """The Brain Tumor archive (images of 24 x 18), were one mask of three classes that of all."""

    class Masked(brain_tumor_reader.Reader):
        def read(self, card, found):
            reading = super().read(card, found)
            return replace(reading, images=[replace(i, mask=mask) for i in reading.images])

    monkeypatch.setattr(readers, "reader_of", lambda name: Masked())
    card, files = brain_tumor_mri()
    card = card.model_copy(update={"mask_classes": ("background", "disc", "cup")})
    prepare(card, [write(folder / "archives", files)], folder / "out", 12)
    return np.load(folder / "out" / "masks.npy")


@pytest.mark.parametrize("scale", [1, 2])
def test_masks_are_squeezed_as_their_images_are_and_keep_their_classes(
    tmp_path, monkeypatch, scale
):
    """At the image's own size or another: 24 x 18 to 12 x 12 takes every second column."""
    mask = np.zeros((18 * scale, 24 * scale), np.uint8)
    mask[:, : 8 * scale] = 2
    mask[: 6 * scale, 8 * scale :] = 1
    masks = prepare_with_mask(tmp_path, monkeypatch, lambda: mask)
    expected = np.zeros((12, 12), np.uint8)
    expected[:, :4] = 2
    expected[:4, 4:] = 1
    assert masks.dtype == np.uint8
    assert masks.shape == (12, 12, 12)
    assert (masks == expected).all()


def unreadable():
    raise OSError("cut short")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (lambda: np.zeros((24, 18), np.uint8), "its 18x24 pixels are not in the proportions"),
        (lambda: np.full((18, 24), 3, np.uint8), "it holds 3, but the card's mask_classes end at"),
        (lambda: np.zeros((18, 24)), "it is no array of whole numbers"),
        (lambda: np.zeros((18, 24, 3), np.uint8), "it is no array of whole numbers"),
        (unreadable, "cut short"),
    ],
)
def test_a_mask_that_does_not_fit_is_one_error_and_leaves_nothing(
    tmp_path, monkeypatch, mask, message
):
    with pytest.raises(MedhashError, match=f"the mask of image '.*image.0..jpg'.*{message}"):
        prepare_with_mask(tmp_path, monkeypatch, mask)
    assert not (tmp_path / "out").exists()


# the real archives


def real_archives(name: str) -> list[Path]:
    if not os.environ.get("MEDHASH_ARCHIVES"):
        pytest.skip("MEDHASH_ARCHIVES is not set: the real archives are not at hand")
    folders = archive_folders()
    if not find_archives(REAL_CARDS[name], folders).complete:
        pytest.skip(f"MEDHASH_ARCHIVES does not hold {name}")
    return folders


@pytest.mark.real_data
def test_real_covid_ct_is_read_whole(tmp_path):
    prepare(REAL_CARDS["covid_ct"], real_archives("covid_ct"), tmp_path / "out", 16)
    index, images, _, dataset = read_back(tmp_path / "out")
    assert dataset["counts"] == {"COVID": 349, "NonCOVID": 397}
    assert dataset["differences"] == []
    assert len(images) == 746
    assert (index.patient_id != "").all()
    assert index.official_role.value_counts().to_dict() == {"database": 543, "query": 203}


@pytest.mark.real_data
def test_real_brain_tumor_images_are_found_in_their_folders():
    name = "brain_tumor_mri"
    found = find_archives(REAL_CARDS[name], real_archives(name))
    counts = {part.name: len(part.files) for part in found.parts}
    assert sum(counts.values()) == 3264
    testing = sum(count for slot, count in counts.items() if slot.startswith("Testing"))
    assert testing == 394
