"""Methods, one file each; a file's name is the method's name.

To add a method, add a file here with a class ``Method`` that derives from the base of its family
in :mod:`medhash.methods.families`. Nothing has to be registered.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from medhash.methods.families.method import Family

if TYPE_CHECKING:
    from pydantic import BaseModel


@cache
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


@cache
def family(name: str) -> Family:
    """The family of a method: the base that its file imports, so that torch need not be.

    Raises:
        KeyError: there is no such file.
        ValueError: it imports no base of a family, or several.
    """
    if name not in names():
        raise KeyError(name)
    tree = ast.parse((Path(__path__[0]) / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    found = [each for each in get_args(Family) if f"{__name__}.families.{each}" in imported]
    if len(found) != 1:
        raise ValueError(f"methods/{name}.py: imports the base of {found or 'no family'}")
    chosen: Family = found[0]
    return chosen


def settings_model(name: str) -> type[BaseModel]:
    """The pydantic model of a method's own hyperparameters (imports what the method imports)."""
    model: type[BaseModel] = method_class(name).Settings
    return model
