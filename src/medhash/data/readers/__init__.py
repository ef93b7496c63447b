"""Readers, one file each, named after the layout that it reads; a dataset's card names one.

To add a reader, add a file here with a class ``Reader`` that derives from
:class:`medhash.data.readers.reading.FileReader`, or from the ``Reader`` of
:mod:`medhash.data.readers.class_folders` where a folder is a class. Nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from medhash.schema.validation import check_name

if TYPE_CHECKING:
    from medhash.data.readers.reading import DatasetReader

SHARED_MODULES = frozenset({"reading"})


def names() -> list[str]:
    """Names of all readers, sorted; found by file name, none is imported."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if name not in SHARED_MODULES)


def reader_of(name: str, where: str = "reader") -> DatasetReader:
    """The reader called ``name``.

    Raises:
        MedhashError: there is no such file; the message begins with ``where``.
    """
    check_name(name, names(), "reader", where)
    reader: DatasetReader = importlib.import_module(f"{__name__}.{name}").Reader()
    return reader
