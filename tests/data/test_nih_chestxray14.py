"""NIH ChestX-ray14: archives in the exact upstream layouts, and what is wrong with bad ones."""

from __future__ import annotations

import csv
import io
import re
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from upstream_archives import REAL_CARDS, card_with_counts, image_bytes, write, zip_bytes

from medhash.data.archives.finding import archive_folders
from medhash.data.preparation import prepare
from medhash.data.prepared import PreparedDataset
from medhash.data.readers.nih_chestxray14 import FINDINGS, WHOLE
from medhash.data.splits.making import make_split
from medhash.data.upstream import find_archives, missing_report, read_archives
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
# name -> labels: eight films of five patients; patient 3's films lie in both folders
FILMS = {
    "00000001_000.png": "Cardiomegaly",
    "00000001_001.png": "Cardiomegaly|Effusion",
    "00000002_000.png": "No Finding",
    "00000003_000.png": "Hernia",
    "00000003_001.png": "Hernia|Infiltration",
    "00000003_002.png": "Effusion|Infiltration|Cardiomegaly",
    "00000004_000.png": "Effusion",
    "00000005_000.png": "Effusion",
}
COUNTS = {"Infiltration": 2, "Effusion": 4, "Cardiomegaly": 3}
FOLDER = {name: "images_001" if name < "00000003_001" else "images_002" for name in FILMS}


def line(name: str, findings: str, age: str = "58") -> str:
    patient, film = int(name[:8]), int(name[9:12])
    return f"{name},{findings},{film},{patient},{age},M,PA,2682,2749,0.143,0.143"


def table(films: dict[str, str] = FILMS, header: str = HEADER, end: str = "\n") -> bytes:
    return end.join([header, *(line(*film) for film in films.items()), ""]).encode()


def pixels(name: str) -> bytes:
    return image_bytes(int(name[:8]) * 10 + int(name[11]), mode="L", size=(24, 24))


def kaggle(content: bytes | None = None) -> dict[str, bytes]:
    """One zip: the table and others beside twelve folders, in each a folder ``images``."""
    members = {
        "BBox_List_2017.csv": b"Image Index,Finding Label,Bbox [x,y,w,h],,,\n",
        "Data_Entry_2017.csv": content or table(),
        "train_val_list.txt": b"00000001_000.png\n",
        "test_list.txt": b"00000003_000.png",
        "README_ChestXray.pdf": b"%PDF",
    }
    members |= {f"{FOLDER[name]}/images/{name}": pixels(name) for name in FILMS}
    return {"archive.zip": zip_bytes(members)}


def nih() -> dict[str, bytes]:
    """The parts unpacked side by side into one folder, and the table of 2020: other ages, lines
    of a patient by age, Windows line ends, no comma behind the header."""
    films = dict(sorted(FILMS.items(), key=lambda film: (film[0][:8], -int(film[0][9:12]))))
    content = table(films, HEADER.rstrip(","), "\r\n")
    images = {f"images/{name}": pixels(name) for name in FILMS}
    return {"Data_Entry_2017_v2020.csv": content, **images}


def packed() -> dict[str, bytes]:
    """As NIH packs them."""
    parts = {}
    for number, folder in enumerate(sorted(set(FOLDER.values())), start=1):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name in (name for name in FILMS if FOLDER[name] == folder):
                member = tarfile.TarInfo(f"images/{name}")
                member.size = len(pixels(name))
                archive.addfile(member, io.BytesIO(pixels(name)))
        parts[f"images_{number:02d}.tar.gz"] = stream.getvalue()
    return {"Data_Entry_2017_v2020.csv": table(), **parts}


def card(**changes: object) -> DatasetCard:
    own = {"images": 5, "selection": None, "reported_counts": {}} | changes
    counts = own.pop("classes", COUNTS)
    return card_with_counts("nih_chestxray14", counts, **own)


def read(folder: Path, files: dict[str, bytes], **changes: object):
    own = card(**changes)
    return read_archives(own, find_archives(own, [write(folder, files)]))


@pytest.mark.parametrize("layout", [kaggle, nih])
def test_both_layouts_give_the_same_images_labels_and_patients(tmp_path, layout):
    reading = read(tmp_path, layout())
    found = {i.image_id: (i.classes, i.groups["patient_id"]) for i in reading.images}
    # Without No Finding, without Hernia; an image with Hernia keeps its other label.
    assert found == {
        "00000001_000.png": (("Cardiomegaly",), "1"),
        "00000001_001.png": (("Cardiomegaly", "Effusion"), "1"),
        "00000003_001.png": (("Infiltration",), "3"),
        "00000003_002.png": (("Effusion", "Infiltration", "Cardiomegaly"), "3"),
        "00000004_000.png": (("Effusion",), "4"),
        "00000005_000.png": (("Effusion",), "5"),
    }
    for image in reading.images:
        assert image.read() == pixels(image.image_id)
    assert reading.images[1].attributes == {
        "follow_up": "1",
        "age": "58",
        "gender": "M",
        "view": "PA",
    }
    assert reading.classes == tuple(COUNTS)
    assert reading.notes == [
        "the table lists 8 images of 5 patients, but the whole dataset 112,120 of 30,805"
    ]
    assert len(reading.tables) == 1


def test_it_is_prepared_with_several_labels_and_nothing_is_decoded_that_is_not_selected(tmp_path):
    files = kaggle()
    members = {f"{FOLDER[name]}/images/{name}": pixels(name) for name in FILMS}
    members["images_002/images/00000003_002.png"] = b"not selected, never opened"
    files["archive.zip"] = zip_bytes({"Data_Entry_2017.csv": table(), **members})
    selection = {"rule": "per_class", "images": 1}
    own = card(selection=selection, images=3, classes=dict.fromkeys(COUNTS, 1))
    prepare(own, [write(tmp_path / "archives", files)], tmp_path / "out", 16)
    dataset = PreparedDataset(tmp_path / "out")
    # The rarest, Infiltration, first, then Cardiomegaly, then Effusion, each in file order.
    assert dataset.ids == ("00000001_000.png", "00000001_001.png", "00000003_001.png")
    assert dataset.labels.tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 0]]
    assert dataset.groups["patient_id"].tolist() == ["1", "1", "3"]
    assert dataset.column("view").tolist() == ["PA"] * 3


def test_the_selection_is_the_same_whatever_release_of_the_table(tmp_path):
    selection = {"rule": "per_class", "images": 1}
    changes = {"selection": selection, "images": 3, "classes": dict.fromkeys(COUNTS, 1)}
    first, second = (
        [i.image_id for i in read(tmp_path / layout.__name__, layout(), **changes).images]
        for layout in (kaggle, nih)
    )
    assert first == second
    ranked = [
        tuple(
            i.image_id
            for i in read(
                tmp_path / "kaggle",
                {},
                **(changes | {"selection": selection | {"order": "ranked", "seed": seed}}),
            ).images
        )
        for seed in range(4)
    ]
    assert len(set(ranked)) > 1
    assert all(len(ids) == 3 for ids in ranked)


LAST = "00000005_000.png"


def changed(**films: str) -> bytes:
    return table(FILMS | {f"{name.removeprefix('_')}.png": text for name, text in films.items()})


BAD = {
    "a column missing": (
        table(header=HEADER.replace("Patient ID", "Patient")),
        r"Data_Entry_2017\.csv: has no column 'Patient ID'; get it again",
    ),
    "an unknown label": (
        changed(_00000004_000="Efusion"),
        r"Data_Entry_2017\.csv, line 8: image '00000004_000\.png' has the unknown label 'Efusion'; "
        "did you mean 'Effusion'",
    ),
    "No Finding beside a finding": (changed(_00000004_000="No Finding|Mass"), "'No Finding'"),
    "a label twice": (changed(_00000004_000="Mass|Mass"), r"has a label twice \('Mass\|Mass'\)"),
    "named twice": (
        table() + f"{line(LAST, 'Mass')}\n".encode(),
        r"Data_Entry_2017\.csv: lists image '00000005_000\.png' more than once",
    ),
    "a wrong patient": (
        table().replace(b"00000004_000.png,Effusion,0,4,", b"00000004_000.png,Effusion,0,44,"),
        r"line 8: image '00000004_000\.png' is of patient 4 by its name, but its Patient ID is "
        "'44'",
    ),
    "no patient": (
        table().replace(b"00000004_000.png,Effusion,0,4,", b"00000004_000.png,Effusion,0,,"),
        "its Patient ID is ''",
    ),
    "no image's name": (table().replace(LAST.encode(), b"5.png"), "line 9: '5.png' is no name"),
    "cut short": (table()[: -len("58,M,PA,2682,2749,0.143,0.143\n")], "line 9: is cut short"),
    "listed, absent": (
        changed(_00000006_000="Mass", _00000006_001="No Finding"),
        r"Data_Entry_2017\.csv: lists image '00000006_000\.png', which is in no folder 'images' "
        r"\(and 1 more\); get the part that holds it again",
    ),
    "not CSV": (b"\xff\xfe\x00", "Data_Entry_2017.csv: is no text in UTF-8"),
    "empty": (HEADER.encode(), "has no column 'Image Index'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_error_that_names_file_and_line(tmp_path, case):
    content, message = BAD[case]
    with pytest.raises(MedhashError, match=message) as caught:
        read(tmp_path, kaggle(content))
    assert "\n" not in str(caught.value)
    assert "again" in str(caught.value)


def test_packed_parts_are_refused_with_what_to_do(tmp_path):
    own = card()
    folder = write(tmp_path, packed())
    message = (
        r"has no 'images/\*\.png'; images packed as \.tar\.gz are not read in place: unpack "
        rf"images_01\.tar\.gz and the others beside the table .* in {re.escape(str(folder))}\)"
    )
    with pytest.raises(MedhashError, match=message):
        read_archives(own, find_archives(own, [folder]))
    assert re.search(message[6:], missing_report({own.name: own}, [folder], {}))


def test_packed_parts_without_a_table_are_mentioned_too(tmp_path):
    parts = {name: content for name, content in packed().items() if name.endswith("gz")}
    own = card()
    with pytest.raises(MedhashError, match=r"unpack images_01\.tar\.gz and the others"):
        find_archives(own, [write(tmp_path, parts)]).require_complete()


def test_a_part_that_is_still_packed_beside_unpacked_ones_is_named(tmp_path):
    files = {name: content for name, content in nih().items() if "00000005" not in name}
    files["images_12.tar.gz"] = packed()["images_02.tar.gz"]
    with pytest.raises(
        MedhashError, match=r"lists image '00000005_000\.png', .*: unpack images_12\.tar\.gz"
    ):
        read(tmp_path, files)


def test_a_damaged_part_is_named(tmp_path):
    whole = {f"images_001/images/{name}": pixels(name) for name in FILMS if "5" not in name}
    rest = zip_bytes({"images_002/images/00000005_000.png": pixels("00000005_000.png")})
    files = {"Data_Entry_2017.csv": table(), "a.zip": zip_bytes(whole), "b.zip": rest[:-30]}
    with pytest.raises(MedhashError, match=r"lists image '00000005_000\.png', .*b\.zip: is cut"):
        read(tmp_path, files)


def test_a_damaged_image_is_named_and_nothing_is_left(tmp_path):
    files = nih() | {"images/00000004_000.png": pixels("00000004_000.png")[:60]}
    with pytest.raises(MedhashError, match=r"image 'images/00000004_000\.png' cannot be read"):
        prepare(card(), [write(tmp_path / "archives", files)], tmp_path / "out", 16)
    assert not (tmp_path / "out").exists()


def test_an_image_in_two_folders_is_refused(tmp_path):
    files = nih() | {"images_001/images/00000004_000.png": pixels("00000004_000.png")}
    with pytest.raises(MedhashError, match=r"'images_001/images/00000004_000\.png' and .*one name"):
        read(tmp_path, files)


def test_the_card_is_the_paper_s():
    real = REAL_CARDS["nih_chestxray14"]
    assert {*FINDINGS} - {*real.classes} == {"Hernia"}
    assert real.images == 1000 * len(real.classes) == real.reported_counts["images"] == 13_000
    assert real.selection is not None
    assert real.selection.order == "file"
    assert real.split.query == 2600
    assert real.split.group_by == ("patient_id",)


# with the whole table of labels, which needs no image


@pytest.fixture(scope="module")
def whole_table(tmp_path_factory):
    """The reading of the real table, with empty files in the place of images."""
    tables = [path for folder in archive_folders() for path in folder.rglob("Data_Entry_2017*.csv")]
    if not tables:
        pytest.skip("no Data_Entry_2017*.csv in MEDHASH_ARCHIVES")
    content = tables[0].read_text(encoding="utf-8-sig")
    names = [row[0] for row in csv.reader(io.StringIO(content)) if row][1:]
    folder = tmp_path_factory.mktemp("nih")
    (folder / "Data_Entry_2017.csv").write_text(content, encoding="utf-8")
    (folder / "images.zip").write_bytes(zip_bytes({f"images/{name}": b"" for name in names}))
    return folder, content


@pytest.mark.real_data
def test_the_whole_table_has_the_figures_of_the_paper(whole_table):
    _folder, content = whole_table
    rows = list(csv.DictReader(io.StringIO(content)))
    assert (len(rows), len({row["Patient ID"] for row in rows})) == WHOLE
    counts = Counter(name for row in rows for name in row["Finding Labels"].split("|"))
    # The releases of the table differ in fewer than a tenth of a label's images.
    known = {
        **{"Infiltration": 19870, "Effusion": 13307, "Atelectasis": 11535, "Nodule": 6323},
        **{"Mass": 5746, "Pneumothorax": 5298, "Consolidation": 4667, "Pleural_Thickening": 3385},
        **{"Cardiomegaly": 2772, "Emphysema": 2516, "Edema": 2303, "Fibrosis": 1686},
        **{"Pneumonia": 1353, "Hernia": 227, "No Finding": 60412},
    }
    assert counts.keys() == known.keys()
    for name, count in known.items():
        assert abs(counts[name] - count) < 0.1 * count, name


@pytest.mark.real_data
def test_the_whole_table_gives_the_paper_s_database_and_queries(whole_table):
    folder, _ = whole_table
    real = REAL_CARDS["nih_chestxray14"]
    reading = read_archives(real, find_archives(real, [folder]))
    assert len(reading.images) == 13_000
    assert reading.notes[0] == "the table lists 112,120 images of 30,805 patients"
    labels = np.array([[n in i.classes for n in real.classes] for i in reading.images], np.uint8)
    patients = [image.groups["patient_id"] for image in reading.images]
    assert 4300 < len({*patients}) < 4700
    assert abs(labels.sum(axis=1).mean() - 1.66) < 0.02
    index = pd.DataFrame({"image_id": [i.image_id for i in reading.images]})
    index["classes"] = ["|".join(image.classes) for image in reading.images]
    index["patient_id"] = patients
    roles = make_split(index, labels, real.split, 0, 13_000).manifest["role"].to_numpy()
    query = roles == "query"
    assert (query.sum(), (roles == "database").sum()) == (2600, 10_400)
    assert not {*index["patient_id"][query]} & {*index["patient_id"][~query]}
    shares = labels[query].sum(axis=0) / labels.sum(axis=0)
    assert shares.min() > 0.16
    assert shares.max() < 0.27
