"""What a paper prints: its grid of tables and figures, as data.

A paper's file (``config/papers/<paper>.yaml``) holds these models. After loading, tables and
figures are already those of the run: phantoms stand in for datasets, lists are thinned by the
scale, and the user's choice of datasets is marked.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from medhash.data.cards import SplitRule
from medhash.data.confounded import ConfoundedName, parse_name
from medhash.papers.ablations import (
    Ablation,
    AblationName,
    ablated,
    merged,
)
from medhash.schema.base import Count, Fraction, NaturalNumber, StrictModel
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.settings import Settings, VitSettings
from medhash.schema.variants import split_variant

PHANTOM_PREFIX = "phantom_"

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\s]+$")]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]


class PrintedMethod(StrictModel):
    """How a paper prints a method, and what it trains that one with.

    Attributes:
        title: as printed.
        settings: a part of a :class:`~medhash.schema.settings.Settings` tree, over the paper's.
    """

    title: str
    settings: dict[str, Any] = Field(default_factory=dict)


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
    def key(self) -> str:
        """``ach/table3``: its name on command lines and as the key of its step."""
        return f"{self.paper}/{self.name}"

    @property
    def label(self) -> str:
        """``ach_table3``: its name where a slash cannot stand, in LaTeX and HTML."""
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
        return [Cell(self.paper, *coordinates) for coordinates in axes]


class TableSpec(ArtefactSpec):
    """A table of a paper.

    ``map``: mAP of every cell, methods x variants by datasets x bits (ACH Table III).
    ``wilcoxon``: p-values of :attr:`compare` on per-query AP (ACH Table IV).
    ``transfer``: mAP after fine-tuning from :attr:`origins`, and without (ACH Table VI).
    ``reasoning``: mAP of :attr:`pairs` of variants, with wins, ties and losses (ACH Table VII).
    ``fps``: how fast a query image is answered (ACH Table VIII).
    ``lesion_retrieval``: P@10 of lesion patches as queries, and runtime (ACH Section V-D-2).
    ``confounding``: mAP against the strength of a phantom's confounder.

    Attributes:
        kind: what is computed.
        origins: kind ``transfer``: the datasets that cells are fine-tuned from.
        available_origins: those that this run has; filled in like :attr:`available`.
        without_transfer: kind ``transfer``: what the rows without transfer start from, random
            weights (``scratch``) or the backbone that is pretrained on the target (``own``).
        pairs: kind ``reasoning``: a variant and its opponent, ``[lcr, lfr]``.
        titles: variant -> what this table appends to a method's title instead of the paper's.
    """

    kind: Literal[
        "map", "wilcoxon", "transfer", "reasoning", "fps", "lesion_retrieval", "confounding"
    ]
    origins: tuple[Name, ...] = ()
    available_origins: tuple[Name, ...] | None = None
    without_transfer: Literal["scratch", "own"] = "scratch"
    pairs: tuple[tuple[Name, Name], ...] = ()
    titles: dict[Name, str] = Field(default_factory=dict)

    @field_validator("origins", "pairs")
    @classmethod
    def _none_twice(cls, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return without_repeats(values)

    @model_validator(mode="after")
    def _has_its_axis(self) -> Self:
        needed = {"wilcoxon": "compare", "reasoning": "pairs"}.get(self.kind, "variants")
        for other in {"compare", "pairs", "variants"} - {needed}:
            _with_only(self, needed, other)
        if bool(self.origins) != (self.kind == "transfer"):
            raise ValueError("'origins' belongs to the kind transfer, and to no other")
        if self.kind == "transfer" and len(self.datasets) != 1:
            raise ValueError("'datasets': this kind takes one, the target of the transfer")
        return self

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The variants whose cells are needed: the listed ones, or those of the pairs."""
        paired = (variant for pair in self.pairs for variant in reversed(pair))
        return tuple(dict.fromkeys(paired)) or super().trained_variants

    @property
    def run_origins(self) -> tuple[str, ...]:
        """The origins of this run, in the order of :attr:`origins`."""
        if self.available_origins is None:
            return self.origins
        return tuple(origin for origin in self.origins if origin in self.available_origins)

    @property
    def origin_without_transfer(self) -> str:
        """The origin of the cells without transfer."""
        return SCRATCH if self.without_transfer == "scratch" else ""

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """The cells that it is made of.

        Speed and lesion patches are those of the first seed. A transfer needs, of each method,
        the baseline without transfer and all variants from each origin.
        """
        own = self.seeds[:1] if self.kind in ("fps", "lesion_retrieval") else self.seeds
        cells = super().cells(own if seeds is None else seeds)
        if self.kind != "transfer":
            return cells
        baseline = self.trained_variants[0]
        without = [
            replace(cell, origin=self.origin_without_transfer)
            for cell in cells
            if self.run_origins and cell.variant == baseline
        ]
        return without + [
            replace(cell, origin=origin) for origin in self.run_origins for cell in cells
        ]


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
    ``retrieved``: queries, or lesion patches as queries, and their first results (Fig. 9);
    ``sensitivity``: mAP against settings (Fig. 10); ``salient_maps``: Fig. 11(a); ``tsne``:
    Fig. 11(b); ``lesions``: Fig. 12; ``confounding``: mAP against the strength of a phantom's
    confounder.

    Attributes:
        kind: what is drawn.
        panels: of a sensitivity figure.
        examples: query images that a picture shows of each dataset.
        queries: of kind ``retrieved``: whole images, or lesion patches where a dataset has them.
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
    queries: Literal["images", "lesions"] = "images"

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
        methods: method -> its title as printed, and settings of its own.
        variants: variant -> the text that is appended to a method's title.
        settings: the paper's part of a :class:`~medhash.schema.settings.Settings` tree.
        splits: dataset -> how this paper splits it, where that is not the card's split; a phantom
            is split as the dataset that it stands for.
        ablations: name -> what it changes; sizes in patches of the paper's own images.
        tables: name -> table.
        figures: name -> figure.
    """

    paper: FileName
    title: str
    datasets: dict[Name, str]
    methods: dict[Name, PrintedMethod]
    variants: dict[Name, str]
    settings: dict[str, Any] = Field(default_factory=dict)
    splits: dict[Name, SplitRule] = Field(default_factory=dict)
    ablations: dict[AblationName, Ablation] = Field(default_factory=dict)
    tables: dict[FileName, TableSpec] = Field(default_factory=dict)
    figures: dict[FileName, FigureSpec] = Field(default_factory=dict)

    @field_validator("paper")
    @classmethod
    def _is_no_other_folder(cls, name: str) -> str:
        if name in _OTHER_FOLDERS:
            raise ValueError(f"'{name}' is a folder of every run; give the paper another name")
        return name

    @field_validator("tables", "figures")
    @classmethod
    def _know_their_names(
        cls, specs: dict[str, Artefact], info: ValidationInfo
    ) -> dict[str, Artefact]:
        paper = info.data.get("paper", "")
        return {
            name: spec.model_copy(update={"paper": paper, "name": name})
            for name, spec in specs.items()
        }

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
        if not ablation:
            return title + suffix
        printed = self.ablations[ablation].title if ablation in self.ablations else ""
        return title + suffix + (printed or f" ({ablation})")

    @property
    def _grid(self) -> int | None:
        """Patches along one side of the paper's own images, if its network has patches."""
        network = self.settings.get("network", {})
        vit = network.get("kind", "vit") == "vit"
        return VitSettings.model_validate(network).grid if vit else None

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


_OTHER_FOLDERS = ("data", "receipts", "running")
"""What lies beside the papers' folders in the folder of a run."""


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
