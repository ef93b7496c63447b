"""What has its name is on the disk: a power cut leaves a file whole, or as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medhash.files import write_text, written_whole


@pytest.fixture
def events(monkeypatch):
    """What is synced and renamed, in order; temporary names are called so."""
    told: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor):
        fsync(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        told.append(("sync", "temporary" if ".part" in name else name))

    def renamed(path, target):
        told.append(("rename", target.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return told


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, events):
    tmp_path.joinpath("results").mkdir()
    write_text(tmp_path / "results/table.csv", "row\n")
    assert events == [("sync", "temporary"), ("rename", "table.csv"), ("sync", "results")]


def test_so_are_folders_on_the_way(tmp_path, events):
    tmp_path.joinpath("results").mkdir()
    write_text(tmp_path / "results/a/b/table.csv", "row\n")
    assert [name for what, name in events[:2] if what == "sync"] == ["results", "a"]
    assert events[2:] == [("sync", "temporary"), ("rename", "table.csv"), ("sync", "b")]


def test_a_folder_is_on_the_disk_with_all_that_is_in_it(tmp_path, events):
    with written_whole(tmp_path / "crate") as temporary:
        temporary.joinpath("inside").mkdir(parents=True)
        temporary.joinpath("inside/file").write_text("text")
    place = events.index(("rename", "crate"))
    assert {name for _, name in events[:place]} == {"inside", "file", "temporary"}
    assert (tmp_path / "crate/inside/file").read_text() == "text"
