"""The image of a query: decoded and looked up as the dataset's own images are."""

import shutil

import numpy as np
import pytest
from PIL import Image

from medhash.data.cards import load_cards
from medhash.data.phantoms import generate
from medhash.data.preparation import prepare, prepare_image
from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.query.image import (
    image_of_dataset,
    image_of_file,
    with_classes,
)

SIZE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "data"
    generate(load_cards()["phantom_covid_ct"], folder, SIZE, 24, 0)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return PreparedDataset(folder)


def write_image(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_a_dataset_is_what_prepare_wrote(dataset, folder):
    assert dataset.classes == ("COVID", "NonCOVID")
    assert dataset.synthetic
    assert len(dataset.ids) == len(dataset.images) == len(dataset.labels) == 24
    assert dataset.ids[0] == "COVID/00000"
    assert dataset.classes_of(0) == ("COVID",)
    assert dataset.column("patient_id")[0] == "COVID/patient_00000"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_a_copy_of_an_image_is_found_by_its_pixels(dataset, tmp_path, suffix):
    path = write_image(tmp_path / f"any name.{suffix}", np.array(dataset.images[17]))
    query = image_of_file(path, dataset)
    assert query.rows == (17,)
    assert query.classes == dataset.classes_of(17)
    assert query.class_source == "dataset"
    assert np.array_equal(query.pixels, dataset.images[17])
    assert query.name == f"any name.{suffix}"


def test_a_lossy_copy_is_another_image(dataset, tmp_path):
    path = write_image(tmp_path / "copy.jpeg", np.array(dataset.images[17]), quality=50)
    query = image_of_file(path, dataset)
    assert (query.rows, query.classes, query.class_source) == ((), (), "")


def test_any_depth_and_size_is_read_as_archives_are(dataset, tmp_path):
    random = np.random.default_rng(0)
    pictures = {
        "deep.tiff": random.integers(0, 4096, (50, 70), dtype=np.uint16),
        "deep.png": random.integers(0, 65535, (30, 20), dtype=np.uint16),
        "grey.bmp": random.integers(0, 255, (40, 40), dtype=np.uint8),
        "clear.png": random.integers(0, 255, (40, 30, 4), dtype=np.uint8),
        "lossy.jpg": random.integers(0, 255, (64, 64, 3), dtype=np.uint8),
    }
    for name, pixels in pictures.items():
        path = write_image(tmp_path / name, pixels)
        expected, _ = prepare_image(path.read_bytes(), SIZE)
        found = image_of_file(path, dataset).pixels
        assert found.shape == (SIZE, SIZE, 3)
        assert np.array_equal(found, expected), name


def test_an_image_of_an_archive_is_the_prepared_one(tmp_path):
    """The file itself, as it lies in the archive, against what prepare made of it."""
    random = np.random.default_rng(1)
    archive = tmp_path / "archives"
    for name in ("CT_COVID", "CT_NonCOVID"):
        (archive / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 255, (40 + number, 30, 4), dtype=np.uint8)
            write_image(archive / name / f"{name}{number}.png", pixels)
    card = load_cards()["covid_ct"]
    prepare(card, [archive], tmp_path / "data", SIZE)
    dataset = PreparedDataset(tmp_path / "data")
    for row, name in enumerate(dataset.ids):
        query = image_of_file(archive / name, dataset)
        assert query.rows == (row,)
        assert np.array_equal(query.pixels, dataset.images[row])


def test_an_image_of_the_dataset_is_named_by_id_or_row(dataset):
    by_row, by_id = (image_of_dataset(name, dataset) for name in ("3", dataset.ids[3]))
    for query in (by_row, by_id):
        assert query.name == dataset.ids[3]
        assert query.rows == (3,)
        assert np.array_equal(query.pixels, dataset.images[3])
        assert query.classes == dataset.classes_of(3)


def test_every_image_of_the_same_pixels_is_listed(dataset):
    twice = PreparedDataset(dataset.folder)
    twice.index.loc[5, "pixel_sha256"] = dataset.index.loc[20, "pixel_sha256"]
    assert image_of_dataset("20", twice).rows == (20, 5)
    assert image_of_dataset("5", twice).rows == (5, 20)


def test_the_user_may_say_the_class(dataset):
    query = image_of_dataset("0", dataset)
    assert with_classes(query, (), dataset) is query
    said = with_classes(query, ["NonCOVID"], dataset)
    assert (said.classes, said.class_source) == (("NonCOVID",), "command line")
    with pytest.raises(MedhashError, match="unknown class 'COVD'; did you mean 'COVID'"):
        with_classes(query, ["COVD"], dataset)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("COVID/0002", "neither an image_id of Phantom of COVID-CT-Dataset nor one of its rows 0"),
        ("24", "rows 0 to 23"),
        ("-1", "rows 0 to 23"),
    ],
)
def test_an_unknown_image_is_refused(dataset, name, message):
    with pytest.raises(MedhashError, match=message):
        image_of_dataset(name, dataset)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such image file"),
        (b"", "it is no image in one of the formats BMP"),
        (b"<!doctype html>", "it is no image in one of the formats BMP"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "scan.png: "),
    ],
    ids=["missing", "empty", "web page", "damaged"],
)
def test_a_file_that_is_no_image_is_refused(dataset, tmp_path, content, message):
    path = tmp_path / "scan.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MedhashError, match=message) as caught:
        image_of_file(path, dataset)
    assert str(path) in str(caught.value)


def test_a_dataset_that_lost_images_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "data")
    lines = (folder / "index.csv").read_text().splitlines()
    (tmp_path / "data" / "index.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(MedhashError, match=r"\(images.npy 24, labels.npy 24, index.csv 23"):
        PreparedDataset(tmp_path / "data").check()
