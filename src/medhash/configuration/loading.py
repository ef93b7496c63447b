"""Reads ``config/`` and says what a run consists of.

A paper's file gives the grid and the settings that the paper prints; a scale's file overrides
settings and thins the grid; ``config/config.yaml`` and the command line come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from medhash import methods
from medhash.configuration import relevant_settings
from medhash.configuration.declarations import (
    declaration_of,
    has_patch_tokens,
    network_problem,
    why_not_run,
)
from medhash.configuration.layered_settings import PaperSettings, resolve_settings
from medhash.configuration.layers import Layer, Layers
from medhash.configuration.paths import Layout
from medhash.configuration.restriction import Restriction
from medhash.configuration.scales import (
    CHOICES,
    ConfigFile,
    GridSettings,
    PhantomSettings,
    ScaleFile,
)
from medhash.data.archives.finding import archive_folders
from medhash.data.cards import load_cards
from medhash.data.confounded import parse_name, resolve_card
from medhash.errors import MedhashError
from medhash.models import backbones
from medhash.papers.ablations import known_variants
from medhash.papers.paper import Paper
from medhash.papers.specs import ArtefactSpec, FigureSpec, TableSpec
from medhash.schema.cell import Cell
from medhash.schema.datasets import (
    PHANTOM_PREFIX,
    DatasetCard,
    SplitRule,
    split_name,
    without_split,
)
from medhash.schema.settings import NetworkSettings, Settings, Start
from medhash.schema.shown import ExplanationSettings, LesionSettings
from medhash.schema.validation import (
    Origin,
    check_name,
    parse_value,
    read_model,
    read_yaml,
    validate,
)
from medhash.schema.variants import VARIANTS, parts_of, split_variant

CONFIG_PATH = Path("config/config.yaml")
LESION_BOXES = Path("config/lesions")
RESULTS = Path("results")
COMMAND_LINE = "command line"

Spec = TypeVar("Spec", bound=ArtefactSpec)


@dataclass(frozen=True)
class Configuration:
    """What a run consists of; everything in it is validated.

    Attributes:
        scale: name of the scale.
        run: name of the run: the scale's, unless it was given one of its own.
        chosen: what ``config.yaml`` and the command line choose beside scale, papers and archives.
        papers: paper -> its names, and its tables and figures as this run makes them.
        settings: paper -> its settings, and those of methods and datasets that have some of their
            own.
        cards: dataset -> card, phantoms included.
        datasets: paper -> its datasets in this run; each gets a split and a leakage table.
        phantoms: how phantoms are made, or None where datasets are real.
        archives: the first folder where archives are searched; downloads go there.
        download: whether archives that are not found are fetched.
        weights: kind of network -> the file that its pretraining starts from.
        overrides: what the command line set.
        explanation: which images a cell is explained on.
        lesions: which lesion patches are queries.
        of_scale: the scale's own configuration, where this run is another or has another name.
    """

    scale: str
    run: str
    chosen: dict[str, Any]
    papers: dict[str, Paper]
    settings: dict[str, PaperSettings]
    cards: dict[str, DatasetCard]
    datasets: dict[str, tuple[str, ...]]
    phantoms: PhantomSettings | None
    archives: Path
    download: bool
    weights: dict[str, Path]
    overrides: dict[str, Any]
    explanation: ExplanationSettings
    lesions: LesionSettings
    of_scale: Configuration | None = None

    @property
    def is_named(self) -> bool:
        """Whether the run has a name of its own, and with it a tree of its own."""
        return self.run != self.scale

    @property
    def label(self) -> str:
        """The scale and, if it has one, the run's name: ``small, run mine``."""
        return f"{self.scale}, run {self.run}" if self.is_named else self.scale

    @property
    def option(self) -> str:
        """What names the run on a command line: ``--scale small``, ``--run mine``."""
        return f"--run {self.run}" if self.is_named else f"--scale {self.scale}"

    @cached_property
    def layout(self) -> Layout:
        """Where the files of this run lie."""
        return Layout(RESULTS / self.run)

    @cached_property
    def tables(self) -> dict[str, TableSpec]:
        """Key (``ach/table3``) -> table; only those with a cell in this run."""
        papers = self.papers.values()
        return _with_cells(table for paper in papers for table in paper.tables.values())

    @cached_property
    def figures(self) -> dict[str, FigureSpec]:
        """Key (``ach/fig7``) -> figure; only those with a cell in this run."""
        papers = self.papers.values()
        return _with_cells(figure for paper in papers for figure in paper.figures.values())

    @cached_property
    def artefacts(self) -> dict[str, ArtefactSpec]:
        """Tables and figures together."""
        return {**self.tables, **self.figures}

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell that a table or figure of this run needs, once, in their order."""
        return list(dict.fromkeys(c for spec in self.artefacts.values() for c in spec.cells()))

    @property
    def views(self) -> list[tuple[str, str]]:
        """Every paper of this run with each of its datasets, and their other splits."""
        own = [(paper, dataset) for paper, own in self.datasets.items() for dataset in own]
        shown = [(s.paper, d) for s in self.artefacts.values() for d in s.available_datasets]
        return list(dict.fromkeys([*own, *(view for view in shown if split_name(view[1]))]))

    def card(self, dataset: str) -> DatasetCard:
        """A dataset's card, also of a confounded phantom; a MedhashError if there is none."""
        return resolve_card(self.cards, dataset)

    def card_for(self, paper: str, dataset: str) -> DatasetCard:
        """A dataset's card as a paper sees it: with the paper's own split, if it has one.

        The counts that a card reports belong to the card's split.

        Raises:
            MedhashError: the paper has no other split of that name.
        """
        card, splits = self.card(dataset), self.papers[paper].splits
        name = (card.stands_for or card.name) + dataset.removeprefix(without_split(dataset))
        if split_name(dataset):
            check_name(name, splits, "split", f"config/papers/{paper}.yaml: splits")
        rule = splits.get(name)
        if rule is None or parse_name(dataset) is not None:
            return card
        return card.split_by(rule)

    def image_size(self, paper: str) -> int:
        """The side of the square images that a paper's datasets are prepared to, in pixels."""
        return self.settings[paper].shared.stored

    def data_for(self, paper: str, dataset: str) -> Path:
        """The folder of a dataset, prepared at a paper's size; all its splits have one."""
        return self.layout.data(without_split(dataset), self.image_size(paper))

    def data_of(self, cell: Cell) -> Path:
        """The folder of the dataset that a cell is trained and scored on."""
        return self.data_for(cell.paper, cell.dataset)

    def lesion_boxes(self, dataset: str) -> Path:
        """The CSV of a dataset's lesion boxes; need not be there."""
        return LESION_BOXES / f"{without_split(dataset)}.csv"

    def finder_of(self, cell: Cell) -> Cell:
        """The cell whose C2F-LP finds the patches that a cell is searched with, if asked for."""
        return replace(cell, variant=self.lesions.finder)

    def settings_of(self, cell: Cell) -> Settings:
        """The settings that a cell is trained with: its paper's, its method's, its ablation's."""
        names = cell.paper, cell.dataset, cell.method, cell.variant
        if names not in self._settled:
            own = self._settings_on(cell.paper, cell.dataset).of(cell.method)
            self._settled[names] = self.papers[cell.paper].settings_of(cell.variant, own)
        return self._settled[names]

    @cached_property
    def _settled(self) -> dict[tuple[str, str, str, str], Settings]:
        """Paper, dataset, method and variant -> settings, which all lengths and seeds share."""
        return {}

    def _settings_on(self, paper: str, dataset: str) -> PaperSettings:
        card = self.card(dataset)
        return self.settings[paper].on(card.stands_for or card.name)

    @cached_property
    def known_names(self) -> set[str]:
        """Cells without length and seed that were found to be possible; see known_cells."""
        return set()

    def start_of(self, cell: Cell) -> Start:
        """Where a cell's weights come from: by its settings, or else as its method says."""
        return self.settings_of(cell).start or declaration_of(cell.method).start

    def stage_settings(self, paper: str, dataset: str, stage: str) -> Settings:
        """The settings of a stage of pretraining; a shared classifier has those of its methods.

        Raises:
            MedhashError: no method of the paper starts from that classifier, or two that do have
                networks or classification settings of their own.
        """
        return self._of_stage(paper, self._settings_on(paper, dataset), stage)

    def starting_network(self, paper: str, kind: str) -> NetworkSettings:
        """The network of a kind whose pretraining starts from random numbers, or from a file.

        Raises:
            MedhashError: nothing of the paper pretrains one.
        """
        settings = self.settings[paper]
        pretrained = settings.shared.mae is not None and settings.shared.network.kind == kind
        return self._of_stage(paper, settings, "mae" if pretrained else kind).network

    def _of_stage(self, paper: str, settings: PaperSettings, stage: str) -> Settings:
        if stage in ("mae", "classification"):
            return settings.shared
        sharing = {
            method: each
            for method, each in ((name, settings.of(name)) for name in self.papers[paper].methods)
            if each.network.kind == stage
            and (each.start or declaration_of(method).start) == "classifier"
        }
        if not sharing:
            raise MedhashError(f"paper '{paper}': no method starts from a classifier '{stage}'")
        first, *others = sharing
        for other in others:
            same = (sharing[first].network, sharing[first].classification)
            if same != (sharing[other].network, sharing[other].classification):
                raise MedhashError(
                    f"config/papers/{paper}.yaml: methods {first} and {other} share the classifier "
                    f"'{stage}', but differ in 'network' or 'classification'"
                )
        return sharing[first]

    def every_settings(self) -> list[tuple[str, Settings]]:
        """All settings of the run, each with its paper."""
        return [(paper, each) for paper, own in self.settings.items() for each in own.every()]

    def method_settings(self) -> list[tuple[str, str, dict[str, object]]]:
        """What is given of methods' own hyperparameters: by what, the method, the values."""
        given = [
            (f"settings of the paper '{paper}' at the scale '{self.scale}'", method, values)
            for paper, settings in self.every_settings()
            for method, values in settings.methods.items()
        ]
        for name, paper in self.papers.items():
            for ablation, change in paper.ablations.items():
                for method, values in change.methods.items():
                    below = self.settings[name].of(method).methods.get(method, {})
                    where = f"ablations.{ablation} of the paper '{name}'"
                    given.append((where, method, below | values))
        return given

    def required_phantoms(self) -> PhantomSettings:
        """How phantoms are made; a MedhashError at a scale of real images."""
        if self.phantoms is None:
            raise MedhashError(
                f"config/scales/{self.scale}.yaml: phantoms: not given; this scale has no phantoms"
            )
        return self.phantoms

    @property
    def archive_folders(self) -> tuple[Path, ...]:
        """Where archives are searched, best first; a MedhashError if one is named in vain."""
        return (self.archives, *archive_folders()[1:])

    def split_seed(self, paper: str, dataset: str) -> int:
        """The seed of a dataset's split: the one that its rule fixes, or 0.

        One split serves all seeds of a cell, because the backbone is pretrained on its training
        images: under a second split some of those would be queries.
        """
        return self.card_for(paper, dataset).split.seed or 0

    def split_for(self, paper: str, dataset: str) -> Path:
        """The manifest of a paper's split of a dataset."""
        return self.layout.split(paper, dataset, self.split_seed(paper, dataset))

    def split_of(self, cell: Cell) -> Path:
        """The manifest of the split that a cell is trained and scored on."""
        return self.split_for(cell.paper, cell.dataset)

    def leakage_for(self, paper: str, dataset: str) -> Path:
        """The leakage table of a paper's split of a dataset, without its suffix."""
        return self.layout.leakage(paper, dataset, self.split_seed(paper, dataset))

    def listed_split(self, paper: str, dataset: str) -> list[Path]:
        """The file that a split of rule ``listed`` is read from; empty for other rules."""
        file = self.card_for(paper, dataset).split.file
        return [] if file is None else [file]

    def artefacts_waiting(self, datasets: Iterable[str]) -> dict[str, list[str]]:
        """Dataset -> the tables and figures that need it."""
        specs = self.artefacts.items()
        return {
            dataset: [key for key, spec in specs if dataset in spec.available_datasets]
            for dataset in datasets
        }


def load(
    config_path: Path = CONFIG_PATH, overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """Read and validate the whole configuration.

    Args:
        config_path: ``config/config.yaml``; the other files are found beside it.
        overrides: keys of ``config.yaml`` set on the command line.

    Raises:
        MedhashError: every refused key or value with its file and the nearest valid name.
    """
    folder = config_path.parent
    typed = {key: _typed(value) for key, value in (overrides or {}).items()}
    user = Layers((read_yaml(config_path), str(config_path)), (typed, COMMAND_LINE))
    config = validate(ConfigFile, user.tree, user.origin)
    cards = load_cards(folder / "datasets.yaml")
    _check_lesions(config, cards, folder, user.origin)
    _check_axes(config, cards, user.origin)
    scale_path, scale = _load_scale(folder, config.scale, cards, user.origin(("scale",)))
    _check_run(config, folder, user.origin(("run",)))
    papers = _load_papers(config, folder, scale, cards, user.origin(("papers",)))

    def configured(each: ConfigFile, settings: list[Layer]) -> Configuration:
        names = each.papers or _papers_of_scale(scale, folder)
        return _configured(
            each, scale_path, scale, cards, {name: papers[name] for name in names}, settings
        )

    own = configured(config, user.below("settings"))
    plain = ConfigFile(**config.model_dump(include={*ConfigFile.model_fields} - {*CHOICES, "run"}))
    of_scale = configured(plain, []) if own.chosen else replace(own, run=own.scale)
    is_own = replace(own, chosen={}) == of_scale
    configuration = replace(own, overrides=typed, of_scale=None if is_own else of_scale)
    _check_scales_are_not_mixed(configuration, user.origin(("datasets",)))
    _check_weights_are_read(configuration, user.origin(("weights",)))
    for spec in configuration.artefacts.values():
        # What a cell can be depends on neither its length nor its seed.
        kinds = {replace(cell, bits=1, seed=0): cell for cell in spec.cells()}
        for cell in kinds.values():
            check_cell(configuration, cell, f"config/papers/{spec.paper}.yaml: {spec.name}")
    return configuration


def check_is_named(configuration: Configuration) -> None:
    """Refuse a run that is not the scale's own and has no name: it would overwrite what that made.

    Raises:
        MedhashError: says what makes it another run, and how to name it.
    """
    if configuration.of_scale is None or configuration.is_named:
        return
    keys = ", ".join(configuration.chosen)
    raise MedhashError(
        f"what is chosen ({keys}) is not what the scale '{configuration.scale}' runs by itself, "
        f"and its tables in {configuration.layout.root.as_posix()} are to stay as they are.\n"
        "Give the run a name, and it gets a tree of its own; what fits of the scale is not made "
        "again. Add run=NAME:\n"
        "  snakemake … --config run=mine …\n"
        "  medhash … --run mine\n"
        "  run: mine in config/config.yaml"
    )


def check_weights(configuration: Configuration, networks: Iterable[str]) -> None:
    """Refuse to start without the files that networks start from.

    Raises:
        MedhashError: one is not there.
    """
    for network in sorted(networks):
        file = configuration.weights[network]
        if not file.is_file():
            raise MedhashError(
                f"weights.{network}: {file}: no such file; put it there, or name where it is"
            )


def check_cell(configuration: Configuration, cell: Cell, where: str) -> None:
    """Refuse a cell that its method or its backbone cannot be.

    Raises:
        MedhashError: what is plugged in does not fit, or the backbone, or where its weights come
            from, or its ablation changes nothing; its dataset has no masks, or it waits for a
            setting; ``where`` stands in front.
    """
    settings, declared = configuration.settings_of(cell), declaration_of(cell.method)
    kind = settings.network.kind
    waits = why_not_run(cell.method, settings)
    if waits:
        raise MedhashError(f"{where}: the method '{cell.method}' cannot run: {waits}")
    if "masks" in declared.needs and not configuration.card(cell.dataset).has_masks:
        raise MedhashError(
            f"{where}: the method '{cell.method}' needs masks, and the dataset '{cell.dataset}' "
            f"has none; leave out one of them (with masks: {_with_masks(configuration)})"
        )
    problem = network_problem(settings.network)
    if problem:
        raise MedhashError(
            f"{where}: the method '{cell.method}' on the backbone '{kind}': {problem}"
        )
    if declared.backbone not in ("", kind):
        raise MedhashError(
            f"{where}: the method '{cell.method}' stands on the backbone '{declared.backbone}', "
            f"not on '{kind}'; set network.kind in its settings"
        )
    plugs = declared.plugs - (set() if has_patch_tokens(kind) else {"lcr", "lfr"})
    refused = [part for part in parts_of(cell.variant) if part not in plugs]
    if refused:
        raise MedhashError(
            f"{where}: the method '{cell.method}' on the backbone '{kind}' does not take "
            f"{' and '.join(refused)} (it takes: {', '.join(sorted(plugs)) or 'nothing'}); leave "
            f"out the variant '{cell.variant}'"
        )
    lesions = relevant_settings.needs_lesions(settings, cell)
    if lesions and not configuration.card(cell.dataset).synthetic:
        raise MedhashError(
            f"{where}: lcr.where: {settings.lcr.where} needs to know where the lesions of "
            f"'{cell.dataset}' are; that is known of phantoms alone"
        )
    _check_ablation(configuration, cell, where)
    if cell.origin or configuration.start_of(cell) != "pretrained":
        return
    shared = configuration.settings[cell.paper].shared
    if shared.mae is None or shared.classification is None:
        raise MedhashError(
            f"{where}: the method '{cell.method}' starts from a pretrained backbone, but the "
            f"paper '{cell.paper}' has no settings of mae and classification; set start: scratch "
            "in its settings"
        )
    if settings.network != shared.network:
        raise MedhashError(
            f"{where}: the method '{cell.method}' starts from the backbone that is pretrained for "
            "all methods, but has a network of its own; set start: scratch in its settings"
        )


def _with_masks(configuration: Configuration) -> str:
    """The datasets of the configuration's kind that have masks."""
    cards = configuration.cards.values()
    real = configuration.phantoms is None
    return ", ".join(c.name for c in cards if c.has_masks and c.synthetic != real)


def _check_ablation(configuration: Configuration, cell: Cell, where: str) -> None:
    """Refuse an ablation of settings that nothing of the cell reads: it would be its base again.

    To methods that the user puts in the place of a paper's, its ablations may mean nothing.
    """
    base, name = split_variant(cell.variant)
    if not name or "methods" in configuration.chosen:
        return
    plain = replace(cell, variant=base)
    settings, own = (configuration.settings_of(each) for each in (plain, cell))
    read = (relevant_settings.training(*each) for each in ((settings, plain), (own, cell)))
    if own != settings and next(read) == next(read):
        raise MedhashError(
            f"{where}: the method '{cell.method}' with the variant '{base}' reads none of the "
            f"settings of the ablation '{name}'; leave out '{cell.variant}' of this method"
        )


def check_method_settings(configuration: Configuration) -> None:
    """Validate what settings give to methods themselves; imports torch.

    Raises:
        MedhashError: an unknown or refused key or value, with the nearest valid name.
    """
    for source, method, values in configuration.method_settings():
        check_name(method, methods.names(), "method", source)
        model = methods.settings_model(method)
        validate(model, values, lambda _, s=source: s, f"settings.methods.{method}.")  # type: ignore[misc]


def check_experiments(configuration: Configuration) -> None:
    """Check what tables and figures name beside their grids.

    Raises:
        MedhashError: a phantom has not the confounder that one names; lists those that there are.
    """
    for spec in configuration.artefacts.values():
        spec.check(f"config/papers/{spec.paper}.yaml: {spec.name}")


def _configured(
    config: ConfigFile,
    scale_path: Path,
    scale: ScaleFile,
    cards: dict[str, DatasetCard],
    papers: dict[str, tuple[Path, Paper]],
    chosen: list[Layer],
) -> Configuration:
    """A configuration of checked parts; ``chosen`` are the user's settings."""
    restriction = Restriction(config, scale, cards, [paper for _, paper in papers.values()])
    settings = {
        name: resolve_settings(paper, path, scale, scale_path, chosen)
        for name, (path, paper) in papers.items()
    }
    return Configuration(
        scale=config.scale,
        run=config.run or config.scale,
        chosen=config.model_dump(mode="json", include=set(CHOICES), exclude_defaults=True),
        papers={
            name: _without_waiting(
                restriction.paper(paper).merge_ablations(settings[name].shared), settings[name]
            )
            for name, (_, paper) in papers.items()
        },
        settings=settings,
        cards=cards,
        datasets={name: restriction.datasets(paper) for name, (_, paper) in papers.items()},
        phantoms=scale.phantoms,
        archives=config.archives,
        download=config.download,
        weights=config.weights,
        overrides={},
        explanation=config.explanation,
        lesions=config.lesions,
    )


def _without_waiting(paper: Paper, settings: PaperSettings) -> Paper:
    """The paper without cells of methods that wait for a setting; tables say why."""
    artefacts = (*paper.tables.values(), *paper.figures.values())
    waiting = {
        method: why
        for method in dict.fromkeys(method for spec in artefacts for method in spec.methods)
        if (why := why_not_run(method, settings.of(method)))
    }

    def marked(spec: Spec) -> Spec:
        own = {method: waiting[method] for method in spec.methods if method in waiting}
        return spec.model_copy(update={"not_run": own})

    tables = {name: marked(table) for name, table in paper.tables.items()}
    figures = {name: marked(figure) for name, figure in paper.figures.items()}
    return paper.model_copy(update={"tables": tables, "figures": figures})


def _check_run(config: ConfigFile, folder: Path, asked_by: str) -> None:
    scales = sorted(path.stem for path in (folder / "scales").glob("*.yaml"))
    if config.run in scales:
        raise MedhashError(
            f"{asked_by}: run: '{config.run}' is the name of a scale, whose own run it is; choose "
            "another name"
        )


def _load_scale(
    folder: Path, name: str, cards: dict[str, DatasetCard], asked_by: str
) -> tuple[Path, ScaleFile]:
    path = _file_of(folder / "scales", name, "scale", f"{asked_by}: scale")
    layers = Layers((read_yaml(path), str(path)))
    scale = validate(ScaleFile, layers.tree, layers.origin)
    _check_axes(scale.grid, cards, layers.origin, ("grid",))
    for dataset in scale.phantoms.images_of if scale.phantoms else ():
        check_name(dataset, cards, "dataset", f"{path}: phantoms.images_of")
    return path, scale


def _load_papers(
    config: ConfigFile, folder: Path, scale: ScaleFile, cards: dict[str, DatasetCard], asked_by: str
) -> dict[str, tuple[Path, Paper]]:
    """Name -> file and content of the chosen papers and of those that the scale runs by itself.

    A scale may thin tables and figures of papers that are not part of this run.
    """
    scale_path, papers = f"config/scales/{config.scale}.yaml", {}
    for name in dict.fromkeys((*(config.papers or ()), *_papers_of_scale(scale, folder))):
        source = asked_by if name in (config.papers or ()) else scale_path
        path = _file_of(folder / "papers", name, "paper", f"{source}: papers")
        paper = _load_paper(path, cards)
        keys = [f"{name}/{key}" for key in (*paper.tables, *paper.figures)]
        for key in scale.artefacts:
            if key.startswith(f"{name}/"):
                check_name(key, keys, "table or figure", f"{scale_path}: artefacts")
        papers[name] = path, paper
    return papers


def _papers_of_scale(scale: ScaleFile, folder: Path) -> tuple[str, ...]:
    """Those that it names, or else all that there are."""
    every = (path.stem for path in (folder / "papers").glob("*.yaml"))
    return tuple(sorted(every)) if scale.grid.papers is None else scale.grid.papers


def _load_paper(path: Path, cards: dict[str, DatasetCard]) -> Paper:
    paper = read_model(Paper, path, "paper")
    for dataset in paper.datasets:
        check_name(dataset, cards, "dataset", f"{path}: datasets")
    for variant in paper.variants:
        check_name(variant, VARIANTS, "variant", f"{path}: variants")
    known = known_variants(paper.ablations)
    for kind, specs in (("tables", paper.tables), ("figures", paper.figures)):
        for name, spec in specs.items():
            where = f"{path}: {kind}.{name}."
            for dataset in spec.datasets:
                own = (name for name in paper.splits if split_name(name))
                check_name(dataset, [*paper.datasets, *own], "dataset", f"{where}datasets")
            for origin in filter(None, spec.starts):
                check_name(origin, paper.datasets, "dataset", f"{where}origins")
            for method in spec.methods:
                check_name(method, methods.names(), "method", f"{where}methods")
            for variant in spec.trained_variants:
                check_name(variant, known, "variant", f"{where}variants")
    return paper.model_copy(update={"splits": _splits(paper, path, cards)})


def _splits(paper: Paper, path: Path, cards: dict[str, DatasetCard]) -> dict[str, SplitRule]:
    """A paper's own splits, as strictly checked as a card's, files from the project's root."""
    splits = {}
    for dataset, rule in paper.splits.items():
        check_name(without_split(dataset), paper.datasets, "dataset", f"{path}: splits")
        try:
            cards[without_split(dataset)].split_by(rule)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise MedhashError(f"{path}: splits.{dataset}: {problem}") from None
        splits[dataset] = rule.below(path.parent.parent.parent)
    return splits


def _check_axes(
    lists: ConfigFile | GridSettings,
    cards: dict[str, DatasetCard],
    origin: Origin,
    parents: tuple[str, ...] = (),
) -> None:
    known = {"datasets": list(cards), "methods": methods.names(), "variants": list(VARIANTS)}
    for axis, names in known.items():
        for name in getattr(lists, axis) or ():
            key = (*parents, axis)
            where = f"{origin(key)}: {'.'.join(key)}"
            check_name(name, names, axis.removesuffix("s"), where)


def _file_of(folder: Path, name: str, what: str, where: str) -> Path:
    check_name(name, sorted(path.stem for path in folder.glob("*.yaml")), what, where)
    return folder / f"{name}.yaml"


def _check_weights_are_read(configuration: Configuration, asked_by: str) -> None:
    """A file that no network starts from would be left out without a word."""
    for kind, file in configuration.weights.items():
        where = f"{asked_by}: weights.{kind}"
        check_name(kind, backbones.kinds(), "network", where)
        if file.suffix != ".safetensors":
            raise MedhashError(f"{where}: {file}: is no .safetensors file; save the weights as one")
        if not any(_starts_from(configuration, kind, paper) for paper in configuration.papers):
            raise MedhashError(
                f"{where}: no network of this run is pretrained from it; set start: classifier for "
                "a method that stands on it, or leave it out"
            )


def _starts_from(configuration: Configuration, kind: str, paper: str) -> bool:
    try:
        configuration.starting_network(paper, kind)
    except MedhashError:
        return False
    return True


def _check_lesions(
    config: ConfigFile, cards: dict[str, DatasetCard], folder: Path, origin: Origin
) -> None:
    """A file of boxes that no dataset reads would be left out without a word."""
    finder = f"{origin(('lesions', 'finder'))}: lesions.finder"
    check_name(config.lesions.finder, VARIANTS, "variant", finder)
    for path in sorted((folder / LESION_BOXES.name).glob("*.csv")):
        check_name(path.stem, cards, "dataset", str(path))


def _check_scales_are_not_mixed(configuration: Configuration, asked_by: str) -> None:
    """Phantoms and real images must not meet in one tree of results."""
    for _, dataset in configuration.views:
        if dataset.startswith(PHANTOM_PREFIX) != (configuration.phantoms is not None):
            remedy = (
                "it has no phantom; choose a scale without phantoms"
                if configuration.phantoms
                else "it is a phantom; name the dataset itself or choose a scale with phantoms"
            )
            raise MedhashError(
                f"{asked_by}: datasets: '{dataset}' cannot run at the scale "
                f"'{configuration.scale}': {remedy}"
            )


def _typed(value: Any) -> Any:
    """Values from a command line, where numbers inside lists arrive as text."""
    if isinstance(value, str):
        return parse_value(value)
    if isinstance(value, Mapping):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(inner) for inner in value]
    return value


def _with_cells(specs: Iterable[Spec]) -> dict[str, Spec]:
    return {spec.key: spec for spec in specs if spec.cells()}
