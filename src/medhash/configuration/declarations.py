"""What methods and backbones say of themselves, remembered, as asking them imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import StrictBool, TypeAdapter

from medhash import methods
from medhash.files import sha256_of_value
from medhash.memory import Memory
from medhash.methods import families
from medhash.methods.families.method import Distance, Family
from medhash.models import backbones
from medhash.schema.base import StrictModel
from medhash.schema.settings import Start

_MEMORY = Memory("declarations")


class Declaration(StrictModel):
    """The declaration of a method, see :class:`medhash.methods.families.method`."""

    family: Family
    distance: Distance
    backbone: str
    needs: frozenset[str]
    plugs: frozenset[str]
    start: Start


T = TypeVar("T")


@cache
def declaration_of(method: str) -> Declaration:
    """What a method says of itself; a ``KeyError`` if there is no such file."""

    def ask() -> Declaration:
        declared = methods.method_class(method)
        return Declaration(**{name: getattr(declared, name) for name in Declaration.model_fields})

    shared = (Path(__file__), *_folder(families).glob("*.py"))
    return _remembered(methods, method, shared, TypeAdapter(Declaration), ask)


@cache
def has_patch_tokens(kind: str) -> bool:
    """Whether a backbone's tokens are patches on a grid; a ``KeyError`` for an unknown kind."""

    def ask() -> bool:
        return bool(backbones.backbone_class(kind).patch_tokens)

    shared = (_folder(backbones).parent / "backbone.py",)
    return _remembered(backbones, kind, shared, TypeAdapter(StrictBool), ask)


def _remembered(
    package: Any, name: str, shared: Iterable[Path], form: TypeAdapter[T], ask: Callable[[], T]
) -> T:
    """What ``ask`` says of a file of a package, unless the texts that decide it are known."""
    path = _folder(package) / f"{name}.py"
    if not path.is_file():
        raise KeyError(name)
    files = sorted((path, *shared))
    state = sha256_of_value([file.read_text(encoding="utf-8") for file in files])
    with suppress(ValueError):  # nothing is remembered, or something else than is asked
        return form.validate_python(_MEMORY.recall([package.__name__, name], state))
    told = ask()
    _MEMORY.remember([package.__name__, name], state, form.dump_python(told, mode="json"))
    return told


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])
