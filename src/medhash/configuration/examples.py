"""Settings of what is shown of a trained cell: explained images and lesion patches.

They decide nothing about training, so they stand beside a :class:`Settings` tree, not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from medhash.configuration.settings import Count, NaturalNumber, StrictModel


class ExplanationSettings(StrictModel):
    """Which query images a cell is explained on (ACH Fig. 11 and 12)."""

    images_per_class: Count = Field(10, description="query images with maps and lesion boxes")
    features: Count = Field(2000, description="query images with pooled features, at most")
    seed: NaturalNumber = Field(0, description="of the choice of images; one for all cells")


class LesionSettings(StrictModel):
    """Where the lesion patches of small-scale retrieval come from (ACH Section V-D-2)."""

    per_class: Count = Field(10, description="patches of each class (ten in the paper)")
    seed: NaturalNumber = Field(0, description="of the choice among more patches than that")
    boxes: dict[str, Path] = Field(
        default_factory=dict,
        description="dataset -> CSV of boxes: image_id,left,top,width,height in pixels of the "
        "original image; the image must be a query",
    )
    automatic: Annotated[str, Field(pattern=r"^[^/]+/[^/]+/[0-9]+/[0-9]+$")] | None = Field(
        None,
        description="method/variant/bits/seed of the cell whose C2F-LP finds patches where a "
        "dataset has neither boxes nor masks; they are then labelled as automatic",
    )
