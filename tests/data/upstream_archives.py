"""Small archives in the exact upstream layouts, with real image files in them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openpyxl
from PIL import Image
from scipy.io import savemat

from medhash.data.cards import load_cards
from medhash.schema.datasets import DatasetCard

PROJECT = Path(__file__).parents[2]
REAL_CARDS = load_cards(PROJECT / "config/datasets.yaml")


def image_bytes(seed: int, suffix: str = "png", mode: str = "RGB", size=(24, 18)) -> bytes:
    channels = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), np.uint8)
    image = Image.fromarray(values.squeeze(), mode)
    stream = io.BytesIO()
    image.save(stream, {"jpg": "JPEG"}.get(suffix, suffix.upper()))
    return stream.getvalue()


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def card_with_counts(name: str, counts: Mapping[str, int], **changes: object) -> DatasetCard:
    """A real card, with the class counts of a small archive."""
    real = REAL_CARDS[name].model_dump()
    split = {"rule": "random", "query": 0.25}
    return DatasetCard.model_validate({**real, "classes": counts, "split": split, **changes})


def _xlsx(rows: list[tuple[object, object]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(("File name", "Patient ID", "Age"))
    for row in rows:
        sheet.append((*row, 41))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _csv(rows: list[tuple[str, str]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(("", "image name", "patient id"))
    for number, row in enumerate(rows):
        writer.writerow((number, *row))
    return stream.getvalue().encode()


def covid_ct() -> tuple[DatasetCard, dict[str, bytes]]:
    """As in the repository: two zips, two tables, lists with both kinds of line ends."""
    covid = {
        "CT_COVID/2020.02.10-p6-52%0.png": image_bytes(1, mode="RGBA"),
        "CT_COVID/2020.02.10-p6-52%10.png": image_bytes(2),
        "CT_COVID/kjr-21-e24-p1.png": image_bytes(3, mode="L"),
        "__MACOSX/CT_COVID/._kjr-21-e24-p1.png": b"resource fork",
        "CT_COVID/.DS_Store": b"junk",
    }
    non_covid = {
        "CT_NonCOVID/0.jpg": image_bytes(4, "jpg"),
        "CT_NonCOVID/1%0.jpg": image_bytes(5, "jpg"),
        "CT_NonCOVID/112.png": image_bytes(6),
        "CT_NonCOVID/113.png": image_bytes(7),
    }
    files = {
        "Images-processed/CT_COVID.zip": zip_bytes(covid),
        "Images-processed/CT_NonCOVID.zip": zip_bytes(non_covid),
        "COVID-CT-MetaInfo.xlsx": _xlsx(
            [
                ("2020.02.10-p6-52%0.png", "Patient 2"),
                ("2020.02.10-p6-52%10", "Patient 2 "),
                (None, None),
            ]
        ),
        "NonCOVID-CT-MetaInfo.csv": _csv(
            [("0.jpg", "crawled_0"), ("1%0.jpg", "crawled_1"), ("112.png", "m"), ("113.png", "m")]
        ),
        "Data-split/COVID/trainCT_COVID.txt": b"2020.02.10-p6-52%0.png\n\n",
        "Data-split/COVID/valCT_COVID.txt": b"2020.02.10-p6-52%10.png\n",
        "Data-split/COVID/testCT_COVID.txt": b"kjr-21-e24-p1.png\n",
        "Data-split/NonCOVID/trainCT_NonCOVID.txt": b"0.jpg\r\n1%0.jpg\r\n",
        "Data-split/NonCOVID/valCT_NonCOVID.txt": b"112.png\r\n",
        "Data-split/NonCOVID/testCT_NonCOVID.txt": b"113.png\r\n\r\n",
    }
    return card_with_counts("covid_ct", {"COVID": 3, "NonCOVID": 4}), files


BRAIN_COUNTS = {"glioma_tumor": 3, "meningioma_tumor": 3, "no_tumor": 3, "pituitary_tumor": 3}


def brain_tumor_members() -> dict[str, bytes]:
    seeds = iter(range(100, 200))
    return {
        f"{part}/{name}/image({number}).jpg": image_bytes(next(seeds), "jpg")
        for part, count in (("Testing", 1), ("Training", 2))
        for name in BRAIN_COUNTS
        for number in range(count)
    }


def brain_tumor_mri() -> tuple[DatasetCard, dict[str, bytes]]:
    files = {"archive.zip": zip_bytes(brain_tumor_members())}
    return card_with_counts("brain_tumor_mri", BRAIN_COUNTS, split={"rule": "official"}), files


def covid_radiograph() -> tuple[DatasetCard, dict[str, bytes]]:
    """One zip with a top folder, lung masks beside the images, tables beside the classes."""
    counts = {"COVID": 2, "Lung_Opacity": 2, "Normal": 3, "Viral Pneumonia": 1}
    seeds = iter(range(200, 300))
    top = "COVID-19_Radiography_Dataset"
    members = {f"{top}/README.md.txt": b"read me"}
    for name, count in counts.items():
        members[f"{top}/{name}.metadata.xlsx"] = b"not read"
        for number in range(1, count + 1):
            for folder in ("images", "masks"):
                path = f"{top}/{name}/{folder}/{name}-{number}.png"
                members[path] = image_bytes(next(seeds), mode="L")
    return card_with_counts("covid_radiograph", counts), {"downloaded.zip": zip_bytes(members)}


def thermal_ir() -> tuple[DatasetCard, dict[str, bytes]]:
    counts = dict.fromkeys(REAL_CARDS["thermal_ir"].classes, 1) | {"A&C&B30": 2}
    seeds = iter(range(300, 400))
    members = {
        f"Thermal image of equipment/IR-Motor-bmp/{name}/{number:03d}.bmp": image_bytes(
            next(seeds), "bmp"
        )
        for name, count in counts.items()
        for number in range(count)
    }
    return card_with_counts("thermal_ir", counts), {"m4sbt8hbvk-3.zip": zip_bytes(members)}


def png(values: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind)
    return stream.getvalue()


def matlab(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=True)
    return stream.getvalue()


def disc_and_cup(number: int) -> np.ndarray:
    """(18, 24): the disc of eight rows from ``number``, in it the cup of four rows."""
    mask = np.zeros((18, 24), np.uint8)
    mask[number : number + 8], mask[number + 2 : number + 6] = 1, 2
    return mask


ORIGA_TABLE = """\
Eye,Filename,ExpCDR,Set,Glaucoma
OD,001.jpg,0.7097,A,0
OS,002.jpg,0.8012,B,1
OD,003.jpg,0.6525,A,0
"""


def origa_fundus(
    table: str = ORIGA_TABLE, masks: str = "Masks"
) -> tuple[DatasetCard, dict[str, bytes]]:
    """The bundle of three datasets, other crops beside; the lists as they lie on GitHub."""
    members = {"ORIGA/OrigaList.csv": table.encode(), "ORIGA/origa_info.csv": b"Image,CDR\n"}
    for number in (1, 2, 3):
        name = f"{number:03d}"
        members[f"ORIGA/Images/{name}.jpg"] = image_bytes(600 + number, "jpg")
        members[f"ORIGA/Images_Cropped/{name}.jpg"] = image_bytes(610 + number, "jpg")
        members[f"ORIGA/Masks_Cropped/{name}.png"] = png(np.zeros((9, 9), np.uint8))
        mask = disc_and_cup(number)
        members[f"ORIGA/Semi-automatic-annotations/{name}.mat"] = matlab(mask=mask)
        if masks == "Masks":
            members[f"ORIGA/Masks/{name}.png"] = png(mask)
    members |= {
        "G1020/Images/image_0.jpg": image_bytes(620, "jpg"),
        "G1020/Masks/image_0.png": png(disc_and_cup(0)),
        "REFUGE/train/Images/g0001.jpg": image_bytes(621, "jpg"),
    }
    heading = "filename,diagnosis(glaucoma=True)\r\n"
    files = {
        "glaucoma-datasets.zip": zip_bytes(members),
        "trainset-origa.csv": f"{heading}    '001.jpg',False\r\n    '002.jpg',True\r\n".encode(),
        "testset-origa.csv": f"{heading}    '003.jpg',False\r\n".encode(),
    }
    return card_with_counts("origa_fundus", {"Normal": 2, "Glaucoma": 1}), files


JSRT_METADATA = """\
study_id,subtlety,size,age,gender,x,y,state,position,diagnosis
JPCLN001.png,5,15,53,male,1634,692,malignant,l.upper lobe,lung cancer
JPCLN002.png,5,30,78,female,1614,1090,benign,l.upper lobe(S5),pulmonary hematoma
JPCLN003.png,1,?,63,female,400,447,malignant,r.upper lobe,lung cancer
JPCNN001.png,,,58,female,,,non-nodule,,
"""
JSRT_CLINICAL = """\
JPCLN001.IMG\t5\t15\t53\tmale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\t

JPCLN002.IMG\t5\t30\t78\tfemale\t1614\t1090\tbenign\tl.upper lobe(S5)\tpulmonary hematoma
JPCLN003.IMG\t1\t?\t63\tfemale\t400\t447\tmalignant\tr.upper lobe\tlung\tcancer
"""


def lung(side: str) -> np.ndarray:
    """(16, 16): white (255) where the lung is; the patient's left is the picture's right."""
    mask = np.zeros((16, 16), np.uint8)
    mask[3:13, slice(9, 15) if side == "left" else slice(1, 7)] = 255
    return mask


def lung_outlines() -> dict[str, bytes]:
    """SCR's folders: odd numbers in one fold, even ones in the other, five organs each."""
    members = {}
    for number in (1, 2, 3):
        for organ in ("left lung", "right lung", "heart"):
            mask = lung(organ.split()[0]) if "lung" in organ else np.zeros((16, 16), np.uint8)
            path = f"fold{2 - number % 2}/masks/{organ}/JPCLN{number:03d}.gif"
            members[path] = png(mask, "GIF")
    return members


def jsrt(table: str = JSRT_METADATA) -> tuple[DatasetCard, dict[str, bytes]]:
    """The PNG bundle with its table, and SCR's outlines in a zip of their own."""
    members = {"jsrt_metadata.csv": table.encode()}
    for number in (1, 2, 3):
        films = image_bytes(700 + number, mode="L", size=(32, 32))
        members[f"images/images/JPCLN{number:03d}.png"] = films
    members["images/images/JPCNN001.png"] = image_bytes(710, mode="L", size=(32, 32))
    files = {"bundle.zip": zip_bytes(members), "masks.zip": zip_bytes(lung_outlines())}
    return card_with_counts("jsrt", {"malignant": 2, "benign": 1}), files


def raw_film(side: str, dark_is_high: bool) -> bytes:
    """2048 × 2048 pixels of 16 bits, big-endian: a dark lung in a bright body, or the negative."""
    film = np.where(np.kron(lung(side), np.ones((128, 128))) > 0, 600, 3000)
    return (4095 - film if dark_is_high else film).astype(">u2").tobytes()


def jsrt_raw(table: str = JSRT_CLINICAL) -> tuple[DatasetCard, dict[str, bytes]]:
    """The upstream's own films, one of them a negative, and its table without a heading."""
    sides = {1: "left", 2: "left", 3: "right"}
    files = {f"All247images/JPCLN{n:03d}.IMG": raw_film(sides[n], n == 2) for n in sides}
    files["Clinical_Information/CLNDAT_EN.txt"] = table.encode()
    files["masks.zip"] = zip_bytes(lung_outlines())
    return card_with_counts("jsrt", {"malignant": 2, "benign": 1}), files


SKIN_TABLE = """\
lesion_id,image_id,dx,dx_type,age,sex,localization
HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp
HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp
HAM_0002730,ISIC_0026769,nv,follow_up,,female,back
HAM_0001466,ISIC_0031633,mel,consensus,75.0,unknown,ear
"""


def skin_mnist(table: str = SKIN_TABLE) -> tuple[DatasetCard, dict[str, bytes]]:
    """Two folders of images, the table, and the tables of shrunken pixels that nobody reads."""
    parts = {1: ("ISIC_0027419", "ISIC_0025030"), 2: ("ISIC_0026769", "ISIC_0031633")}
    members = {"HAM10000_metadata.csv": table.encode(), "hmnist_28_28_L.csv": b"pixel0000,label"}
    for part, names in parts.items():
        for number, name in enumerate(names):
            path = f"HAM10000_images_part_{part}/{name}.jpg"
            members[path] = image_bytes(800 + 10 * part + number, "jpg")
    counts = {"bkl": 2, "nv": 1, "mel": 1}
    return card_with_counts("skin_mnist", counts), {"archive.zip": zip_bytes(members)}


def curated_xray() -> tuple[DatasetCard, dict[str, bytes]]:
    counts = dict.fromkeys(REAL_CARDS["curated_xray"].classes, 2)
    members = {
        f"Curated X-Ray Dataset/{name}/{number}.jpg": image_bytes(
            900 + 10 * number + len(name), "jpg"
        )
        for name in counts
        for number in range(2)
    }
    return card_with_counts("curated_xray", counts), {"9xkhgts2s6-4.zip": zip_bytes(members)}


TOY_TABLE = """\
file,findings,patient,age
007.png,Mass|Effusion,p3,71
001.png,none,p1,50
002.png,Mass,p1,50.5
003.png,Effusion|Hernia,p2,33
004.png,Mass,p4,64
005.png,Effusion|Mass,p5,28
006.png,Mass,p6,45
008.png,Hernia,p7,61
"""


def toy_mask(name: str) -> np.ndarray:
    """0, 1, 2 in three bars, whose place depends on the name."""
    return np.roll(np.repeat(np.uint8([0, 1, 2]), 6)[:, None] * np.ones(24, np.uint8), int(name), 0)


def toy_labelled(table: str = TOY_TABLE) -> dict[str, bytes]:
    """As examples/toy_reader.py reads it: a table in a zip with images, the masks in another."""
    names = [f"{number:03d}" for number in range(1, 9)]
    images = {f"toy/images/{n}.png": image_bytes(500 + int(n), mode="L") for n in names}
    masks = {}
    for name in names:
        stream = io.BytesIO()
        Image.fromarray(toy_mask(name)).save(stream, "PNG")
        masks[f"masks/{name}.png"] = stream.getvalue()
    return {
        "images.zip": zip_bytes({"toy/labels.csv": table.encode(), **images}),
        "masks.zip": zip_bytes(masks),
    }


def own_folder(folder: Path) -> DatasetCard:
    files = {
        f"{name}/{number}.png": image_bytes(400 + 10 * number + len(name))
        for name in ("benign", "malignant")
        for number in range(3)
    }
    write(folder, files)
    return DatasetCard.model_validate({**REAL_CARDS["folder"].model_dump(), "path": folder})


BUILDERS = {
    "covid_ct": covid_ct,
    "brain_tumor_mri": brain_tumor_mri,
    "covid_radiograph": covid_radiograph,
    "thermal_ir": thermal_ir,
    "origa_fundus": origa_fundus,
    "jsrt": jsrt,
    "curated_xray": curated_xray,
    "skin_mnist": skin_mnist,
}
