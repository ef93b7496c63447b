"""What a paper prints: its grid of tables and figures, as data.

A paper's file (``config/papers/<paper>.yaml``) holds these models. After loading, tables and
figures are already those of the run: phantoms stand in for datasets, lists are thinned by the
scale, and the user's choice of datasets is marked.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from medhash.configuration.ablations import (
    Ablation,
    AblationName,
    ablated,
    merged,
    split_variant,
)
from medhash.configuration.grid import Cell
from medhash.configuration.settings import (
    Count,
    Fraction,
    NaturalNumber,
    NetworkSettings,
    Settings,
    StrictModel,
)
from medhash.data.confounded import ConfoundedName, parse_name

PHANTOM_PREFIX = "phantom_"

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\s]+$")]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]


class MethodTitle(StrictModel):
    """How a paper prints a method."""

    title: str


class ArtefactSpec(StrictModel):
    """What tables and figures share: a title and a grid of cells.

    Attributes:
        paper: the paper's name; filled in from the file.
        name: the table's or figure's name in the file (``table3``); filled in from the file.
        title: what it shows, without dataset, scale and seeds.
        datasets: all columns or panels, in the paper's order.
        available: the datasets that this run has; ``None`` means all. The others are shown as
            not run.
        methods: in the paper's order.
        variants: in the paper's order.
        compare: for comparisons of pairs, the treatment and its baseline (``[ach, none]``).
        bits: code lengths.
        seeds: seeds of each cell; filled in from the scale.
        confounders: kind ``confounding``: dataset -> the confounder of its phantom.
        strengths: kind ``confounding``: how strongly the confounder goes with the class.
    """

    paper: str = ""
    name: str = ""
    title: str
    datasets: tuple[Name, ...] = Field(min_length=1)
    available: tuple[Name, ...] | None = None
    methods: tuple[Name, ...] = Field(min_length=1)
    variants: tuple[Name, ...] = ()
    compare: tuple[Name, Name] | None = None
    bits: tuple[Count, ...] = Field(min_length=1)
    seeds: tuple[NaturalNumber, ...] = Field((0,), min_length=1)
    confounders: dict[Name, Name] = Field(default_factory=dict)
    strengths: tuple[Fraction, ...] = ()

    @field_validator(
        "datasets", "available", "methods", "variants", "compare", "bits", "seeds", "strengths"
    )
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return without_repeats(values)

    @model_validator(mode="after")
    def _has_strengths(self) -> Self:
        if getattr(self, "kind", "") != "confounding":
            if self.confounders or self.strengths:
                raise ValueError("'confounders' and 'strengths' are for the kind 'confounding'")
            return self
        if not self.strengths:
            raise ValueError("the key 'strengths' is missing")
        if len(self.bits) != 1:
            raise ValueError("'bits': this kind takes one code length")
        unknown = [name for name in self.datasets if name not in self.confounders]
        if unknown:
            raise ValueError(f"'confounders': none is named for {unknown[0]}")
        return self

    def confounded(self, dataset: str) -> list[str]:
        """The names of a dataset's confounded phantoms, one a strength."""
        confounder = self.confounders[dataset]
        return [
            str(ConfoundedName(PHANTOM_PREFIX + dataset, confounder, strength))
            for strength in self.strengths
        ]

    @property
    def file_stem(self) -> str:
        """``ach_table3``: the file's name below ``tables/`` or ``figures/``."""
        return f"{self.paper}_{self.name}"

    @property
    def available_datasets(self) -> tuple[str, ...]:
        """The datasets of this run, in the order of :attr:`datasets`."""
        if self.available is None:
            return self.datasets
        return tuple(dataset for dataset in self.datasets if dataset in self.available)

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The variants whose cells are needed: the listed ones, or the compared pair."""
        return self.compare or self.variants

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """The cells that it is made of, in the order in which it prints them.

        Args:
            seeds: instead of :attr:`seeds`.
        """
        axes = product(
            self.available_datasets,
            self.methods,
            self.trained_variants,
            self.bits,
            self.seeds if seeds is None else seeds,
        )
        return [Cell(*coordinates) for coordinates in axes]


class TableSpec(ArtefactSpec):
    """A table of a paper.

    ``map``: mAP of every cell, methods x variants by datasets x bits (ACH Table III).
    ``wilcoxon``: p-values of :attr:`compare` on per-query AP (ACH Table IV).
    ``fps``: how fast a query image is answered (ACH Table VIII).
    ``confounding``: mAP against the strength of a phantom's confounder.
    """

    kind: Literal["map", "wilcoxon", "fps", "confounding"]

    @model_validator(mode="after")
    def _has_its_axis(self) -> Self:
        needed, other = (
            ("compare", "variants") if self.kind == "wilcoxon" else ("variants", "compare")
        )
        return _with_only(self, needed, other)

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """The cells that it is made of; speed does not depend on the seed: one is enough."""
        own = self.seeds[:1] if self.kind == "fps" else self.seeds
        return super().cells(own if seeds is None else seeds)


class SensitivityPanel(StrictModel):
    """One parameter of a sensitivity figure.

    Attributes:
        title: name of the parameter.
        points: label on the axis -> variant, mostly an ablation (``ach~window-6``).
        legend: what stands behind labels that do not explain themselves.
    """

    title: str
    points: dict[str, Name] = Field(min_length=1)
    legend: str = ""

    @field_validator("points", mode="before")
    @classmethod
    def _labels_are_text(cls, points: Any) -> Any:
        return (
            {str(label): v for label, v in points.items()} if isinstance(points, dict) else points
        )


class FigureSpec(ArtefactSpec):
    """A figure of a paper.

    ``precision_at_k``: P@K against K (ACH Fig. 7); ``precision_recall``: ACH Fig. 8;
    ``retrieved``: queries and their first results (Fig. 9); ``sensitivity``: mAP against
    settings (Fig. 10); ``salient_maps``: Fig. 11(a); ``tsne``: Fig. 11(b); ``lesions``: Fig. 12;
    ``confounding``: mAP against the strength of a phantom's confounder.

    Attributes:
        kind: what is drawn.
        panels: of a sensitivity figure.
        examples: query images that a picture shows of each dataset.
    """

    kind: Literal[
        "precision_at_k",
        "precision_recall",
        "retrieved",
        "sensitivity",
        "salient_maps",
        "tsne",
        "lesions",
        "confounding",
    ]
    panels: tuple[SensitivityPanel, ...] = ()
    examples: Count = 3

    @model_validator(mode="after")
    def _has_its_axis(self) -> Self:
        if bool(self.panels) != (self.kind == "sensitivity"):
            raise ValueError("'panels' belongs to the kind sensitivity, and to no other")
        return _with_only(self, "variants", "compare")

    @property
    def is_picture(self) -> bool:
        """Whether it shows images or features of single cells: those of the first seed."""
        return self.kind in ("retrieved", "salient_maps", "tsne", "lesions")

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The listed variants and those of the panels' points."""
        points = (variant for panel in self.panels for variant in panel.points.values())
        return tuple(dict.fromkeys((*self.variants, *points)))

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """The cells that it is made of; a picture needs one seed."""
        own = self.seeds[:1] if self.is_picture else self.seeds
        return super().cells(own if seeds is None else seeds)


Artefact = TypeVar("Artefact", bound=ArtefactSpec)


class Paper(StrictModel):
    """A paper's printed names, settings and grid.

    Attributes:
        paper: the file's name without suffix.
        title: the paper's title.
        datasets: dataset -> its title as printed.
        methods: method -> its title as printed.
        variants: variant -> the text that is appended to a method's title.
        settings: the paper's part of a :class:`~medhash.configuration.settings.Settings` tree.
        ablations: name -> what it changes; sizes in patches of the paper's own images.
        tables: name -> table.
        figures: name -> figure.
    """

    paper: FileName
    title: str
    datasets: dict[Name, str]
    methods: dict[Name, MethodTitle]
    variants: dict[Name, str]
    settings: dict[str, Any] = Field(default_factory=dict)
    ablations: dict[AblationName, Ablation] = Field(default_factory=dict)
    tables: dict[FileName, TableSpec] = Field(default_factory=dict)
    figures: dict[FileName, FigureSpec] = Field(default_factory=dict)

    def settings_of(self, variant: str, settings: Settings) -> Settings:
        """A variant's settings: those of the run, or what its ablation makes of them."""
        return ablated(settings, variant, self.ablations, self._grid)

    def merge_ablations(self, settings: Settings) -> Paper:
        """The paper with one variant for all ablations that come to the same settings."""
        figures = {name: self._merged(figure, settings) for name, figure in self.figures.items()}
        return self.model_copy(update={"figures": figures})

    def dataset_title(self, dataset: str) -> str:
        """The dataset as printed; a phantom says that it is one, and how it is confounded."""
        confounded = parse_name(dataset)
        if confounded is not None:
            title = self.dataset_title(confounded.phantom)
            return f"{title}, {confounded.confounder} {confounded.strength:g}"
        if dataset.startswith(PHANTOM_PREFIX):
            return f"Phantom of {self.dataset_title(dataset.removeprefix(PHANTOM_PREFIX))}"
        return self.datasets.get(dataset, dataset)

    def method_title(self, method: str, variant: str = "none") -> str:
        """A row's name as printed (``HashNet+ACH``); a method of the user's keeps its own name."""
        title = self.methods[method].title if method in self.methods else method
        base, ablation = split_variant(variant)
        suffix = self.variants.get(base, f"+{base.upper()}")
        return f"{title}{suffix} ({ablation})" if ablation else title + suffix

    @property
    def _grid(self) -> int:
        """Patches along one side of the paper's own images."""
        return NetworkSettings.model_validate(self.settings.get("network", {})).grid

    def _merged(self, figure: FigureSpec, settings: Settings) -> FigureSpec:
        def merge(variant: str) -> str:
            return merged(variant, settings, self.ablations, self._grid)

        panels = [
            panel.model_copy(
                update={"points": {label: merge(v) for label, v in panel.points.items()}}
            )
            for panel in figure.panels
        ]
        return figure.model_copy(update={"panels": tuple(panels)})


def _with_only(spec: Artefact, needed: str, other: str) -> Artefact:
    """The spec unchanged, if it has the list that its kind needs and not the other one."""
    if not getattr(spec, needed):
        raise ValueError(f"the key '{needed}' is missing")
    if getattr(spec, other):
        raise ValueError(f"'{other}' does not belong here; this kind takes '{needed}'")
    return spec


def without_repeats(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """``values`` unchanged.

    Raises:
        ValueError: a value occurs twice.
    """
    seen: set[Any] = set()
    for value in values or ():
        if value in seen:
            raise ValueError(f"{value} is listed twice")
        seen.add(value)
    return values
