"""Settings of what is shown of a trained cell.

They decide nothing about training, so they stand beside a :class:`Settings` tree, not in it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medhash.schema.base import Count, NaturalNumber, StrictModel


class ExplanationSettings(StrictModel):
    """Which query images a cell is explained on (ACH Fig. 11 and 12)."""

    images_per_class: Count = Field(10, description="query images with maps and lesion boxes")
    features: Count = Field(2000, description="query images with pooled features, at most")
    seed: NaturalNumber = Field(0, description="of the choice of images; one for all cells")


class LesionSettings(StrictModel):
    """Which lesion patches are queries (ACH Section V-D-2 and Fig. 9)."""

    per_class: Count = Field(10, description="patches of each class, at most; ten in the paper")
    source: Literal["given", "found", "given-or-found"] = Field(
        "given",
        description="given: boxes in config/lesions/<dataset>.csv, or the dataset's masks; found: "
        "by C2F-LP, not marked by a reader; given-or-found: found where nothing is given",
    )
    finder: str = Field(
        "ach",
        description="variant whose C2F-LP finds patches, so that all variants of a method search "
        "with the same ones",
    )
    seed: NaturalNumber = Field(0, description="of the choice among more patches than that")
