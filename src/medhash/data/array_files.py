"""Arrays written to ``.npy`` files; the disk has room for them before the first number."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ZEROS = bytes(1024 * 1024)
# What file systems say that cannot take room in advance.
_CANNOT = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A memory-mapped array, uint8, to be filled.

    Raises:
        OSError: there is no room. A sparse file would end the process with SIGBUS later.
    """
    array: np.memmap[Any, np.dtype[np.uint8]] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.uint8, shape=shape
    )
    with path.open("r+b") as stream:
        take_room(stream.fileno(), path.stat().st_size - array.nbytes, array.nbytes)
    return array


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write the bytes that :func:`numpy.save` writes.

    Raises:
        OSError: there is no room; numpy's own error has no number.
    """
    header = np.lib.format.header_data_from_array_1_0(array)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(np.ascontiguousarray(array).data)


def take_room(descriptor: int, start: int, size: int) -> None:
    """Take room on the disk for a part of a file that is to be written.

    Raises:
        OSError: there is not so much.
    """
    try:
        os.posix_fallocate(descriptor, start, size)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        for place in range(start, start + size, len(_ZEROS)):
            os.pwrite(descriptor, _ZEROS[: start + size - place], place)
