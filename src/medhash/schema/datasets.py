"""Datasets as ``config/datasets.yaml`` describes them: cards, sources, selections and splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from medhash.schema.base import Count, NaturalNumber, StrictModel

PHANTOM_PREFIX = "phantom_"
"""Of the name of a synthetic stand-in."""

SPLIT_SEPARATOR = "+"
"""Between a dataset's name and that of another split of it: ``covid_ct+clean``."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


def without_split(dataset: str) -> str:
    """The dataset itself, of a name that may say which split of it is meant."""
    return dataset.partition(SPLIT_SEPARATOR)[0]


def split_name(dataset: str) -> str:
    """The name of the other split that a dataset's name means, or empty text."""
    return dataset.partition(SPLIT_SEPARATOR)[2]


def _is_size(value: Any) -> Any:
    """One message, where a union of three types would give three."""
    numbers = [*value.values()] if isinstance(value, dict) else [value]
    counts = [type(number) is int and number >= 1 for number in numbers]
    share = type(value) is float and 0 < value < 1
    if not share and not (counts and all(counts)):
        raise ValueError(
            f"{value!r} must be a number of images, a share of them between 0 and 1, or a number "
            "for each class"
        )
    return value


Size = Annotated[Count | Share | dict[str, Count], BeforeValidator(_is_size)]
"""A number of images, their share of all images, or a number of images of each class."""


def _is_unset(value: Any) -> bool:
    return value is None or value == ()


class SplitRule(StrictModel):
    """Which images are query, database, validation and train.

    * ``random``: drawn with a seed, stratified by class (largest remainder) unless told not to.
    * ``official``: the ``official_role`` column of ``index.csv``; the upstream's test images are
      ``query``, its training (and validation) images ``database``.
    * ``listed``: a CSV file with the columns ``image_id``, ``role`` (query, database, validation
      or none) and optionally ``train`` (0 or 1; without it the whole database is trained on).
    """

    rule: Literal["random", "official", "listed"] = "random"
    query: Size | None = Field(
        None, description="random: number of query images, their share, or {class: number}"
    )
    validation: Size | None = Field(
        None,
        description="random: images that are neither query nor database, counted as query is",
        exclude_if=_is_unset,
    )
    train: Count | Literal["database"] = Field(
        "database", description="number of database images to train on, or all of them"
    )
    stratified: bool = Field(True, description="random: keep the class proportions")
    file: Path | None = Field(None, description="listed: the CSV file")
    group_by: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="random: column or columns of the index (patient_id, lesion_id); images that "
        "share a value in any of them stay on one side",
    )
    near_distance: Annotated[int, Field(ge=0, le=64)] | None = Field(
        None,
        description="images whose perceptual hashes are at most so many of 64 bits apart are "
        "near duplicates; exact ones always are. random: they stay on one side, and so do those "
        "that a chain of them links; official, listed: see leave_out",
        exclude_if=_is_unset,
    )
    leave_out: Literal["query", "database"] | None = Field(
        None,
        description="official, listed: which of two near duplicates on both sides is not used",
        exclude_if=_is_unset,
    )
    seed: NaturalNumber | None = Field(
        None, description="a fixed seed for every run; without it the run's own seed is used"
    )

    @property
    def has_counts(self) -> bool:
        """Whether it counts images, which only fit a dataset of one size."""
        sizes = (self.query, self.validation, self.train)
        return any(isinstance(size, (int, Mapping)) for size in sizes)

    @property
    def query_images(self) -> int | None:
        """Number of query images, None where the rule does not count them."""
        if isinstance(self.query, Mapping):
            return sum(self.query.values())
        return self.query if isinstance(self.query, int) else None

    def below(self, root: Path) -> SplitRule:
        """The rule with its file found from a folder, the project's root."""
        if self.file is None:
            return self
        return self.model_copy(update={"file": root / self.file.expanduser()})

    @field_validator("group_by", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        needed = {"random": "query", "listed": "file"}.get(self.rule)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"split rule '{self.rule}' needs the key '{needed}'")
        own = {"query": "random", "validation": "random", "group_by": "random", "file": "listed"}
        for key, rule in own.items():
            if getattr(self, key) is not None and self.rule != rule:
                raise ValueError(f"'{key}' is only for split rule '{rule}', not '{self.rule}'")
        if (self.leave_out is None) == (self.near_distance is not None and self.rule != "random"):
            raise ValueError(
                "'leave_out' and 'near_distance' say together which duplicates the split rules "
                "'official' and 'listed' do not use; 'random' keeps them on one side and takes "
                "'near_distance' alone"
            )
        if not self.stratified and any(
            isinstance(size, Mapping) for size in (self.query, self.validation)
        ):
            raise ValueError("a number of images of each class needs 'stratified: true'")
        return self


class Selection(StrictModel):
    """Which images of an upstream are used at all; chosen before any is decoded.

    ``per_class``: class by class, the rarest first, so many images that no class before has
    taken, in the upstream's order or in that of a seeded rank.
    """

    rule: Literal["per_class"] = "per_class"
    images: Count = Field(description="number of images that each class takes")
    order: Literal["file", "ranked"] = "file"
    seed: NaturalNumber = Field(0, description="of the rank")


class RemoteFile(StrictModel):
    """One file of an upstream source, addressed by HTTP(S)."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    path: str = Field(description="where it lies in the upstream layout, with '/'")
    size: Count | None = Field(None, description="bytes; about, unless the checksum is pinned")
    sha256: Sha256 | None = Field(
        None, description="pinned; where null, the first download records it"
    )
    known_copies: tuple[Sha256, ...] = Field(
        (), description="checksums of copies known to hold the same images"
    )

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        parts = Path(self.path).parts
        if not parts or Path(self.path).is_absolute() or ".." in parts:
            raise ValueError(f"path '{self.path}' must be relative and stay inside the folder")
        return self


class HttpSource(StrictModel):
    """Files that a web server hands out without an account."""

    kind: Literal["http"]
    page: str = Field(description="where a person finds it")
    files: tuple[RemoteFile, ...] = Field(min_length=1)


class KaggleSource(StrictModel):
    """A dataset on Kaggle, fetched through kagglehub."""

    kind: Literal["kaggle"]
    handle: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9-]+(/versions/\d+)?$")
    ]
    size: Count | None = Field(None, description="bytes; about, unless the checksum is pinned")
    sha256: Sha256 | None = Field(None, description="of the archive as the site serves it")
    content_sha256: Sha256 | None = Field(
        None, description="of all unpacked files, see medhash.data.archives.finding.content_sha256"
    )

    @property
    def page(self) -> str:
        """Where a person finds it."""
        return f"https://www.kaggle.com/datasets/{self.handle.split('/versions/')[0]}"


Source = Annotated[HttpSource | KaggleSource, Field(discriminator="kind")]


class DatasetCard(StrictModel):
    """Everything the pipeline must know of a dataset before it has seen an image."""

    name: Name
    title: str
    licence: str
    reference: str
    classes: dict[str, Count] = Field(
        default_factory=dict,
        description="class -> number of images (after the selection); empty: as found",
    )
    images: Count | None = Field(
        None,
        description="number of images, where some have several classes",
        exclude_if=_is_unset,
    )
    mask_classes: tuple[str, ...] = Field(
        (),
        description="what the masks show: the meaning of 0, 1, …; empty: no masks",
        exclude_if=_is_unset,
    )
    selection: Selection | None = Field(
        None, description="which images of the upstream are used", exclude_if=_is_unset
    )
    reader: str = Field(description="a file in src/medhash/data/readers")
    sources: tuple[Source, ...] = ()
    by_hand: str = Field(default="", description="how a person gets the archives without medhash")
    path: Path | None = Field(default=None, description="for a folder of one's own: where it lies")
    split: SplitRule
    reported_counts: dict[str, NaturalNumber] = Field(
        default_factory=dict, description="what the paper's text counts"
    )
    notes: tuple[str, ...] = ()
    stands_for: Name | None = Field(None, description="a phantom: the dataset it stands in for")

    @property
    def synthetic(self) -> bool:
        """Whether the images are generated (a phantom)."""
        return self.stands_for is not None

    @property
    def has_masks(self) -> bool:
        """Whether pixels have classes; those of a phantom always have."""
        return self.synthetic or bool(self.mask_classes)

    def split_by(self, rule: SplitRule) -> DatasetCard:
        """The card with another split; the counts that it reports belong to its own.

        Raises:
            ValidationError: the split does not fit the images.
        """
        tree = self.model_dump() | {"split": rule.model_dump(), "reported_counts": {}}
        return DatasetCard.model_validate(tree)

    @property
    def image_count(self) -> int:
        """Number of images that the card counts; 0 where it counts none."""
        return self.images or sum(self.classes.values())

    @property
    def facts_of_kinds(self) -> dict[str, Any]:
        """What ``dataset.json`` says only where classes overlap or pixels have classes."""
        facts = {"card_images": self.images, "mask_classes": list(self.mask_classes)}
        return {name: value for name, value in facts.items() if value}

    @property
    def total_size(self) -> int | None:
        """About how many bytes to download, or None where a size is unknown."""
        sizes = [
            size
            for source in self.sources
            for size in (
                [file.size for file in source.files]
                if isinstance(source, HttpSource)
                else [source.size]
            )
        ]
        known = [size for size in sizes if size is not None]
        return sum(known) if sizes and len(known) == len(sizes) else None

    @property
    def known_checksums(self) -> frozenset[str]:
        """SHA-256 of every archive, copy, table and set of unpacked files that the card knows."""
        known: set[str | None] = set()
        for source in self.sources:
            if isinstance(source, HttpSource):
                known |= {file.sha256 for file in source.files}
                known |= {copy for file in source.files for copy in file.known_copies}
            else:
                known |= {source.sha256, source.content_sha256}
        return frozenset(checksum for checksum in known if checksum)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        bad = [name for name in self.classes if not name.strip() or "|" in name]
        if bad:
            raise ValueError(f"class names must not be empty or contain '|': {bad}")
        if not self.synthetic and self.sources and not self.classes:
            raise ValueError("a dataset with an upstream source needs its classes and counts")
        if self.path is not None and self.sources:
            raise ValueError("give either 'path' (a folder of your own) or 'sources', not both")
        if self.images is not None and not self._can_be_counted(self.images):
            raise ValueError(
                f"images: {self.images} images cannot have {sum(self.classes.values())} labels of "
                "these classes; correct one of them"
            )
        if len(self.mask_classes) == 1:
            raise ValueError("mask_classes needs at least two names, the background's first")
        self._check_query()
        return self

    def _can_be_counted(self, images: int) -> bool:
        """Whether so many images, each with a class or several, can have the classes' counts."""
        counts = self.classes.values()
        return max(counts, default=0) <= images <= sum(counts)

    def _check_query(self) -> None:
        query, images = self.split.query, self.split.query_images
        if isinstance(query, Mapping) and self.classes and {*query} != {*self.classes}:
            raise ValueError(
                f"split.query counts {', '.join(query)}, but the classes are "
                f"{', '.join(self.classes)}; give each of them a number"
            )
        if images is not None and self.classes and images >= self.image_count:
            raise ValueError(
                f"split.query {images} leaves no database of {self.image_count} images"
            )
