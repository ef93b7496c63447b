"""Named arrays in one ``.npz`` file: read without pickle, written the same bytes every time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.files import written_whole
from medhash.stored import reading

Array = NDArray[Any]

# The earliest date that a zip can hold: a file's bytes must not say when it was written.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_SAVE_AGAIN = "save plain arrays of numbers or text with numpy.savez"

MOST_UNPACKED = 100
"""How many times its packed size an array may have: codes do not shrink that much, zeros do."""
_FREE_BYTES = 16 * 1024 * 1024


def read_arrays(path: Path, names: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Array]:
    """Read some arrays of an ``.npz`` file; nothing in it is ever executed.

    Args:
        path: the file.
        names: arrays that must be there.
        optional: arrays that are read if they are there.

    Raises:
        MedhashError: the file is missing, is not an ``.npz``, is cut short or damaged, lacks an
            array, or an array holds Python objects.
    """
    present = array_names(path)
    missing = [name for name in names if name not in present]
    if missing:
        raise MedhashError(
            f"{path}: array {', '.join(missing)} is missing; "
            f"the file has {', '.join(sorted(present)) or 'no arrays'}"
        )
    wanted = [*names, *(name for name in optional if name in present)]
    with reading(path, _SAVE_AGAIN, ".npz file"), zipfile.ZipFile(path) as archive:
        return {name: _read_array(path, archive, name) for name in wanted}


def array_names(path: Path) -> set[str]:
    """Names of the arrays of an ``.npz`` file.

    Raises:
        MedhashError: the file is missing, is not an ``.npz``, or is cut short.
    """
    if not path.is_file():
        raise MedhashError(f"{path}: there is no such file")
    with reading(path, _SAVE_AGAIN, ".npz file"), zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an ``.npz`` file, whole or not at all; the same arrays give the same bytes.

    Members are stored without compression, because a compressor's output changes with its version.
    """
    with written_whole(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=_NO_DATE)
            member.create_system = 3  # Unix, wherever it is written
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> Array:
    member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    if member.file_size > member.compress_size * MOST_UNPACKED + _FREE_BYTES:
        raise MedhashError(
            f"{path}: array {name} unpacks to {member.file_size} bytes, more than {MOST_UNPACKED} "
            f"times its {member.compress_size}; {_SAVE_AGAIN}"
        )
    with reading(path, _SAVE_AGAIN, f"array {name}"), archive.open(member) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array
