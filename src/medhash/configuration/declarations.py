"""What methods and backbones say of themselves, remembered: to ask them costs the import of torch.

A memory is of the text of the files in question, and may be deleted at any time.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from medhash import methods
from medhash.errors import MedhashError
from medhash.files import sha256_of_value, write_json
from medhash.methods import families
from medhash.methods.families.method import Distance, Family
from medhash.models import backbones
from medhash.schema.base import StrictModel
from medhash.schema.settings import Start

MEMORY = Path(".cache/medhash/declarations")
"""Relative to the project's folder."""


class Declaration(StrictModel):
    """The declaration of a method, see :class:`medhash.methods.families.method`."""

    family: Family
    distance: Distance
    backbone: str
    needs: frozenset[str]
    plugs: frozenset[str]
    start: Start


class _Tokens(StrictModel):
    patch_tokens: Annotated[bool, Field(strict=True)]


@cache
def declaration_of(method: str) -> Declaration:
    """What a method says of itself; a ``KeyError`` if there is no such file."""
    entry = _entry(_file(methods, method), *_folder(families).glob("*.py"))
    with suppress(OSError, ValueError):
        return Declaration.model_validate_json(entry.read_bytes())
    declared = methods.method_class(method)
    values = {name: getattr(declared, name) for name in Declaration.model_fields}
    declaration = Declaration.model_validate(values)
    _remember(entry, declaration.model_dump(mode="json"))
    return declaration


@cache
def has_patch_tokens(kind: str) -> bool:
    """Whether a backbone's tokens are patches on a grid; a ``KeyError`` for an unknown kind."""
    entry = _entry(_file(backbones, kind), _folder(backbones).parent / "backbone.py")
    with suppress(OSError, ValueError):
        return _Tokens.model_validate_json(entry.read_bytes()).patch_tokens
    patch_tokens = backbones.backbone_class(kind).patch_tokens
    _remember(entry, {"patch_tokens": patch_tokens})
    return patch_tokens


def _entry(*files: Path) -> Path:
    texts = [file.read_text(encoding="utf-8") for file in sorted(files)]
    return MEMORY / f"{sha256_of_value(texts)[:32]}.json"


def _file(package: Any, name: str) -> Path:
    path = _folder(package) / f"{name}.py"
    if not path.is_file():
        raise KeyError(name)
    return path


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])


def _remember(entry: Path, content: dict[str, Any]) -> None:
    # A memory that cannot be written costs time, nothing else.
    with suppress(OSError, MedhashError):
        write_json(entry, content)
