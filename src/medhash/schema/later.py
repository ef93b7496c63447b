"""Settings that came after cells were trained."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def later(default: Any, description: str | None = None) -> Any:
    """A setting that came after cells were trained: at its default no receipt names it.

    So what was trained before it is not made again.
    """
    return Field(default, description=description, exclude_if=lambda value: value == default)
