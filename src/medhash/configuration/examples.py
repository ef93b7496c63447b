"""Settings of what is shown of a trained cell.

They decide nothing about training, so they stand beside a :class:`Settings` tree, not in it.
"""

from __future__ import annotations

from pydantic import Field

from medhash.configuration.settings import Count, NaturalNumber, StrictModel


class ExplanationSettings(StrictModel):
    """Which query images a cell is explained on (ACH Fig. 11 and 12)."""

    images_per_class: Count = Field(10, description="query images with maps and lesion boxes")
    features: Count = Field(2000, description="query images with pooled features, at most")
    seed: NaturalNumber = Field(0, description="of the choice of images; one for all cells")
