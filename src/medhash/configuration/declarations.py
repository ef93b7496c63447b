"""What methods and backbones say of themselves, remembered, as asking them imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

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


@cache
def declaration_of(method: str) -> Declaration:
    """What a method says of itself; a ``KeyError`` if there is no such file."""

    def ask() -> dict[str, Any]:
        declared = methods.method_class(method)
        values = {name: getattr(declared, name) for name in Declaration.model_fields}
        return Declaration.model_validate(values).model_dump(mode="json")

    shared = (Path(__file__), *_folder(families).glob("*.py"))
    return Declaration.model_validate(_remembered(methods, method, shared, ask))


@cache
def has_patch_tokens(kind: str) -> bool:
    """Whether a backbone's tokens are patches on a grid; a ``KeyError`` for an unknown kind."""
    shared = (_folder(backbones).parent / "backbone.py",)
    return bool(
        _remembered(backbones, kind, shared, lambda: backbones.backbone_class(kind).patch_tokens)
    )


def _remembered(package: Any, name: str, shared: Iterable[Path], ask: Callable[[], Any]) -> Any:
    """What ``ask`` says of a file of a package, unless the texts that decide it are known."""
    path = _folder(package) / f"{name}.py"
    if not path.is_file():
        raise KeyError(name)
    files = sorted((path, *shared))
    state = sha256_of_value([file.read_text(encoding="utf-8") for file in files])
    told = _MEMORY.recall([package.__name__, name], state)
    if told is None:
        told = ask()
        _MEMORY.remember([package.__name__, name], state, told)
    return told


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])
