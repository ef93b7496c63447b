"""Files that archives and folders of images should not hold: each is one sentence that names it."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upstream_archives import (
    brain_tumor_members,
    brain_tumor_mri,
    covid_ct,
    image_bytes,
    own_folder,
    write,
    zip_bytes,
)

from medhash.data.preparation import prepare
from medhash.data.upstream import archive_checksums, find_archives, read_archives
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.retrieval import arrays
from medhash.retrieval.arrays import read_arrays

pytestmark = pytest.mark.timeout(60)


def refused(card, archives: Path, tmp_path: Path) -> str:
    with pytest.raises(MedhashError) as caught:
        prepare(card, [archives], tmp_path / "out", 8)
    assert not list(tmp_path.glob("out*"))
    assert not list(tmp_path.glob(".out*"))
    text = str(caught.value)
    assert len(text.splitlines()) == 1, text
    return text


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def with_exif(exif: bytes) -> bytes:
    """A PNG with an eXIf chunk before its pixels."""
    png = image_bytes(1)
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk(b"eXIf", exif) + png[place:]


def make_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


SPECIAL = {"a link to a device": make_link, "a pipe": os.mkfifo}


@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("name", ["benign/x.png", "archive.zip"])
def test_devices_and_pipes_are_not_read(tmp_path, make, name):
    card = own_folder(tmp_path / "images")
    make(tmp_path / "images" / name)
    if name == "archive.zip":
        found = find_archives(card, [])
        assert [error.path.name for error in found.unusable] == [name]
        assert "is no file but a device" in found.unusable[0].reason
    else:
        assert f"{name}: is no file but a device" in refused(card, tmp_path / "images", tmp_path)


def test_a_pipe_without_a_telling_name_is_passed_over(tmp_path):
    card = own_folder(tmp_path / "images")
    os.mkfifo(tmp_path / "images/benign/notes")
    prepare(card, [], tmp_path / "out", 8)
    assert len(np.load(tmp_path / "out/labels.npy")) == 6


EXIF = {
    "noise": b"\x00\xff" * 40,
    "a cut header": b"MM\x00",
    "places outside": b"MM\x00*\x7f\xff\xff\xff",
    "a wrong type": b"MM\x00*" + struct.pack(">IHHHII", 8, 1, 0x0112, 99, 1, 7) + bytes(4),
}


@pytest.mark.parametrize("exif", EXIF.values(), ids=EXIF)
def test_a_broken_exif_chunk_is_passed_over_or_named(tmp_path, exif):
    card = own_folder(tmp_path / "images")
    (tmp_path / "images/benign/x.png").write_bytes(with_exif(exif))
    if exif in (EXIF["places outside"], EXIF["a wrong type"]):
        prepare(card, [], tmp_path / "out", 8)
        assert len(np.load(tmp_path / "out/labels.npy")) == 7
    else:
        assert "benign/x.png' cannot be read" in refused(card, tmp_path / "images", tmp_path)


def test_a_name_that_is_no_utf8_is_named(tmp_path):
    card = own_folder(tmp_path / "images")
    name = os.fsencode(tmp_path / "images/benign") + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(image_bytes(1))
    assert r"the name 'benign/caf\udce9.png' is no text in UTF-8" in refused(
        card, tmp_path / "images", tmp_path
    )


def test_a_class_folder_with_a_bar_is_named(tmp_path):
    card = own_folder(tmp_path / "images")
    write(tmp_path / "images", {"b|a/1.png": image_bytes(1)})
    text = refused(card, tmp_path / "images", tmp_path)
    assert "the class 'b|a' has a '|' in its name" in text
    assert "rename it" in text


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("place", [0, 9, 40])
def test_a_damaged_member_is_named_whatever_packed_it(tmp_path, method, place):
    card, _ = brain_tumor_mri()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in brain_tumor_members().items():
            archive.writestr(name, content)
        member = archive.infolist()[0]
    content = bytearray(stream.getvalue())
    start = member.header_offset + 30 + len(member.filename) + place
    content[start : start + 4] = b"\xff\xff\xff\xff"
    archives = write(tmp_path / "archives", {"archive.zip": bytes(content)})
    text = refused(card, archives, tmp_path)
    assert f"archive.zip: member '{member.filename}'" in text


def damaged_workbooks(workbook: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    return {
        "cut": workbook[: len(workbook) // 2],
        "without a sheet": zip_bytes({n: c for n, c in parts.items() if n != sheet}),
        "a cut sheet": zip_bytes(parts | {sheet: parts[sheet][:-50]}),
        "no XML": zip_bytes(parts | {"xl/workbook.xml": b"\xff\xfe no XML"}),
        "without sheets": zip_bytes(parts | {"xl/workbook.xml": b"<workbook/>"}),
        "a bomb": bomb(parts | {"xl/sharedStrings.xml": bytes(40_000_000)}),
    }


def bomb(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "kind", ["cut", "without a sheet", "a cut sheet", "no XML", "without sheets", "a bomb"]
)
def test_a_damaged_workbook_is_named(tmp_path, kind):
    card, files = covid_ct()
    name = "COVID-CT-MetaInfo.xlsx"
    files[name] = damaged_workbooks(files[name])[kind]
    assert name in refused(card, write(tmp_path / "archives", files), tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("name", ["Data-split/COVID/testCT_COVID.txt", "NonCOVID-CT-MetaInfo.csv"])
def test_lists_in_other_encodings_are_named(tmp_path, encoding, name):
    card, files = covid_ct()
    text = files[name].decode() + "é.png,é,é\r\n"
    files[name] = text.encode(encoding)
    text = refused(card, write(tmp_path / "archives", files), tmp_path)
    assert f"{Path(name).name}: is no text in UTF-8" in text


def test_an_npz_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "codes.npz"
    np.savez_compressed(path, codes=np.zeros((40_000, 1000), np.uint8))
    monkeypatch.setattr(arrays, "_FREE_BYTES", 1024)
    with pytest.raises(MedhashError, match=r"codes\.npz: array codes unpacks to 40000128 bytes"):
        read_arrays(path, ["codes"])
    # What codes are like is let through, packed or not.
    labels = np.random.default_rng(0).integers(0, 2, (4000, 10), dtype=np.uint8)
    np.savez_compressed(path, codes=labels)
    assert (read_arrays(path, ["codes"])["codes"] == labels).all()


def test_an_archive_replaced_while_it_is_read_keeps_the_checksum_of_what_was_read(tmp_path):
    card, files = brain_tumor_mri()
    archives = write(tmp_path / "archives", files)
    path = archives / "archive.zip"
    before = sha256_of_file(path)
    found = find_archives(card, [archives])
    reading = read_archives(card, found)
    other = write(tmp_path, {"other.zip": zip_bytes({"other.png": image_bytes(9)})}) / "other.zip"
    other.replace(path)
    images = [image.read() for image in reading.images]
    assert len(images) == card.image_count
    assert archive_checksums(found, reading, lambda image: "") == {"archive.zip": before}
    assert sha256_of_file(path) != before


def test_an_archive_written_to_while_it_is_read_is_refused(tmp_path):
    card, files = brain_tumor_mri()
    archives = write(tmp_path / "archives", files)
    found = find_archives(card, [archives])
    with (archives / "archive.zip").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(MedhashError, match=r"archive\.zip: was written to while it was read"):
        archive_checksums(found, read_archives(card, found), lambda image: "")


MANY_LARGE = """
import resource, sys
from pathlib import Path
from medhash.data import preparation
from medhash.data.cards import load_cards
preparation.usable_cores = lambda: 12
card = load_cards(Path(sys.argv[3]))["folder"].model_copy(update={"path": Path(sys.argv[1])})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
preparation.prepare(card, [], Path(sys.argv[2]), 8, memory_mb=int(sys.argv[4]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_is_bounded_by_the_job_and_not_by_the_cores(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4000, 3000), np.uint8)).save(stream, "PNG")
    images = {f"{part}/{n}.png": stream.getvalue() for part in "ab" for n in range(6)}
    write(tmp_path / "images", images)
    config = Path(__file__).parents[2] / "config/datasets.yaml"
    # One takes 12 million pixels, at most 16 bytes each: twelve at once would pass 1000 MB.
    command = [sys.executable, "-c", MANY_LARGE, tmp_path / "images", tmp_path / "out", config]
    result = subprocess.run([*command, "800"], capture_output=True, text=True, check=True)
    assert int(result.stdout.split()[-1]) < 400
