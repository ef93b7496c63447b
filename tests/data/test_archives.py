import os
import zipfile

import pytest
from upstream_archives import (
    BUILDERS,
    REAL_CARDS,
    brain_tumor_members,
    brain_tumor_mri,
    covid_ct,
    covid_radiograph,
    own_folder,
    write,
    zip_bytes,
)

from medhash.data.archives.finding import archive_folders, content_sha256
from medhash.data.upstream import find_archives, missing_report
from medhash.errors import MedhashError


def unpacked(files, folder):
    """Write the files, each zip as the folder that it unpacks to."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(path.parent)
            path.unlink()


def images_in(found):
    """Their number; a layout with tables and masks calls the part of the images so."""
    own = [part for part in found.parts if part.name == "images"]
    return sum(len(part.files) for part in own or found.parts)


@pytest.mark.parametrize("name", BUILDERS)
def test_zips_are_found_in_upstream_layout(tmp_path, name):
    card, files = BUILDERS[name]()
    found = find_archives(card, [write(tmp_path, files)])
    assert found.complete
    assert images_in(found) == card.image_count


@pytest.mark.parametrize("name", BUILDERS)
def test_unpacked_folders_are_found(tmp_path, name):
    card, files = BUILDERS[name]()
    unpacked(files, tmp_path / "some/where")
    found = find_archives(card, [tmp_path])
    assert found.complete
    assert images_in(found) == card.image_count


def test_datasets_in_one_folder_are_told_apart_whatever_their_names(tmp_path):
    cards = {}
    for number, (name, build) in enumerate(BUILDERS.items()):
        cards[name], files = build()
        renamed = {
            path.replace(".zip", f"{number}"): content
            for path, content in files.items()
            if path.endswith(".zip")
        }
        write(tmp_path / str(number), renamed)
    for name, card in cards.items():
        found = find_archives(card, [tmp_path])
        assert found.complete, name
        assert images_in(found) == card.image_count
    assert missing_report(cards, [tmp_path], {}) == ""


def test_the_repository_as_one_zip_is_found(tmp_path):
    card, files = covid_ct()
    repository = {f"COVID-CT-master/{path}": content for path, content in files.items()}
    write(tmp_path, {"COVID-CT-master.zip": zip_bytes(repository)})
    assert find_archives(card, [tmp_path]).complete


def test_the_first_folder_wins_among_equals(tmp_path):
    card, files = brain_tumor_mri()
    first, second = write(tmp_path / "b", files), write(tmp_path / "a", files)
    [container] = find_archives(card, [first, second]).containers
    assert container.path.parent == first


def test_a_part_of_a_dataset_does_not_hide_the_whole(tmp_path):
    card, files = brain_tumor_mri()
    members = brain_tumor_members()
    part = {path: members[path] for path in members if path.startswith("Training")}
    write(tmp_path / "a", {"part.zip": zip_bytes(part)})
    write(tmp_path / "b", files)
    found = find_archives(card, [tmp_path / "a", tmp_path / "b"])
    assert found.complete
    assert found.containers[0].path.name == "archive.zip"


def test_a_misspelt_class_folder_is_named_with_the_nearest(tmp_path):
    card, _ = brain_tumor_mri()
    members = {
        path.replace("Training/pituitary_tumor", "Training/pituitary_tumour"): content
        for path, content in brain_tumor_members().items()
    }
    write(tmp_path, {"archive.zip": zip_bytes(members)})
    found = find_archives(card, [tmp_path])
    with pytest.raises(MedhashError) as caught:
        found.require_complete()
    message = str(caught.value)
    assert "no folder 'Training/pituitary_tumor' with images" in message
    assert "'Training/pituitary_tumour': rename it" in message
    assert "archive.zip" in message


def test_a_misspelt_folder_of_a_dataset_in_two_zips_is_named(tmp_path):
    card, files = covid_ct()
    with_typo = {**files, "Images-processed/CT_COVID.zip": zip_bytes({"CT_COVD/1.png": b"x"})}
    found = find_archives(card, [write(tmp_path, with_typo)])
    with pytest.raises(MedhashError, match=r"no folder 'CT_COVID'.*'CT_COVD': rename it"):
        found.require_complete()


def test_masks_do_not_pass_for_images(tmp_path):
    card, files = covid_radiograph()
    with zipfile.ZipFile(write(tmp_path, files) / "downloaded.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    masks = {name: content for name, content in members.items() if "Normal/images" not in name}
    (tmp_path / "downloaded.zip").write_bytes(zip_bytes(masks))
    with pytest.raises(MedhashError, match="no folder 'Normal/images'"):
        find_archives(card, [tmp_path]).require_complete()


def test_a_folder_name_in_common_does_not_make_a_dataset(tmp_path):
    card, _ = covid_radiograph()
    write(tmp_path, {"other.zip": zip_bytes({"chest/Normal/images/1.png": b"x"})})
    assert find_archives(card, [tmp_path]).missing


def test_a_spoilt_archive_is_reported_with_its_reason(tmp_path):
    card, _ = brain_tumor_mri()
    write(tmp_path, {"archive.zip": b"<html>Sign in</html>"})
    found = find_archives(card, [tmp_path])
    assert not found.complete
    assert not found.missing
    with pytest.raises(MedhashError, match=r"archive\.zip: is a web page"):
        found.require_complete()


def test_own_classes_are_the_folders(tmp_path):
    found = find_archives(own_folder(tmp_path / "mine"), [])
    assert [part.name for part in found.parts] == ["benign", "malignant"]


def test_own_folder_with_classes_on_two_levels_is_refused(tmp_path):
    card = own_folder(tmp_path / "mine")
    write(tmp_path, {"mine/benign/deeper/1.png": b"x"})
    with pytest.raises(MedhashError, match=r"class folders in '\.' and in 'benign'"):
        find_archives(card, [])


def test_own_path_that_does_not_exist_is_one_error(tmp_path):
    card = own_folder(tmp_path / "mine").model_copy(update={"path": tmp_path / "none"})
    with pytest.raises(MedhashError, match="does not exist"):
        find_archives(card, [])


def test_an_own_folder_without_a_path_takes_nothing_that_lies_around(tmp_path):
    _, files = brain_tumor_mri()
    found = find_archives(REAL_CARDS["folder"], [write(tmp_path, files)])
    assert found.missing
    with pytest.raises(MedhashError, match=r"set `path` in config/datasets\.yaml"):
        found.require_complete()


def test_the_missing_report_says_what_from_where_how_large_by_hand_and_who_waits(tmp_path):
    waiting = {"brain_tumor_mri": ["ach/table6"], "covid_radiograph": ["ach/table3", "ach/fig7"]}
    report = missing_report(REAL_CARDS, [tmp_path], waiting)
    assert str(tmp_path) in report
    assert "https://www.kaggle.com/datasets/sartajbhuvaji/brain-tumor-classification-mri" in report
    assert "93.6 MB" in report
    assert "press Download on the page" in report
    assert "waiting  ach/table3, ach/fig7" in report
    assert "phantom" not in report


def test_the_missing_report_is_silent_on_what_is_there(tmp_path):
    card, files = covid_ct()
    cards = {"covid_ct": card, "thermal_ir": REAL_CARDS["thermal_ir"]}
    report = missing_report(cards, [write(tmp_path, files)], {})
    assert "thermal_ir" in report
    assert "covid_ct" not in report


def test_archive_folders_come_from_the_project_and_the_variable(tmp_path, monkeypatch):
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    second.mkdir()
    monkeypatch.setenv("MEDHASH_ARCHIVES", f"{first}{os.pathsep}{second}")
    assert archive_folders(tmp_path) == [tmp_path / "data/archives", first, second]
    monkeypatch.setenv("MEDHASH_ARCHIVES", str(tmp_path / "none"))
    with pytest.raises(MedhashError, match="MEDHASH_ARCHIVES: no such folder"):
        archive_folders(tmp_path)


def test_a_content_checksum_depends_on_paths_and_contents_not_on_order():
    one = content_sha256({"a": "1", "b": "2"})
    assert one == content_sha256({"b": "2", "a": "1"})
    assert one != content_sha256({"a": "2", "b": "1"})
