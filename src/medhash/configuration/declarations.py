"""What methods and backbones say of themselves, remembered, as asking them imports torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import StrictBool, StrictStr, TypeAdapter

from medhash import methods
from medhash.errors import MedhashError
from medhash.files import sha256_of_value
from medhash.memory import Memory
from medhash.methods import families
from medhash.methods.families.method import Distance, Family
from medhash.models import backbones
from medhash.schema.base import StrictModel
from medhash.schema.settings import NetworkSettings, Settings, Start
from medhash.schema.validation import validate

_MEMORY = Memory("declarations")


class Declaration(StrictModel):
    """The declaration of a method, see :class:`medhash.methods.families.method`."""

    family: Family
    distance: Distance
    backbone: str
    needs: frozenset[str]
    plugs: frozenset[str]
    start: Start
    awaits: dict[str, str]


T = TypeVar("T")


@cache
def declaration_of(method: str) -> Declaration:
    """What a method says of itself; a ``KeyError`` if there is no such file."""

    def ask() -> Declaration:
        declared = methods.method_class(method)
        return Declaration(**{name: getattr(declared, name) for name in Declaration.model_fields})

    shared = (Path(__file__), *_folder(families).glob("*.py"))
    return _remembered(methods, method, shared, TypeAdapter(Declaration), ask)


def why_not_run(method: str, settings: Settings) -> str:
    """Why a method does not run with these settings; empty if it does."""
    own, awaits = settings.methods.get(method, {}), declaration_of(method).awaits
    return next((why for name, why in awaits.items() if name not in own), "")


@cache
def has_patch_tokens(kind: str) -> bool:
    """Whether a backbone's tokens are patches on a grid; a ``KeyError`` for an unknown kind."""

    def ask() -> bool:
        return bool(backbones.backbone_class(kind).patch_tokens)

    shared = (_folder(backbones).parent / "backbone.py",)
    return _remembered(backbones, kind, shared, TypeAdapter(StrictBool), ask)


def network_problem(network: NetworkSettings) -> str:
    """What a backbone refuses of its settings, such as too small an image; empty if nothing."""
    return _network_problem(network.kind, network.model_dump_json())


@cache
def _network_problem(kind: str, settings: str) -> str:
    def ask() -> str:
        model = backbones.backbone_class(kind).Settings
        try:
            validate(model, json.loads(settings), lambda _: "settings", "network.")
        except MedhashError as error:
            return str(error)
        return ""

    schema = Path(__file__).parents[1] / "schema"
    shared = [*_folder(backbones).parent.glob("*.py"), schema / "base.py", schema / "settings.py"]
    return _remembered(backbones, kind, shared, TypeAdapter(StrictStr), ask, settings)


def _remembered(
    package: Any,
    name: str,
    shared: Iterable[Path],
    form: TypeAdapter[T],
    ask: Callable[[], T],
    of: str = "",
) -> T:
    """What ``ask`` says of a file of a package, unless the texts that decide it are known.

    ``of`` is what of the file is asked, where several things can be.
    """
    path = _folder(package) / f"{name}.py"
    if not path.is_file():
        raise KeyError(name)
    files = sorted((path, *shared))
    asked = [package.__name__, name, of]
    state = sha256_of_value([file.read_text(encoding="utf-8") for file in files])
    with suppress(ValueError):  # nothing is remembered, or something else than is asked
        return form.validate_python(_MEMORY.recall(asked, state))
    told = ask()
    _MEMORY.remember(asked, state, form.dump_python(told, mode="json"))
    return told


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])
