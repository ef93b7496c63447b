"""What a paper prints: its grid of tables and figures, as data.

A paper's file (``config/papers/<paper>.yaml``) holds these models. After loading, tables and
figures are already those of the run: phantoms stand in for datasets, lists are thinned by the
scale, and the user's choice of datasets is marked.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator

from medhash.data.confounded import parse_name
from medhash.papers.ablations import Ablation, AblationName, ablated, merged
from medhash.papers.kinds import FIGURES, TABLES
from medhash.papers.specs import ArtefactSpec, FigureSpec, FileName, Name, TableSpec
from medhash.schema.base import StrictModel
from medhash.schema.datasets import PHANTOM_PREFIX, SplitRule, split_name, without_split
from medhash.schema.settings import Settings, VitSettings
from medhash.schema.variants import split_variant


class PrintedMethod(StrictModel):
    """How a paper prints a method, and what it trains that one with.

    Attributes:
        title: as printed.
        settings: a part of a :class:`~medhash.schema.settings.Settings` tree, over the paper's.
    """

    title: str
    settings: dict[str, Any] = Field(default_factory=dict)


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
            is split as the dataset that it stands for. ``covid_ct+clean`` is another split of
            ``covid_ct`` beside that one: a dataset of its own to tables, figures and cells.
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
    tables: dict[FileName, Annotated[SerializeAsAny[TableSpec], TABLES]] = Field(
        default_factory=dict
    )
    figures: dict[FileName, Annotated[SerializeAsAny[FigureSpec], FIGURES]] = Field(
        default_factory=dict
    )

    @field_validator("paper")
    @classmethod
    def _is_no_other_folder(cls, name: str) -> str:
        if name in _OTHER_FOLDERS:
            raise ValueError(f"'{name}' is a folder of every run; give the paper another name")
        return name

    @field_validator("tables", "figures")
    @classmethod
    def _know_their_names(
        cls, specs: dict[str, ArtefactSpec], info: ValidationInfo
    ) -> dict[str, ArtefactSpec]:
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

        def merge(variant: str) -> str:
            return merged(variant, settings, self.ablations, self._grid)

        figures = {name: figure.merged(merge) for name, figure in self.figures.items()}
        return self.model_copy(update={"figures": figures})

    def dataset_title(self, dataset: str) -> str:
        """The dataset as printed; a phantom says that it is one, and how it is confounded.

        Another split of it is called by its name.
        """
        if split_name(dataset):
            return f"{self.dataset_title(without_split(dataset))}, {split_name(dataset)} split"
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


_OTHER_FOLDERS = ("data", "receipts", "running")
"""What lies beside the papers' folders in the folder of a run."""
