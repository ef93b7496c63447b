"""The models of ``config/config.yaml`` and ``config/scales/*.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from medhash.papers.specs import Name, without_repeats
from medhash.schema.base import Count, Fraction, NaturalNumber, StrictModel
from medhash.schema.datasets import DatasetCard
from medhash.schema.shown import ExplanationSettings, LesionSettings

RunName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
ArtefactKey = Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+$")]


class PhantomSettings(StrictModel):
    """Phantoms instead of datasets: each dataset ``x`` becomes ``phantom_x``."""

    images: Count = Field(description="number of images of each phantom")
    images_of: dict[Name, Count] = Field(
        default_factory=dict, description="dataset -> number of images of its phantom, instead"
    )
    seed: NaturalNumber = 0

    def count(self, card: DatasetCard) -> int:
        """How many images a phantom has."""
        return self.images_of.get(card.stands_for or card.name, self.images)


class GridSettings(StrictModel):
    """Which part of the papers' grid a scale runs; null keeps a paper's own list."""

    datasets: tuple[Name, ...] | None = None
    methods: tuple[Name, ...] | None = None
    variants: tuple[Name, ...] | None = None
    bits: tuple[Count, ...] | None = None
    ablations: tuple[Name, ...] | None = None

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: Any) -> Any:
        return values if isinstance(values, dict) else without_repeats(values)


class ArtefactGrid(GridSettings):
    """Which part of one table or figure a scale runs, beside what it runs of all."""

    strengths: tuple[Fraction, ...] | None = None
    lengths: dict[Name, Count] | None = Field(
        None, description="method -> length of its descriptors in the scale's narrower networks"
    )
    seeds: tuple[NaturalNumber, ...] | None = Field(
        None, min_length=1, description="instead of the scale's"
    )


class DatasetAtScale(StrictModel):
    """How a paper's networks train on one dataset; what they are is the same for all."""

    classification: dict[str, Any] = Field(default_factory=dict)
    hashing: dict[str, Any] = Field(default_factory=dict)
    methods: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="method -> its own hyperparameters"
    )


class PaperAtScale(StrictModel):
    """What a scale overrides for one paper, after what it overrides for all."""

    settings: dict[str, Any] = Field(default_factory=dict, description="of all its methods")
    methods: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="method -> overrides of that method's settings"
    )
    datasets: dict[Name, DatasetAtScale] = Field(
        default_factory=dict, description="dataset, or what a phantom stands for -> overrides there"
    )


class ScaleGrid(GridSettings):
    """Which part of the papers' grid a scale runs, and of which papers."""

    papers: tuple[Name, ...] | None = Field(
        None, min_length=1, description="files in config/papers; null: all of them"
    )


class ScaleFile(StrictModel):
    """``config/scales/<scale>.yaml``: how much compute."""

    title: str = Field(description="what the scale is for, in a few words")
    phantoms: PhantomSettings | None = None
    grid: ScaleGrid = ScaleGrid()
    artefacts: dict[ArtefactKey, ArtefactGrid] = Field(
        default_factory=dict, description="table or figure (ach/table3) -> which part of it"
    )
    seeds: tuple[NaturalNumber, ...] = Field((0,), min_length=1, description="of every cell")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="overrides of the papers' settings"
    )
    papers: dict[Name, PaperAtScale] = Field(
        default_factory=dict, description="paper -> overrides of its settings alone"
    )

    @field_validator("seeds")
    @classmethod
    def _no_repeats(cls, values: tuple[int, ...]) -> tuple[int, ...] | None:
        return without_repeats(values)


class ConfigFile(StrictModel):
    """``config/config.yaml``: what to run. Null keeps the papers' and the scale's own lists."""

    scale: Name = Field(description="a file in config/scales")
    run: RunName | None = Field(
        None, description="the run's own name; null: the scale's, for the scale's own choices"
    )
    papers: tuple[Name, ...] | None = Field(None, description="files in config/papers")
    archives: Path = Field(
        Path("data/archives"),
        description="folder searched for archives, before those in MEDHASH_ARCHIVES; downloads "
        "go there",
    )
    download: bool = Field(True, description="fetch the archives that are not found")
    datasets: tuple[Name, ...] | None = Field(
        None, description="the datasets that one has; tables show the others as not run"
    )
    methods: tuple[Name, ...] | None = Field(None, description="instead of the papers' lists")
    variants: tuple[Name, ...] | None = Field(None, description="instead of the papers' lists")
    bits: tuple[Count, ...] | None = Field(None, description="instead of the papers' lists")
    seeds: tuple[NaturalNumber, ...] | None = Field(None, description="instead of the scale's")
    weights: dict[Name, Path] = Field(
        default_factory=dict,
        description="kind of network -> a .safetensors file that its pretraining starts from, in "
        "place of random numbers",
    )
    explanation: ExplanationSettings = ExplanationSettings()
    lesions: LesionSettings = LesionSettings()
    settings: dict[str, Any] = Field(
        default_factory=dict, description="overrides of the papers' and the scale's settings"
    )

    @field_validator("papers", "datasets", "methods", "variants", "bits", "seeds")
    @classmethod
    def _some_without_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and not values:
            raise ValueError("the list is empty; null keeps the papers' own list")
        return without_repeats(values)


CHOICES = (
    *("papers", "datasets", "methods", "variants", "bits", "seeds"),
    *("weights", "explanation", "lesions", "settings"),
)
"""The keys of :class:`ConfigFile` that make a run another than the scale's own."""
