from hashlib import sha256
from typing import ClassVar

import numpy as np
import pytest
from upstream_archives import (
    BUILDERS,
    SKIN_TABLE,
    card_with_counts,
    covid_ct,
    own_folder,
    skin_mnist,
    write,
    zip_bytes,
)

from medhash.data import readers
from medhash.data.archives.containers import open_containers
from medhash.data.archives.finding import FoundArchives, FoundPart, Match
from medhash.data.readers.reading import FileReader, ImageFile, Reading, files_of, read_table
from medhash.data.upstream import find_archives, read_archives
from medhash.errors import MedhashError
from medhash.schema.datasets import Selection


def read(card, folder):
    return read_archives(card, find_archives(card, [folder]))


@pytest.mark.parametrize("name", BUILDERS)
def test_every_image_of_the_layout_is_listed_once_under_its_class(tmp_path, name):
    card, files = BUILDERS[name]()
    reading = read(card, write(tmp_path, files))
    ids = [image.image_id for image in reading.images]
    assert ids == sorted(set(ids))
    counts = dict.fromkeys(reading.classes, 0)
    for image in reading.images:
        [name] = image.classes
        counts[name] += 1
        assert image.read()
    assert counts == dict(card.classes)
    assert reading.classes == tuple(card.classes)


def test_ids_are_paths_of_the_layout_without_outer_folders(tmp_path):
    card, files = BUILDERS["thermal_ir"]()
    reading = read(card, write(tmp_path, files))
    image = reading.images[0]
    assert image.image_id == "A&B50/000.bmp"
    assert image.file == "Thermal image of equipment/IR-Motor-bmp/A&B50/000.bmp"


def test_covid_ct_patients_come_from_both_tables(tmp_path):
    card, files = covid_ct()
    reading = read(card, write(tmp_path, files))
    patients = {image.image_id: image.groups["patient_id"] for image in reading.images}
    assert patients == {
        "CT_COVID/2020.02.10-p6-52%0.png": "Patient 2",
        "CT_COVID/2020.02.10-p6-52%10.png": "Patient 2",
        "CT_COVID/kjr-21-e24-p1.png": "",
        "CT_NonCOVID/0.jpg": "crawled_0",
        "CT_NonCOVID/1%0.jpg": "crawled_1",
        "CT_NonCOVID/112.png": "m",
        "CT_NonCOVID/113.png": "m",
    }
    assert "1 of 7 images have no patient id in the metadata tables" in reading.notes


def test_covid_ct_roles_come_from_the_lists(tmp_path):
    card, files = covid_ct()
    reading = read(card, write(tmp_path, files))
    queries = {i.image_id for i in reading.images if i.official_role == "query"}
    assert queries == {"CT_COVID/kjr-21-e24-p1.png", "CT_NonCOVID/113.png"}
    assert {image.official_role for image in reading.images} == {"query", "database"}


def test_covid_ct_without_tables_and_lists_is_read_and_says_so(tmp_path):
    card, files = covid_ct()
    archives = {name: content for name, content in files.items() if name.endswith(".zip")}
    reading = read(card, write(tmp_path, archives))
    assert len(reading.images) == 7
    assert "7 of 7 images have no patient id in the metadata tables" in reading.notes
    assert reading.tables == {}


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("COVID-CT-MetaInfo.xlsx", b"<html>"),
        ("NonCOVID-CT-MetaInfo.csv", b"name,who\r\n0.jpg,x\r\n"),
        ("NonCOVID-CT-MetaInfo.csv", b"\xff\xfe\xff"),
    ],
)
def test_a_damaged_table_is_one_error(tmp_path, table, content):
    card, files = covid_ct()
    with pytest.raises(MedhashError, match=f"{table}: (cannot be read|is)"):
        read(card, write(tmp_path, {**files, table: content}))


def test_brain_tumor_roles_follow_the_folders(tmp_path):
    card, files = BUILDERS["brain_tumor_mri"]()
    for image in read(card, write(tmp_path, files)).images:
        expected = "query" if image.image_id.startswith("Testing/") else "database"
        assert image.official_role == expected


def test_radiograph_masks_are_not_images(tmp_path):
    card, files = BUILDERS["covid_radiograph"]()
    reading = read(card, write(tmp_path, files))
    assert not any("masks" in image.image_id for image in reading.images)
    assert reading.notes == ["8 images outside the class folders were not used"]


def test_own_folder_is_read_by_its_folders(tmp_path):
    reading = read(own_folder(tmp_path / "mine"), tmp_path)
    assert reading.classes == ("benign", "malignant")
    assert [image.image_id for image in reading.images][:2] == ["benign/0.png", "benign/1.png"]


def test_readers_are_found_by_their_files():
    expected = {"brain_tumor_mri", "class_folders", "covid_ct", "covid_radiograph"}
    assert expected <= set(readers.names())
    assert "reading" not in readers.names()
    with pytest.raises(MedhashError, match="unknown reader 'covid_tc'; did you mean 'covid_ct'"):
        readers.reader_of("covid_tc")


# layouts of files


class Tables(FileReader):
    layout: ClassVar = {"table": "labels.csv", "images": "images_*/*.png"}

    def read(self, card, found):
        raise NotImplementedError


def found_files(tmp_path, *places):
    card = BUILDERS["thermal_ir"]()[0]
    containers = [
        list(open_containers(write(tmp_path / str(n), files))) for n, files in enumerate(places)
    ]
    return FoundArchives(card, (), Tables().match(card, containers))


def test_a_layout_of_files_may_be_spread_over_archives_below_any_folders(tmp_path):
    one = zip_bytes({"top/images_001/a.png": b"1", "top/images_001/deeper/x.png": b"2"})
    found = found_files(
        tmp_path, {"x/one.zip": one, "x/labels.csv": b"f\n", "y/images_002/b.png": b"3"}
    )
    assert found.complete
    files = files_of(found, "images")
    assert {name: file for name, (_, file) in files.items()} == {
        "a.png": "top/images_001/a.png",
        "b.png": "y/images_002/b.png",
    }
    assert read_table(found, "table", ()) == ([], {"labels.csv": sha256(b"f\n").hexdigest()})


def test_all_parts_must_be_in_one_place_and_the_fullest_is_taken(tmp_path):
    part = {"labels.csv": b"f\n"}
    found = found_files(tmp_path, part, {**part, "images_1/a.png": b"1"}, part)
    assert found.complete
    assert {p.container.path.name for p in found.parts} == {"1"}
    found = found_files(tmp_path / "again", part, {"images_1/a.png": b"1"})
    assert not found.complete
    with pytest.raises(MedhashError, match=r"has no 'images_\*/\*\.png'; expected labels\.csv"):
        found.require_complete()


def test_files_of_one_name_and_two_tables_are_refused(tmp_path):
    found = found_files(
        tmp_path,
        {"images_1/a.png": b"", "images_2/a.png": b"", "labels.csv": b"", "old/labels.csv": b""},
    )
    with pytest.raises(MedhashError, match=r"'images_2/a\.png' and 'images_1/a\.png'.*one name"):
        files_of(found, "images")
    with pytest.raises(MedhashError, match=r"several tables .*old/labels\.csv.*keep one"):
        read_table(found, "table", ())


# selection


def many(tmp_path, entries):
    """A card and images whose file order is that of the entries: (name, classes)."""
    classes = sorted({name for _, own in entries for name in own})
    counts = {name: sum(name in own for _, own in entries) for name in classes}
    card = card_with_counts("covid_ct", counts, images=len(entries), sources=[], path=tmp_path)
    [container] = open_containers(write(tmp_path, {f"{name}.png": b"" for name, _ in entries}))
    images = [ImageFile(name, own, container, f"{name}.png") for name, own in entries]
    return card, images


def selected(tmp_path, monkeypatch, entries, **selection):
    card, images = many(tmp_path, entries)
    card = card.model_copy(update={"selection": Selection(**selection)})
    monkeypatch.setattr(Tables, "read", lambda self, card, found: Reading(images))
    monkeypatch.setattr(readers, "reader_of", lambda name: Tables())
    part = FoundPart("images", images[0].container, "", ())
    reading = read_archives(card, FoundArchives(card, (), Match((part,))))
    return {image.image_id for image in reading.images}, reading.notes


def slow_selection(entries, size):
    counts = {}
    for _, own in entries:
        for name in own:
            counts[name] = counts.get(name, 0) + 1
    chosen = []
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        quota = size
        for image, own in entries:
            if quota and name in own and image not in chosen:
                chosen.append(image)
                quota -= 1
    return set(chosen)


@pytest.mark.parametrize("seed", range(5))
def test_selection_takes_each_class_its_images_the_rarest_first(tmp_path, monkeypatch, seed):
    rng = np.random.default_rng(seed)
    shares = {"w": 0.1, "x": 0.3, "y": 0.5, "z": 0.6}
    entries = [
        (f"{number:03d}", tuple(c for c, p in shares.items() if p > rng.random()))
        for number in rng.permutation(120)
    ]
    entries = [entry for entry in entries if entry[1]]
    chosen, notes = selected(tmp_path, monkeypatch, entries, images=15)
    assert chosen == slow_selection(entries, 15)
    assert f"{len(chosen)} of {len(entries)} images selected" in notes[-1]


def test_a_ranked_selection_is_seeded_and_does_not_depend_on_the_files_order(tmp_path, monkeypatch):
    entries = [(f"{number}", ("ab"[number % 2],)) for number in range(60)]
    draws = [
        selected(tmp_path / f"{n}", monkeypatch, order, images=10, order="ranked", seed=seed)[0]
        for n, (order, seed) in enumerate([(entries, 0), (entries[::-1], 0), (entries, 1)])
    ]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] != selected(tmp_path / "file", monkeypatch, entries, images=10)[0]


def test_a_class_of_too_few_images_gives_all_and_says_so(tmp_path, monkeypatch):
    entries = [("1", ("a",)), ("2", ("b",)), ("3", ("b",))]
    chosen, notes = selected(tmp_path, monkeypatch, entries, images=2)
    assert chosen == {"1", "2", "3"}
    assert "class a: 1 images to select, not 2" in notes


def test_skin_lesions_are_groups_and_the_table_s_columns_attributes(tmp_path):
    card, files = skin_mnist()
    images = {image.image_id: image for image in read(card, write(tmp_path, files)).images}
    lesions = {name: image.groups["lesion_id"] for name, image in images.items()}
    assert lesions["ISIC_0027419"] == lesions["ISIC_0025030"] == "HAM_0000118"
    assert len(set(lesions.values())) == 3
    first = images["ISIC_0027419"]
    assert first.attributes == {
        "confirmed_by": "histo",
        "age": 80.0,
        "sex": "male",
        "localization": "scalp",
    }
    assert images["ISIC_0026769"].attributes["age"] == ""
    assert first.file == "HAM10000_images_part_1/ISIC_0027419.jpg"
    assert images["ISIC_0031633"].file == "HAM10000_images_part_2/ISIC_0031633.jpg"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("localization", "place", "has no column 'localization'"),
        ("75.0", "old", "line 5: age is 'old', no number"),
        ("HAM_0002730", "", "line 4: image 'ISIC_0026769' has no lesion_id"),
        ("ISIC_0031633", "ISIC_1", "there is no file 'ISIC_1.jpg'"),
        ("mel", "melanoma", "is of the class 'melanoma', which the card does not list"),
    ],
)
def test_a_bad_table_of_skin_lesions_is_one_error(tmp_path, old, new, message):
    card, files = skin_mnist(SKIN_TABLE.replace(old, new))
    with pytest.raises(MedhashError, match=message):
        read(card, write(tmp_path, files))
