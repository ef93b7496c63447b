"""Disks that are full, folders that cannot be written, and what killed runs leave behind."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from upstream_archives import brain_tumor_mri, write

from medhash.data import array_files
from medhash.data.array_files import new_array, take_room, write_array
from medhash.data.gist import write_gist
from medhash.data.preparation import prepare
from medhash.data.splits.making import write_split
from medhash.errors import MedhashError
from medhash.files import remove_leftovers, write_json, write_text, written_whole
from medhash.schema.datasets import SplitRule
from told import description


@pytest.fixture
def mounted(tmp_path):
    """Makes file systems of their own, with options of ``mount``."""
    folders = []

    def mount(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", folder], check=True)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", ["100k", "200k"])
def test_images_that_find_no_room_are_one_sentence(mounted, tmp_path, size):
    card, files = brain_tumor_mri()
    full = mounted("full", f"size={size}")
    # 12 images of 128 x 128 RGB are 576 KiB; as a sparse file they would fit until they are read.
    with pytest.raises(MedhashError, match=r"could not be written .*make room and start again"):
        prepare(card, [write(tmp_path / "archives", files)], full / "data/brain/128", 128)
    assert not files_below(full)
    write_text(full / "there is room again", "x" * 90_000)


def test_a_split_that_finds_no_room_is_one_sentence(mounted, tmp_path):
    full = mounted("full", "size=64k")
    count = 3000
    rows = "".join(f"an_image_with_a_long_name_{row},1\n" for row in range(count))
    (tmp_path / "index.csv").write_text(f"image_id,width\n{rows}")
    np.save(tmp_path / "labels.npy", np.eye(2, dtype=np.uint8)[np.arange(count) % 2])
    facts = description(card_counts={"x": count // 2, "y": count // 2})
    write_json(tmp_path / "dataset.json", facts)
    with pytest.raises(MedhashError, match=r"0\.csv: could not be written .*make room"):
        write_split(tmp_path, SplitRule(query=10), 0, full / "splits/0.csv")
    assert not files_below(full)


def test_descriptions_that_find_no_room_are_one_sentence(mounted, tmp_path):
    full = mounted("full", "size=8k")
    np.save(tmp_path / "images.npy", np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(MedhashError, match="could not be written"):
        write_gist(tmp_path / "images.npy", full / "gist.npy")
    assert not files_below(full)


def test_where_a_file_system_takes_no_room_in_advance_it_is_written(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(array_files.os, "posix_fallocate", cannot)
    monkeypatch.setattr(array_files, "_ZEROS", bytes(7))
    array = new_array(tmp_path / "a.npy", (5, 4, 4, 3))
    array[:] = 3
    array.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.full((5, 4, 4, 3), 3, np.uint8))
    with (tmp_path / "b").open("w+b") as stream:
        take_room(stream.fileno(), 10, 25)
    assert (tmp_path / "b").read_bytes() == bytes(35)


@pytest.mark.parametrize("array", [np.eye(3, dtype=np.uint8), np.zeros((0, 2), np.float32)])
def test_arrays_are_written_as_numpy_writes_them(tmp_path, array):
    write_array(tmp_path / "ours.npy", array)
    np.save(tmp_path / "numpys.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_a_read_only_folder_is_one_sentence(mounted):
    folder = mounted("frozen", "ro")
    for path in (folder / "a.txt", folder / "below" / "a.txt"):
        with pytest.raises(MedhashError, match=r"Read-only file system.*make the folder writable"):
            write_text(path, "text")


def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "data").write_text("a file")
    for path in (tmp_path / "data/a.txt", tmp_path / "data/below/a.txt"):
        with pytest.raises(MedhashError, match=rf"{path.name}: could not be written .*data"):
            write_text(path, "text")
    assert (tmp_path / "data").read_text() == "a file"


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a.txt"):
        (tmp_path / "source.txt").read_text()


def test_what_killed_runs_left_is_removed_and_what_others_write_stays(tmp_path):
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    dead, alive = f"{int(gone.stdout):x}", f"{os.getpid():x}"
    folder = tmp_path / f".64.{dead}-0123abcd.part"
    folder.mkdir()
    (folder / "images.npy").write_bytes(b"half")
    (tmp_path / f".codes.{dead}-0123abcd.part.npz").write_bytes(b"half")
    stays = [
        tmp_path / f".codes.{alive}-0123abcd.part.npz",
        tmp_path / f".codesign.{dead}-0123abcd.part.npz",
        tmp_path / f".codes.{dead}-0123abcd.part.json",
        tmp_path / "codes.npz",
    ]
    for path in stays:
        path.write_bytes(b"whole")
    remove_leftovers([tmp_path / "codes.npz", tmp_path / "64", tmp_path / "absent/x.csv"])
    assert set(tmp_path.iterdir()) == set(stays)
