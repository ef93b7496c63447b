"""How often C2F-LP points at a lesion, ``pointing.json``, read back."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from medhash.schema.cell import Cell
from medhash.stored import Part

Share = Annotated[float, Field(ge=0, le=1)]


class Epoch(Part):
    """The network after one epoch of training; shares of the images with a lesion.

    Attributes:
        epoch: from 1.
        state: SHA-256 of the training state, as the cell's ``training.json`` has it.
        hit: of the key points that C2F-LP chose, those in a patch with lesion.
        window: the same of any patch of the salient area, on average: what choosing at random
            among its patches would hit.
        chance: the same of any patch of the image.
    """

    epoch: int
    state: str
    hit: Share
    window: Share
    chance: Share


class Pointing(Part):
    """A cell's ``pointing.json``."""

    what: ClassVar[str] = "pointing game"
    remedy: ClassVar[str] = "play it again"

    schema_version: Literal[1] = Field(alias="schema")
    scale: str
    cell: Cell
    images: int = Field(ge=1)
    epochs: tuple[Epoch, ...] = Field(min_length=1)
