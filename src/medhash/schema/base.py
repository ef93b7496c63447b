"""The smallest words of every file: bounded numbers, and a model that refuses unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(strict=True, ge=1)]
NaturalNumber = Annotated[int, Field(strict=True, ge=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Score = Annotated[float, Field(ge=0.0, le=1.0 + 1e-9, allow_inf_nan=False)]
"""A fraction; sums of floating-point numbers may pass 1 by their last bits."""
PatchSize2D = tuple[Count, Count]


def later(default: Any, description: str | None = None) -> Any:
    """A setting that came after cells were trained: at its default no receipt names it.

    So what was trained before it is not made again.
    """
    return Field(default, description=description, exclude_if=lambda value: value == default)


class StrictModel(BaseModel):
    """A model that refuses unknown keys and cannot be changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
