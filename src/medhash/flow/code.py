"""A fingerprint of the code that a step can reach, which comments and formatting do not change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from medhash.files import sha256_of_value

PACKAGE = "medhash"
_ROOT = Path(__file__).resolve().parents[1]


def fingerprint(*modules: str) -> dict[str, Any]:
    """Hash every medhash module that the given modules reach by imports.

    Imports inside functions count. Comments, docstrings, formatting and blocks under
    ``if TYPE_CHECKING`` do not. What is imported by a computed name is not seen: a cell's method
    is therefore given as a module of its own.

    Args:
        modules: entry modules, for example ``"medhash.training.cells"``.

    Returns:
        ``fingerprint``: SHA-256 over the names and hashes of all modules; ``modules``: module ->
        SHA-256 of its normalised syntax tree.

    Raises:
        ModuleNotFoundError: an entry module does not exist.
    """
    hashes = {module: _hash(module) for module in sorted(_reachable(modules))}
    return {"fingerprint": sha256_of_value(hashes), "modules": hashes}


def _reachable(modules: tuple[str, ...]) -> set[str]:
    """The entry modules and what they import, directly or not."""
    found: set[str] = set()
    open_ends = list(modules)
    while open_ends:
        module = open_ends.pop()
        if module not in found:
            found.add(module)
            open_ends += _imports(module)
    return found


@cache
def _hash(module: str) -> str:
    return sha256_of_value(_normalised(_tree(module)))


def hash_of_source(source: str) -> str:
    """The hash that :func:`fingerprint` gives a module of this text.

    Raises:
        SyntaxError: it is no Python.
    """
    return sha256_of_value(_normalised(_WithoutRemarks().visit(ast.parse(source))))


@cache
def _imports(module: str) -> frozenset[str]:
    """The medhash modules that a module imports itself, and the packages that hold them."""
    path = _path(module)
    package = module if path and path.name == "__init__.py" else module.rpartition(".")[0]
    names = {name for node in ast.walk(_tree(module)) for name in _imported_names(node, package)}
    names |= {module}
    prefixes = {name.rsplit(".", cut)[0] for name in names for cut in range(name.count(".") + 1)}
    return frozenset(name for name in prefixes if _path(name))


def _imported_names(node: ast.AST, package: str) -> Iterator[str]:
    """Dotted names that an import statement may load; attributes are sorted out later."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parent = package.rsplit(".", node.level - 1)[0]
            base = f"{parent}.{base}".rstrip(".")
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module!r}", name=module)
    return _WithoutRemarks().visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))


@cache
def _path(module: str) -> Path | None:
    """The file of a medhash module, or None; nothing is imported."""
    package, *parts = module.split(".")
    if package != PACKAGE:
        return None
    base = _ROOT.joinpath(*parts)
    for candidate in (base.with_name(f"{base.name}.py") if parts else base, base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class _WithoutRemarks(ast.NodeTransformer):
    """Drops docstrings and what only type checkers read."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
        return node.orelse if name == "TYPE_CHECKING" else node


def _normalised(node: Any) -> Any:
    """A syntax tree as plain lists, without positions and empty fields.

    Empty fields are left out because newer Pythons add some (``type_params``).
    """
    if isinstance(node, ast.AST):
        fields = [
            [name, _normalised(value)]
            for name, value in ast.iter_fields(node)
            if value is not None and value != [] and name not in ("kind", "type_comment", "ctx")
        ]
        return [type(node).__name__, *fields]
    if isinstance(node, list):
        return [_normalised(item) for item in node]
    return repr(node)
