"""How well a cell tells the classes of pixels apart, ``segmentation.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from medhash.schema.base import NaturalNumber, Score
from medhash.schema.cell import Cell
from medhash.stored import Part


class PixelScores(Part):
    """Scores over all pixels of all query images.

    Attributes:
        accuracy: share of the pixels that get their class.
        iou: of each class, the pixels that are it and are called so, over those that are it or are
            called so. None of a class that is in no mask and is never found.
        mean_iou: of the classes that have one.
    """

    accuracy: Score
    iou: dict[str, Score | None]
    mean_iou: Score


class Segmentation(Part):
    """One cell's file.

    Attributes:
        schema_version: of the file's form.
        scale: name of the scale.
        cell: which cell.
        synthetic: whether its images are phantoms.
        queries: images.
        pixels: a side, as the network sees them.
        classes: of pixels.
        counts: pixels of a class (row) that are called a class (column).
        metrics: what these give.
        chance: what an answer scores that looks at no image: ``background``, every pixel of the
            class that most pixels of the masks have.
    """

    what: ClassVar[str] = "segmentation"
    remedy: ClassVar[str] = "`medhash segment` makes it again"

    schema_version: Literal[1] = Field(alias="schema")
    scale: str
    cell: Cell
    synthetic: Annotated[bool, Field(strict=True)]
    queries: NaturalNumber
    pixels: NaturalNumber
    classes: tuple[str, ...]
    counts: tuple[tuple[NaturalNumber, ...], ...]
    metrics: PixelScores
    chance: dict[Literal["background"], PixelScores]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        again = pixel_scores(np.array(self.counts), self.classes)
        if again != self.metrics.model_dump():
            raise ValueError(f"metrics are not what counts give: {again}")
        return self


def pixel_scores(counts: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """What :class:`PixelScores` holds, from counts (truth, found) of the classes in their order."""
    right, truth, found = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    either = truth + found - right
    iou = {
        name: float(right[place] / either[place]) if either[place] else None
        for place, name in enumerate(classes)
    }
    there = [value for value in iou.values() if value is not None]
    accuracy = float(right.sum() / counts.sum())
    return {"accuracy": accuracy, "iou": iou, "mean_iou": float(np.mean(there))}
