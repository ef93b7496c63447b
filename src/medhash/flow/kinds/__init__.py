"""One file a rule of the flow; to add one is to add its file and the module that does its work."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from medhash.flow.kind import StepKind


@cache
def kinds() -> tuple[StepKind, ...]:
    """All rules, in the order in which a run comes to them."""
    names = (each.name for each in pkgutil.iter_modules(__path__))
    found = [import_module(f"{__name__}.{name}").Kind() for name in names]
    return tuple(sorted(found, key=lambda kind: (kind.order, kind.rule)))


def kind_of(rule: str) -> StepKind | None:
    """The rule of a name, if there is one."""
    return next((kind for kind in kinds() if kind.rule == rule), None)
