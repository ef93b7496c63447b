import pytest
from upstream_archives import BUILDERS, covid_ct, own_folder, write

from medhash.data.upstream import find_archives, read_archives
from medhash.errors import MedhashError


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
    with pytest.raises(MedhashError, match=f"{table}: cannot be read"):
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
