"""Hashing methods, one file each; a file's name is the method's name.

To add a method, add a file here with a class ``Method`` that derives from
:class:`medhash.methods.base.HashingMethod`. Nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from medhash.methods.base import HashingMethod

SHARED_MODULES = frozenset({"base"})


def names() -> list[str]:
    """Names of all methods, sorted; found by file name, so that torch need not be imported."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if name not in SHARED_MODULES)


def method_class(name: str) -> type[HashingMethod[Any]]:
    """The class of the method called ``name``; ``KeyError`` if there is no such file."""
    if name not in names():
        raise KeyError(name)
    loaded: type[HashingMethod[Any]] = importlib.import_module(f"{__name__}.{name}").Method
    return loaded


def settings_model(name: str) -> type[BaseModel]:
    """The pydantic model of a method's own hyperparameters (imports torch)."""
    return method_class(name).Settings
