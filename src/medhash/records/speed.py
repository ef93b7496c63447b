"""How fast a cell answers a query, ``speed.json``, read back."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from medhash.records.measured import Measured, Positive, Single
from medhash.stored import Part


class Batched(Part):
    """Whole batches."""

    batch_size: int
    images_per_second: Positive


class StepTimes(Part):
    """The steps of Y-Net's Section IV-C-4, each for all of its images; seconds."""

    encode_seconds: Positive
    index_seconds: Positive
    query_seconds: Positive
    encoded: int
    queries: int
    returned: int


class Pixels(Part):
    """Median size of the query images in pixels."""

    median_width: Positive
    median_height: Positive


class Measurement(Measured):
    """The part of a cell's ``speed.json`` that is printed."""

    what: ClassVar[str] = "speed"

    schema_version: Literal[1] = Field(alias="schema")
    database: int
    query_pixels: Pixels
    network_pixels: int
    single: Single
    batched: Batched
    steps: StepTimes | None = None
