"""Ablations: a variant with settings of its own, named in a cell as ``ach~window-6``.

A paper's file declares ablations under ``ablations:``. The part of a cell's variant before
``~`` says what is plugged in, the part behind it which settings are changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from medhash.errors import MedhashError
from medhash.schema.base import StrictModel
from medhash.schema.settings import LcrSettings, Settings
from medhash.schema.variants import (
    ABLATION_SEPARATOR,
    VARIANTS,
    reasons_about_lesions,
    split_variant,
)

AblationName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


# Settings of LCR in patches of the paper's own grid.
_SIZES = {"window", "segment", "mask_scales"}


class LcrChange(LcrSettings):
    """The settings of LCR that an ablation changes; sizes in patches of the paper's own grid."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing is changed; name at least one setting of lcr")
        return self

    @cached_property
    def changes(self) -> dict[str, Any]:
        """Those that are named."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class Ablation(StrictModel):
    """What an ablation changes: a partial tree of settings, laid over those of the cell.

    Attributes:
        title: what is printed behind the method's name (``-R``); by default the ablation's name.
        lcr: of variants that reason about lesions.
    """

    title: str = ""
    network: dict[str, Any] = Field(default_factory=dict)
    hashing: dict[str, Any] = Field(default_factory=dict)
    dbw: dict[str, Any] = Field(default_factory=dict)
    lcr: LcrChange | None = None
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.changes:
            raise ValueError("nothing is changed; name at least one setting")
        return self

    @cached_property
    def changes(self) -> dict[str, Any]:
        """The partial tree."""
        tree = self.model_dump(exclude={"title", "lcr"}, exclude_unset=True)
        tree |= {"lcr": self.lcr.changes} if self.lcr else {}
        return {key: value for key, value in tree.items() if value}


def known_variants(ablations: Mapping[str, Ablation]) -> list[str]:
    """Every variant, and every ablation of each; of LCR alone, of those that reason with it."""
    reasoning = list(filter(reasons_about_lesions, VARIANTS))
    ablated_variants = [
        f"{base}{ABLATION_SEPARATOR}{name}"
        for name, ablation in ablations.items()
        for base in (reasoning if set(ablation.changes) == {"lcr"} else VARIANTS)
    ]
    return [*VARIANTS, *ablated_variants]


def ablated(
    settings: Settings, variant: str, ablations: Mapping[str, Ablation], paper_grid: int | None
) -> Settings:
    """The settings of a variant's cells.

    Args:
        settings: those of the run.
        variant: with or without an ablation.
        ablations: those that the paper declares.
        paper_grid: patches along one side of the paper's own images, if they have patches. On a
            smaller grid sizes of ``lcr`` shrink in proportion, rounded, to at least one patch.

    Raises:
        MedhashError: the ablation is not declared, or does not fit the grid.
    """
    name = split_variant(variant)[1]
    if not name:
        return settings
    if name not in ablations:
        raise MedhashError(
            f"variant {variant}: the paper declares no ablation '{name}' "
            f"(known: {', '.join(ablations) or 'none'})"
        )
    change = ablations[name].changes
    if "lcr" in change and settings.network.grid and paper_grid:
        factor = settings.network.grid / paper_grid
        change = change | {
            "lcr": {
                key: _scaled(value, factor) if key in _SIZES else value
                for key, value in change["lcr"].items()
            }
        }
    try:
        return Settings.model_validate(_laid_over(settings.model_dump(), change))
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise MedhashError(f"ablations.{name}: {problem}") from None


def merged(
    variant: str, settings: Settings, ablations: Mapping[str, Ablation], paper_grid: int | None
) -> str:
    """The first variant with the same settings: the base itself, or an ablation declared before.

    On a small grid several sizes become one; that one is trained once.
    """
    base, name = split_variant(variant)
    if not name:
        return variant
    own = ablated(settings, variant, ablations, paper_grid)
    candidates = [base, *(f"{base}{ABLATION_SEPARATOR}{other}" for other in ablations)]
    return next(c for c in candidates if ablated(settings, c, ablations, paper_grid) == own)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A tree with the values of another; mappings merge key by key."""
    both = {
        key: _laid_over(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | both


def _scaled(value: Any, factor: float) -> Any:
    """A size, or sizes, in patches of a smaller grid; equal scales of a set are kept once."""
    if all(isinstance(size, int) for size in value):
        return tuple(max(1, round(size * factor)) for size in value)
    return tuple(dict.fromkeys(_scaled(size, factor) for size in value))
