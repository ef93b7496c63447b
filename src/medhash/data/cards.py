"""Dataset cards: what ``config/datasets.yaml`` says of each dataset.

A card is data, not code: class names and counts, where the archives come from, their checksums,
the split that the paper describes, and where the paper and the archives disagree. Every card
that comes from a hospital or laboratory has a synthetic stand-in, ``phantom_<name>``, derived
here and never spelt out in the file.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from medhash.errors import MedhashError
from medhash.schema.base import Count, NaturalNumber, StrictModel

CARDS_FILE = Path("config/datasets.yaml")
PHANTOM_PREFIX = "phantom_"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
ReaderName = Literal["covid_ct", "brain_tumor_mri", "covid_radiograph", "class_folders"]


class SplitRule(StrictModel):
    """Which images are query, database and train.

    * ``random``: drawn with a seed, stratified by class (largest remainder) unless told not to.
    * ``official``: the ``official_role`` column of ``index.csv``; the upstream's test images are
      ``query``, its training (and validation) images ``database``.
    * ``listed``: a CSV file with the columns ``image_id``, ``role`` (query, database or none)
      and optionally ``train`` (0 or 1; without it the whole database is trained on).
    """

    rule: Literal["random", "official", "listed"] = "random"
    query: Count | Share | None = Field(
        None, description="random: number of query images, or their share of all images"
    )
    train: Count | Literal["database"] = Field(
        "database", description="number of database images to train on, or all of them"
    )
    stratified: bool = Field(True, description="random: keep the class proportions")
    file: Path | None = Field(None, description="listed: the CSV file")
    group_by: Literal["patient_id"] | None = Field(
        None, description="keep all images of a group on one side (random only)"
    )
    seed: NaturalNumber | None = Field(
        None, description="a fixed seed for every run; without it the run's own seed is used"
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        needed = {"random": "query", "listed": "file"}.get(self.rule)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"split rule '{self.rule}' needs the key '{needed}'")
        for key, rule in (("query", "random"), ("group_by", "random"), ("file", "listed")):
            if getattr(self, key) is not None and self.rule != rule:
                raise ValueError(f"'{key}' is only for split rule '{rule}', not '{self.rule}'")
        return self

    def below(self, root: Path) -> SplitRule:
        """The rule with its file found from a folder, the project's root."""
        if self.file is None:
            return self
        return self.model_copy(update={"file": root / self.file.expanduser()})


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
        default_factory=dict, description="class -> number of images upstream; empty: as found"
    )
    reader: ReaderName
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

    def split_by(self, rule: SplitRule) -> DatasetCard:
        """The card with another split; the counts that it reports belong to its own.

        Raises:
            ValidationError: the split does not fit the images.
        """
        tree = self.model_dump() | {"split": rule.model_dump(), "reported_counts": {}}
        return DatasetCard.model_validate(tree)

    @property
    def images(self) -> int:
        """Number of images that the card counts over all classes."""
        return sum(self.classes.values())

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
        own_folder = self.reader == "class_folders" and not self.sources
        if not self.synthetic and not own_folder and not self.classes:
            raise ValueError("a dataset with an upstream source needs its classes and counts")
        if self.path is not None and self.sources:
            raise ValueError("give either 'path' (a folder of your own) or 'sources', not both")
        if isinstance(self.split.query, int) and self.classes and self.split.query >= self.images:
            raise ValueError(
                f"split.query {self.split.query} leaves no database of {self.images} images"
            )
        return self


def load_cards(path: Path = CARDS_FILE) -> dict[str, DatasetCard]:
    """Read and validate all dataset cards, and derive the phantoms' cards.

    Args:
        path: the YAML file; a mapping of dataset name to card. A relative ``path`` or
            ``split.file`` in it is taken from the file's own folder's parent, the project root.

    Returns:
        Dataset name -> card, in the order of the file; each dataset with an upstream source is
        followed by ``phantom_<name>``.

    Raises:
        MedhashError: the file is missing, is not a mapping, or a card is invalid; the message
            names the file, the key, the value and the nearest valid name.
    """
    cards: dict[str, DatasetCard] = {}
    for name, entry in _read_yaml(path).items():
        card = _validated(path, name, entry)
        cards[name] = card
        if card.sources:
            phantom = _phantom_of(card)
            cards[phantom.name] = phantom
    return cards


def find_card(cards: dict[str, DatasetCard], name: str) -> DatasetCard:
    """The card of dataset ``name``; a MedhashError suggests the nearest name otherwise."""
    if name in cards:
        return cards[name]
    raise MedhashError(
        f"dataset '{name}' is not in {CARDS_FILE}{_nearest(name, list(cards))}; "
        f"known datasets: {', '.join(cards)}"
    )


def _phantom_of(card: DatasetCard) -> DatasetCard:
    """The synthetic stand-in: same classes, counts and split, no source."""
    return DatasetCard(
        name=f"{PHANTOM_PREFIX}{card.name}",
        title=f"Phantom of {card.title}",
        licence="generated by medhash",
        reference="procedural images with known lesions and confounders; no patient is shown",
        classes=card.classes,
        reader=card.reader,
        split=card.split,
        stands_for=card.name,
        notes=(f"synthetic: same classes, class proportions and split as {card.name}",),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MedhashError(
            f"{path}: no such file; run from the project's root or name the file of dataset cards"
        ) from None
    except yaml.YAMLError as error:
        raise MedhashError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict) or not content:
        raise MedhashError(f"{path}: expected a mapping of dataset names to cards")
    return content


def _validated(path: Path, name: object, entry: object) -> DatasetCard:
    if not isinstance(entry, dict):
        raise MedhashError(f"{path}: dataset '{name}' must be a mapping of keys to values")
    if str(name).startswith(PHANTOM_PREFIX):
        raise MedhashError(
            f"{path}: dataset '{name}': names with '{PHANTOM_PREFIX}' are derived; remove it"
        )
    try:
        return _from_project_root(DatasetCard.model_validate({"name": name, **entry}), path)
    except ValidationError as error:
        raise MedhashError(_first_problem(path, str(name), error)) from None


def _from_project_root(card: DatasetCard, path: Path) -> DatasetCard:
    """Resolve the card's relative paths against the project that holds the card's file."""
    root = path.parent.parent
    own = None if card.path is None else root / card.path.expanduser()
    return card.model_copy(update={"split": card.split.below(root), "path": own})


def _first_problem(path: Path, name: str, error: ValidationError) -> str:
    """One line for the first problem that pydantic found: file, key, value, what to do."""
    problem = error.errors()[0]
    location = ".".join([name, *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        unknown = str(problem["loc"][-1])
        return f"{path}: unknown key '{location}'{_nearest(unknown, _known_keys())}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in {"missing", "value_error"}:
        return f"{path}: {location}: {message}"
    return f"{path}: {location} = {problem['input']!r}: {message}"


def _known_keys() -> list[str]:
    models = (DatasetCard, SplitRule, HttpSource, KaggleSource, RemoteFile)
    return sorted({key for model in models for key in model.model_fields})


def _nearest(word: str, known: list[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known word, or nothing."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
