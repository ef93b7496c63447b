"""Methods, one file each; a file's name is the method's name.

To add a method, add a file here with a class ``Method`` that derives from the base of its family
in :mod:`medhash.methods.families`. Nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def names() -> list[str]:
    """Names of all methods, sorted; found by file name, so that torch need not be imported."""
    return sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.ispkg)


def method_class(name: str) -> Any:
    """The class of the method called ``name``; ``KeyError`` if there is no such file.

    Returns:
        A subclass of :class:`medhash.methods.families.method.MethodDeclaration` and of one
        family's base.
    """
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").Method


def settings_model(name: str) -> type[BaseModel]:
    """The pydantic model of a method's own hyperparameters (imports what the method imports)."""
    model: type[BaseModel] = method_class(name).Settings
    return model
