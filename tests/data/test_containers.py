import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from upstream_archives import image_bytes, zip_bytes

from medhash.data.archives import containers
from medhash.data.archives.containers import (
    FolderContainer,
    UnusableArchiveError,
    ZipContainer,
    open_containers,
)
from medhash.errors import MedhashError

GOOD = {"a/1.png": b"one", "a/2.png": b"two"}


def saved(folder: Path, content: bytes, name: str = "x.zip") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def zip_with_member(name: str, mode: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, b"content")
    return stream.getvalue()


def encrypted_zip() -> bytes:
    """Set the encryption flag in the local and in the central header."""
    content = bytearray(zip_bytes({"a/1.png": b"one"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/1.png", b"one")
        archive.writestr("a/./1.png", b"two")
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(40 * 1024 * 1024))
    return stream.getvalue()


def bomb_of_small_members() -> bytes:
    """No member is large, all together are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"a/{number}.png", bytes(8 * 1024 * 1024))
    return stream.getvalue()


def bomb_beside_ballast() -> bytes:
    """One member is a bomb although the archive as a whole is not."""
    stream = io.BytesIO(zip_bytes({"a/0.png": image_bytes(0, size=(400, 400)) * 2}))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(40 * 1024 * 1024))
    return stream.getvalue()


UNUSABLE = {
    "cut short": (zip_bytes(GOOD)[:-30], "is cut short or damaged"),
    "cut at the start": (zip_bytes(GOOD)[:20], "is cut short or damaged"),
    "empty": (b"", "is an empty file"),
    "web page": (b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page"),
    "something else": (b"Rar!\x1a\x07\x00", "is a RAR archive"),
    "unknown": (b"\x00\x01\x02\x03" * 50, "is not a zip archive"),
    "parent": (zip_with_member("../../evil.png"), r"'../../evil.png', whose path leaves"),
    "inner parent": (zip_with_member("a/../../evil.png"), "whose path leaves"),
    "absolute": (zip_with_member("/etc/evil.png"), "whose path leaves"),
    "windows parent": (zip_with_member("..\\evil.png"), "whose path leaves"),
    "drive": (zip_with_member("C:\\evil.png"), "whose path leaves"),
    "link": (zip_with_member("a/1.png", stat.S_IFLNK | 0o777), "is a link"),
    "encrypted": (encrypted_zip(), "is encrypted"),
    "twice": (twice(), "twice"),
    "bomb": (bomb(), "a zip bomb"),
    "bomb of small members": (bomb_of_small_members(), "times its size of"),
    "bomb beside ballast": (bomb_beside_ballast(), "a zip bomb"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_archive_says_why_in_one_line(tmp_path, case):
    content, reason = UNUSABLE[case]
    path = saved(tmp_path, content)
    with pytest.raises(UnusableArchiveError, match=reason) as caught:
        ZipContainer(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_declared_total_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_TOTAL_BYTES", 5)
    with pytest.raises(UnusableArchiveError, match="unpacks to 6 bytes"):
        ZipContainer(saved(tmp_path, zip_bytes(GOOD)))


def test_the_number_of_members_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_MEMBERS", 1)
    with pytest.raises(UnusableArchiveError, match="holds 2 members"):
        ZipContainer(saved(tmp_path, zip_bytes(GOOD)))


def test_a_member_larger_than_allowed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_MEMBER_BYTES", 2)
    container = ZipContainer(saved(tmp_path, zip_bytes(GOOD)))
    with pytest.raises(MedhashError, match=r"'a/1\.png' unpacks to 3 bytes"):
        container.read("a/1.png")


def test_a_member_that_unpacks_to_more_than_it_declares_is_refused(tmp_path):
    """The declared size lies in both headers; the stream holds more."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", b"x" * 5000)
    content = stream.getvalue().replace(struct.pack("<L", 5000), struct.pack("<L", 50))
    container = ZipContainer(saved(tmp_path, content))
    with pytest.raises(MedhashError, match=r"'a/1\.png' is damaged"):
        container.read("a/1.png")


def test_a_damaged_member_is_named(tmp_path):
    content = zip_bytes(GOOD).replace(b"two", b"tWo")
    container = ZipContainer(saved(tmp_path, content))
    assert container.read("a/1.png") == b"one"
    with pytest.raises(MedhashError, match=r"'a/2\.png' is damaged"):
        container.read("a/2.png")


def test_junk_is_not_listed(tmp_path):
    junk = {"__MACOSX/a/._1.png": b"", "a/.DS_Store": b"", "a/._2.png": b"", "Thumbs.db": b""}
    container = ZipContainer(saved(tmp_path, zip_bytes({**GOOD, **junk})))
    assert container.names == ("a/1.png", "a/2.png")


def test_a_blank_image_is_no_bomb(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/blank.bmp", bytes(1024 * 1024))
    assert ZipContainer(saved(tmp_path, stream.getvalue())).read("a/blank.bmp") == bytes(1024**2)


def test_everything_at_a_place_is_opened(tmp_path):
    nested = zip_bytes({"inner.zip": zip_bytes(GOOD), "readme.txt": b"x"})
    saved(tmp_path, nested, "outer.zip")
    saved(tmp_path, zip_bytes(GOOD), "no_suffix")
    saved(tmp_path, b"<html>", "broken.zip")
    saved(tmp_path, b"beginning", "y.zip.part")
    (tmp_path / "plain").mkdir()
    saved(tmp_path / "plain", b"image", "3.png")
    opened = list(open_containers(tmp_path))
    zips = {item.path.relative_to(tmp_path).as_posix(): item for item in opened[:-1]}
    assert set(zips) == {"outer.zip", "outer.zip/inner.zip", "no_suffix", "broken.zip"}
    assert zips["outer.zip/inner.zip"].read("a/2.png") == b"two"
    assert isinstance(zips["broken.zip"], UnusableArchiveError)
    assert isinstance(opened[-1], FolderContainer)
    assert set(opened[-1].names) == {"plain/3.png", "y.zip.part"}


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    saved(store, b"image", "1.png")
    place = tmp_path / "place"
    place.mkdir()
    (place / "class").symlink_to(store)
    (store / "loop").symlink_to(place)
    [container] = open_containers(place)
    assert container.names == ("class/1.png",)
    assert container.read("class/1.png") == b"image"


def test_a_place_that_does_not_exist_holds_nothing(tmp_path):
    assert list(open_containers(tmp_path / "none")) == []
