"""Kinds of tables and figures, one file each; a file's name is the kind's name.

To add a kind, add a file to ``medhash/analysis/tables`` or ``medhash/analysis/figures`` with a
class ``Spec``. Nothing has to be registered. A kind is imported when a paper has one of it, and
by its name, because making a table stands on floors above the papers.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from medhash.papers.specs import ArtefactSpec
from medhash.schema.validation import nearest


@dataclass(frozen=True)
class OfKind:
    """Reads a table or figure by the model of its kind; an annotation of pydantic fields.

    Attributes:
        package: whose files are the kinds.
    """

    package: str

    @property
    def names(self) -> list[str]:
        """Names of all kinds, sorted."""
        package = importlib.import_module(self.package)
        modules = (module.name for module in pkgutil.iter_modules(package.__path__))
        return sorted(name for name in modules if name not in package.SHARED_MODULES)

    def model(self, kind: str) -> type[ArtefactSpec]:
        """The model of a kind; a ValueError if there is no such file."""
        if kind not in self.names:
            known = ", ".join(self.names)
            raise ValueError(f"unknown kind '{kind}'{nearest(kind, self.names)} (known: {known})")
        spec: type[ArtefactSpec] = importlib.import_module(f"{self.package}.{kind}").Spec
        return spec

    @cached_property
    def models(self) -> list[type[BaseModel]]:
        """Every kind's model."""
        return [self.model(name) for name in self.names]

    def read(self, tree: Any) -> Any:
        """A table or figure from plain values; what is no mapping is left to pydantic."""
        if not isinstance(tree, Mapping) or not isinstance(tree.get("kind"), str):
            return tree
        return self.model(tree["kind"]).model_validate(tree)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        prefix = self.package.rpartition(".")[2]
        named = [_named(prefix, *each) for each in zip(self.names, self.models, strict=True)]
        union: Any = Annotated[Union[tuple(named)], Field(discriminator="kind")]  # noqa: UP007
        return handler(TypeAdapter(union).core_schema)


TABLES = OfKind("medhash.analysis.tables")
FIGURES = OfKind("medhash.analysis.figures")


def _named(prefix: str, kind: str, model: type[BaseModel]) -> type[BaseModel]:
    """The model under a name of its own, ``tables_map``, as an editor's schema needs it."""
    told = {"__module__": model.__module__, "__doc__": model.__doc__}
    return type(f"{prefix}_{kind}", (model,), told)
