"""Turns a refused configuration into one message: file, key, value, nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medhash.errors import MedhashError
from medhash.stored import read_text

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]
# Says which file (or command line) a key came from, for a tree merged from several.
Origin = Callable[[KeyPath], str]


def validate(model: type[Model], tree: dict[str, Any], origin: Origin, prefix: str = "") -> Model:
    """Make a model from a tree of plain values.

    Args:
        model: what the tree has to be.
        tree: as read from YAML.
        origin: key path -> name of the file that set it.
        prefix: what precedes a key in messages (``settings.``).

    Raises:
        MedhashError: one line for each refused value.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        problems = [each | {"loc": _without_tags(each["loc"])} for each in error.errors()]
        lines = [
            f"{origin(problem['loc'])}: {explain(problem, model, prefix)}" for problem in problems
        ]
        raise MedhashError("\n".join(dict.fromkeys(lines))) from None


def explain(problem: ErrorDetails, model: type[BaseModel], prefix: str = "") -> str:
    """One refused value in words: key, value, what it must be."""
    location = problem["loc"]
    key = prefix + ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(str(location[-1]), _known_keys(model, location))}"
    if problem["type"] == "missing":
        return f"the key '{key}' is missing"
    demand = _demand(problem)
    if problem["type"] == "value_error":
        return f"{key.rstrip('.')}: {demand}" if key else demand
    return f"{key}: {problem['input']!r} {demand}"


def check_name(name: str, known: Iterable[str], what: str, where: str) -> None:
    """Refuse a name that is not known.

    Args:
        name: what the user wrote.
        known: the valid names.
        what: what it names (``method``).
        where: file and key (``config/config.yaml: methods``).

    Raises:
        MedhashError: names the nearest valid name and all valid names.
    """
    names = list(known)
    if name not in names:
        listed = ", ".join(names) or "none"
        raise MedhashError(
            f"{where}: unknown {what} '{name}'{nearest(name, names)} (known: {listed})"
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest of the known names, or nothing."""
    by_lower = {str(candidate).lower(): str(candidate) for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean '{by_lower[matches[0]]}'?" if matches else ""


def some_of(names: Iterable[object], most: int = 5) -> str:
    """``'a', 'b' and 3 more``: the first few of many names."""
    listed = list(names)
    more = len(listed) - most
    shown = ", ".join(f"'{name}'" for name in listed[:most])
    return f"{shown} and {more} more" if more > 0 else shown


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        MedhashError: no such file, not YAML, a key that occurs twice, or not a mapping.
    """
    remedy = "it is YAML in UTF-8" if path.is_file() else "run this in the project's folder"
    return parse_yaml(read_text(path, remedy), str(path))


def read_model(model: type[Model], path: Path, key: str = "") -> Model:
    """Read a YAML file by its model.

    Args:
        model: what the file has to be.
        path: the file.
        key: a key whose value must be the file's name.

    Raises:
        MedhashError: no such file, or a refused key or value.
    """
    found = validate(model, read_yaml(path), lambda _: str(path))
    if key and getattr(found, key) != path.stem:
        name = getattr(found, key)
        raise MedhashError(f"{path}: {key}: '{name}' must be the file's name, '{path.stem}'")
    return found


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Parse YAML text that holds a mapping; ``source`` names it in errors."""
    try:
        tree = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MedhashError(f"{source}: not valid YAML: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise MedhashError(f"{source}: expected keys and values, found {type(tree).__name__}")
    return tree


def parse_value(text: str) -> Any:
    """A value typed on a command line, read as YAML; text that is no YAML is itself."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML that refuses repeated keys and reads ``1e-3`` as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' occurs twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


_DEMANDS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be keys and values",
    "model_type": "must be keys and values",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} value(s)",
    "too_long": "must have at most {max_length} value(s)",
    "string_pattern_mismatch": "has characters that a name cannot have ({pattern})",
}


def _without_tags(location: KeyPath) -> KeyPath:
    """The keys of a place, without the <names> of the models that a union chose from."""
    return tuple(part for part in location if not str(part).startswith("<"))


def _demand(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    if problem["type"] in _DEMANDS:
        return _DEMANDS[problem["type"]].format(**context)
    if problem["type"] == "literal_error":
        choices = str(context["expected"])
        names = choices.replace("'", "").replace(" or ", ", ").split(", ")
        return f"must be {choices}{nearest(str(problem['input']), names)}"
    if problem["type"] == "value_error":
        return str(context["error"])
    return problem["msg"]


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that are valid where the unknown key ``location[-1]`` stands."""
    models = [model]
    for part in location[:-1]:
        fields = [m.model_fields[str(part)] for m in models if str(part) in m.model_fields]
        models = [inner for field in fields for inner in _models_in(field.annotation)] or models
    return sorted({key for m in models for key in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models that an annotation such as ``dict[str, Model] | None`` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
