"""Every step of a configuration: what it reads, writes and depends on, described once.

Snakemake's rules, the commands, ``medhash restore`` and everything else that asks what a file is
made from read these descriptions. A step's *version* covers its code and settings; the contents
of its inputs are compared by :mod:`medhash.flow.receipts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medhash.configuration import dependencies, relevant_settings
from medhash.configuration.claimed import claim_inputs, claimed_by
from medhash.configuration.declarations import declaration_of
from medhash.configuration.known_cells import known_cell, known_size, known_view
from medhash.configuration.loading import Configuration
from medhash.configuration.report import FIDELITY, report_settings
from medhash.errors import MedhashError
from medhash.files import sha256_of_value
from medhash.flow.code_memory import remembered_fingerprint
from medhash.models import backbones
from medhash.papers.reported import find_reported
from medhash.papers.specs import ArtefactSpec
from medhash.schema.cell import SCRATCH, Cell

_DIGITS = 16

Files = dict[str, Path]


@dataclass(frozen=True, eq=False)
class Step:
    """One job of the flow.

    Attributes:
        rule: the rule of Snakemake that runs it; the command has the same name, but for phantoms.
        key: which of the rule's steps: ``ach/covid_ct/mae``, ``ach/covid_ct/hashnet/ach/8/0``.
        version: text that changes when code or settings do that decide its outputs.
        inputs: name -> file that it reads.
        outputs: name -> file that it writes.
        receipt: where its receipt lies; written after the outputs.
        settings: the settings that it depends on.
        modules: the modules that its code starts from.
    """

    rule: str
    key: str
    version: str
    inputs: Files
    outputs: Files
    receipt: Path
    settings: dict[str, Any]
    modules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule} {self.key}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Outputs and receipt."""
        return (*self.outputs.values(), self.receipt)

    @property
    def timed(self) -> tuple[Path, ...]:
        """The outputs that tell how long something took: never the same bytes twice."""
        if self.rule not in ("pretrain", "train", "fps", "lesions"):
            return ()
        names = ("facts", "speed", "lesions")
        return tuple(self.outputs[name] for name in names if name in self.outputs)


class Steps:
    """The steps of one configuration, each made once, when it is asked for.

    Args:
        configuration: what is run.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._layout = configuration.layout
        self._made: dict[tuple[str, str], Step] = {}
        self._makers: dict[Path, Step] = {}
        self._makers_of: dict[Step, list[Step]] = {}

    def prepare(self, dataset: str, size: int) -> Step:
        """Reads a dataset's archives or, for a phantom, generates it (rule ``phantom``)."""
        rule = "phantom" if self._configuration.card(dataset).synthetic else "prepare"
        return self._once(rule, f"{dataset}/{size}", self._prepare, dataset, size)

    def gist(self, dataset: str, size: int) -> Step:
        """Describes a prepared dataset's images by GIST, once for all fitted cells."""
        return self._once("gist", f"{dataset}/{size}", self._gist, dataset, size)

    def split(self, paper: str, dataset: str) -> Step:
        """Draws query, database and training images."""
        seed = self._configuration.split_seed(paper, dataset)
        return self._once("split", f"{paper}/{dataset}/{seed}", self._split, paper, dataset)

    def leakage(self, paper: str, dataset: str) -> Step:
        """Looks for images and patients on both sides of a split."""
        seed = self._configuration.split_seed(paper, dataset)
        return self._once("leakage", f"{paper}/{dataset}/{seed}", self._leakage, paper, dataset)

    def pretrain(self, paper: str, dataset: str, stage: str) -> Step:
        """A stage of pretraining, ``mae`` or ``classification``."""
        key = f"{paper}/{dataset}/{stage}"
        return self._once("pretrain", key, self._pretrain, paper, dataset, stage)

    def train(self, cell: Cell) -> Step:
        """The training of a cell: of other methods' files it knows nothing."""
        return self._once("train", str(cell), self._train, cell)

    def record(self, cell: Cell) -> Step:
        """The scoring of a cell."""
        return self._once("record", str(cell), self._record, cell)

    def explain(self, cell: Cell) -> Step:
        """Where a cell looks."""
        return self._once("explain", str(cell), self._explain, cell)

    def fps(self, cell: Cell) -> Step:
        """The measurement of a cell's speed."""
        return self._once("fps", str(cell), self._fps, cell)

    def lesions(self, cell: Cell) -> Step:
        """The searches with lesion patches; where nobody marked any, that is its result."""
        return self._once("lesions", str(cell), self._lesions, cell)

    def table(self, key: str) -> Step:
        """A table (``ach/table3``); it prints the reported numbers beside its own."""
        return self._once("table", key, self._table, key)

    def figure(self, key: str) -> Step:
        """A figure (``ach/fig7``)."""
        return self._once("figure", key, self._figure, key)

    def claims(self) -> Step:
        """The verdicts on the papers' claims, by the files of this run that there are."""
        return self._once("claims", "all", self._claims)

    def report(self) -> Step:
        """The page about everything else."""
        return self._once("report", "all", self._report)

    def find(self, rule: str, key: str) -> Step:
        """The step of a rule.

        Raises:
            MedhashError: there is none of that key.
        """
        step = self._made.get((rule, key)) or self._find(rule, key)
        if step is None or (step.rule, step.key) != (rule, key):
            raise MedhashError(f"scale {self._configuration.scale}: no step '{rule} {key}'")
        return step

    def making(self, path: Path) -> Step | None:
        """The step that writes a file (or is receipted there), or None."""
        if path not in self._makers:
            for rule, key in self._candidates(path):
                try:
                    self._find(rule, key)
                except MedhashError:
                    continue
        return self._makers.get(path)

    def makers(self, step: Step) -> list[Step]:
        """The steps that write what a step reads, in the order of its inputs."""
        if step not in self._makers_of:
            makers = dict.fromkeys(self.making(path) for path in step.inputs.values())
            self._makers_of[step] = [maker for maker in makers if maker is not None]
        return self._makers_of[step]

    def needed_for(self, *targets: str | Path) -> list[Step]:
        """All steps behind some files, tables or figures, those that come first in front.

        Args:
            targets: paths, or the keys of tables and figures; files that no step makes need none.
        """
        ordered: dict[Step, None] = {}
        for target in targets:
            step = self._of_target(target)
            if step is not None:
                self._add(step, ordered)
        return list(ordered)

    def all(self) -> list[Step]:
        """Every step of the run: those behind leakage tables, tables, figures, claims, report."""
        last = [*self._reported(), self.report()]
        return self.needed_for(*(step.receipt for step in last))

    def _prepare(self, dataset: str, size: int) -> _Parts:
        configuration, folder = self._configuration, self._layout.data(dataset, size)
        card = configuration.card(dataset)
        outputs = {name: folder / file for name, file in _DATA.items()}
        if not card.synthetic:
            settings = dependencies.preparation(card, size)
            return _Parts({}, outputs, settings, "medhash.data.preparation")
        settings = dependencies.phantom(card, size, configuration.required_phantoms())
        outputs |= {"masks": folder / "masks.npy", "confounders": folder / "confounders.csv"}
        return _Parts({}, outputs, settings, "medhash.data.phantoms")

    def _gist(self, dataset: str, size: int) -> _Parts:
        folder = self._layout.data(dataset, size)
        inputs, outputs = {"images": folder / _DATA["images"]}, {"gist": folder / GIST}
        return _Parts(inputs, outputs, {}, "medhash.data.gist")

    def _split(self, paper: str, dataset: str) -> _Parts:
        configuration, view = self._configuration, (paper, dataset)
        inputs = self._data(*view, "labels", "index", "description")
        inputs |= dict(zip(["listed"], configuration.listed_split(*view), strict=False))
        manifest = configuration.split_for(*view)
        outputs = {"manifest": manifest, "facts": manifest.with_suffix(".json")}
        card, seed = configuration.card_for(*view), configuration.split_seed(*view)
        return _Parts(inputs, outputs, dependencies.split(card, seed), "medhash.data.splits")

    def _leakage(self, paper: str, dataset: str) -> _Parts:
        inputs = self._data(paper, dataset, "index", "description")
        inputs |= self._manifest(paper, dataset)
        stem = self._configuration.leakage_for(paper, dataset)
        outputs = _with_suffixes(stem, "csv", "md", "json")
        return _Parts(inputs, outputs, {}, "medhash.data.leakage")

    def _pretrain(self, paper: str, dataset: str, stage: str) -> _Parts:
        inputs = self._data(paper, dataset, "images", "labels") | self._manifest(paper, dataset)
        if stage == "classification":
            inputs["previous"] = self._layout.pretrained(paper, dataset, "mae")
        weights = self._layout.pretrained(paper, dataset, stage)
        outputs = {"weights": weights, "losses": weights.with_suffix(".csv")}
        outputs["facts"] = weights.with_suffix(".json")
        settings = self._configuration.stage_settings(paper, stage)
        backbone = relevant_settings.backbone(settings)
        relevant = relevant_settings.pretraining(settings, stage)
        return _Parts(inputs, outputs, relevant, "medhash.training.pretraining", backbone)

    def _train(self, cell: Cell) -> _Parts:
        inputs = self._images_of(cell)
        pretrained = pretrained_weights(self._configuration, cell)
        inputs |= {"pretrained": pretrained} if pretrained else {}
        outputs = self._cell(cell, "checkpoint", "codes", "losses", "facts")
        settings = relevant_settings.training(self._configuration.settings_of(cell), cell)
        modules = "medhash.training.cells", *self._modules_of(cell)
        return _Parts(inputs, outputs, settings, *modules)

    def _record(self, cell: Cell) -> _Parts:
        configuration = self._configuration
        inputs = self._cell(cell, "codes", "facts")
        inputs |= self._data(cell.paper, cell.dataset, "description")
        settings = relevant_settings.recording(configuration.settings_of(cell))
        title = configuration.papers[cell.paper].method_title(cell.method)
        settings |= {"method_title": title}
        outputs = {"record": self._layout.record(cell)}
        return _Parts(inputs, outputs, settings, "medhash.records.scoring")

    def _explain(self, cell: Cell) -> _Parts:
        inputs = self._cell(cell, "checkpoint", "codes")
        inputs |= self._data_of(cell, "images", "labels")
        settings = {
            "lcr": self._configuration.settings_of(cell).lcr.model_dump(mode="json"),
            "images": self._configuration.explanation.model_dump(mode="json"),
        }
        outputs = {"explanation": self._layout.explanation(cell)}
        modules = "medhash.trained.explanation", *self._modules_of(cell)
        return _Parts(inputs, outputs, settings, *modules)

    def _fps(self, cell: Cell) -> _Parts:
        inputs = self._cell(cell, "checkpoint", "codes", "facts")
        inputs |= self._data_of(cell, "images", "labels", "index", "description")
        settings = relevant_settings.training(self._configuration.settings_of(cell), cell)
        outputs = {"speed": self._layout.speed(cell)}
        modules = "medhash.trained.speed", *self._modules_of(cell)
        return _Parts(inputs, outputs, settings, *modules)

    def _lesions(self, cell: Cell) -> _Parts:
        configuration, chosen = self._configuration, self._configuration.lesions
        inputs = self._cell(cell, "checkpoint", "codes")
        inputs |= self._data_of(cell, "images", "labels", "index", "description")
        given = self._lesion_marks(cell)
        inputs |= given
        settings = relevant_settings.training(configuration.settings_of(cell), cell)
        settings |= {
            "patches": chosen.model_dump(mode="json"),
            "given": list(given),
            "protocol": configuration.settings_of(cell).evaluation.protocol,
        }
        finder = configuration.finder_of(cell)
        if chosen.source != "given" and "boxes" not in given:
            own = self._cell(finder, "checkpoint", "codes")
            inputs |= {f"finder_{name}": path for name, path in own.items()}
            settings["lcr"] = configuration.settings_of(finder).lcr.model_dump(mode="json")
        layout = self._layout
        outputs = {"lesions": layout.lesions(cell), "patches": layout.lesion_patches(cell)}
        modules = "medhash.trained.lesions", "medhash.retrieval.precision"
        return _Parts(inputs, outputs, settings, *modules, *self._modules_of(cell))

    def _images_of(self, cell: Cell) -> Files:
        """What a cell is trained on: labels, split, images or GIST, masks if it needs them."""
        needs, folder = declaration_of(cell.method).needs, self._configuration.data_of(cell)
        inputs = self._data_of(cell, *([] if "gist" in needs else ["images"]), "labels")
        inputs |= {"gist": folder / GIST} if "gist" in needs else {}
        return inputs | ({"masks": folder / "masks.npy"} if "masks" in needs else {})

    def _modules_of(self, cell: Cell) -> tuple[str, ...]:
        return relevant_settings.modules_of(self._configuration.settings_of(cell), cell)

    def _lesion_marks(self, cell: Cell) -> Files:
        """Boxes that somebody has drawn, or else a phantom's masks; none if not asked for."""
        if self._configuration.lesions.source == "found":
            return {}
        boxes = self._configuration.lesion_boxes(cell.dataset)
        if boxes.is_file():
            return {"boxes": boxes}
        if self._configuration.card(cell.dataset).synthetic:
            return {"masks": self._configuration.data_of(cell) / "masks.npy"}
        return {}

    def _table(self, key: str) -> _Parts:
        spec = self._configuration.tables[key]
        outputs = _with_suffixes(self._layout.table(spec.paper, spec.name), "csv", "md", "tex")
        settings = self._artefact(spec)
        settings |= dependencies.reported(spec, find_reported(spec.paper))
        inputs = self._named(spec.inputs(self._configuration))
        return _Parts(inputs, outputs, settings, spec.module, "medhash.analysis.tables.make")

    def _figure(self, key: str) -> _Parts:
        spec = self._configuration.figures[key]
        outputs = _with_suffixes(self._layout.figure(spec.paper, spec.name), "pdf", "png", "csv")
        inputs = self._named(spec.inputs(self._configuration))
        modules = spec.module, "medhash.analysis.figures.make"
        return _Parts(inputs, outputs, self._artefact(spec), *modules)

    def _claims(self) -> _Parts:
        configuration, root = self._configuration, self._layout.root
        inputs = self._named(claim_inputs(configuration))
        settings = {each.printed.paper: each.dependencies for each in claimed_by(configuration)}
        outputs = _with_suffixes(root / "claims", "csv", "md")
        return _Parts(inputs, outputs, settings, "medhash.verdicts.texts")

    def _report(self) -> _Parts:
        """Of what tables and figures read, the page says the hashes."""
        steps = self._reported()
        shown = [p for step in steps for p in step.outputs.values() if p.suffix in _ON_THE_PAGE]
        behind = [p for step in steps for p in step.inputs.values() if p.suffix == ".json"]
        inputs = self._named(dict.fromkeys([*shown, *behind]))
        inputs |= {"fidelity": FIDELITY} if FIDELITY.is_file() else {}
        outputs = {"page": self._layout.root / "report.html"}
        settings = report_settings(self._configuration)
        return _Parts(inputs, outputs, settings, "medhash.report.page")

    def _reported(self) -> list[Step]:
        """What the report shows."""
        configuration = self._configuration
        steps = [self.leakage(*view) for view in configuration.views]
        steps += [self.table(key) for key in configuration.tables]
        steps += [self.figure(key) for key in configuration.figures]
        return steps + ([self.claims()] if claimed_by(configuration) else [])

    def _artefact(self, spec: ArtefactSpec) -> dict[str, Any]:
        paper = self._configuration.papers[spec.paper]
        protocol = self._configuration.settings[spec.paper].evaluation.protocol
        return dependencies.artefact(spec, paper, protocol)

    def _data(self, paper: str, dataset: str, *names: str) -> Files:
        folder = self._configuration.data_for(paper, dataset)
        return {name: folder / _DATA[name] for name in names}

    def _data_of(self, cell: Cell, *names: str) -> Files:
        """Files of a cell's dataset, and the cell's split."""
        view = cell.paper, cell.dataset
        return self._data(*view, *names) | self._manifest(*view)

    def _manifest(self, paper: str, dataset: str) -> Files:
        return {"split": self._configuration.split_for(paper, dataset)}

    def _cell(self, cell: Cell, *names: str) -> Files:
        files = _CELL | {"codes": self._layout.codes(cell).name}
        return {name: self._layout.cell(cell) / files[name] for name in names}

    def _named(self, paths: Iterable[Path]) -> Files:
        """Files of cells and datasets, named by where they lie."""
        return {path.relative_to(self._layout.root).as_posix(): path for path in paths}

    def _once(
        self, rule: str, key: str, describe: Callable[..., _Parts], *coordinates: Any
    ) -> Step:
        if (rule, key) not in self._made:
            parts = describe(*coordinates)
            step = Step(
                rule,
                key,
                _version(parts.settings, parts.modules),
                parts.inputs,
                parts.outputs,
                self._layout.receipt(rule, key),
                parts.settings,
                parts.modules,
            )
            self._made[rule, key] = step
            self._makers |= dict.fromkeys(step.files, step)
        return self._made[rule, key]

    def _find(self, rule: str, key: str) -> Step | None:
        """The step that a key names; a MedhashError for names that do not exist."""
        if rule in ("prepare", "phantom", "gist"):
            make = self.gist if rule == "gist" else self.prepare
            return make(*known_size(self._configuration, key))
        first, _, last = key.rpartition("/")
        if rule == "split":
            return self.split(*known_view(self._configuration, first))
        if rule == "leakage":
            return self.leakage(*known_view(self._configuration, first))
        if rule == "pretrain":
            view = known_view(self._configuration, first)
            return self.pretrain(*view, last) if last in stages() else None
        if rule == "table":
            return self.table(key) if key in self._configuration.tables else None
        if rule == "figure":
            return self.figure(key) if key in self._configuration.figures else None
        if rule in ("claims", "report"):
            return self.claims() if rule == "claims" else self.report()
        if rule not in CELL_RULES:
            return None
        step: Step = getattr(self, rule)(known_cell(self._configuration, key))
        return step

    def _candidates(self, path: Path) -> list[tuple[str, str]]:
        """Rules and keys of which one may make a file, by the folder that it lies in."""
        if not path.is_relative_to(self._layout.root):
            return []
        first, *rest = path.relative_to(self._layout.root).parts
        if not rest:
            return [(rule, "all") for rule in ("claims", "report") if path.stem == rule]
        if first == "receipts":
            return [(rest[0], "/".join(rest[1:]).removesuffix(".json"))]
        if first == "data":
            return [("gist" if path.name == GIST else "prepare", "/".join(rest[:-1]))]
        folder, *key = rest
        if folder == "cells":
            return [(rule, "/".join([first, *key[:-1]])) for rule in CELL_RULES]
        rules = {"splits": "split", "leakage": "leakage", "pretrain": "pretrain"}
        rules |= {"tables": "table", "figures": "figure"}
        name = "/".join([first, *key]).rpartition(".")[0]
        return [(rules[folder], name)] if folder in rules else []

    def _of_target(self, target: str | Path) -> Step | None:
        if isinstance(target, str) and target in self._configuration.tables:
            return self.table(target)
        if isinstance(target, str) and target in self._configuration.figures:
            return self.figure(target)
        return self.making(Path(target))

    def _add(self, step: Step, ordered: dict[Step, None]) -> None:
        """The step behind all that it needs."""
        if step in ordered:
            return
        for maker in self.makers(step):
            self._add(maker, ordered)
        ordered[step] = None


def pretrained_weights(configuration: Configuration, cell: Cell) -> Path | None:
    """What the training of a cell starts from.

    Returns:
        The weights of its dataset's backbone; the checkpoint of its source for a cell with an
        origin; None for one that starts from random weights.
    """
    layout = configuration.layout
    if cell.source is not None:
        return layout.cell(cell.source) / _CELL["checkpoint"]
    start = configuration.start_of(cell)
    if cell.origin == SCRATCH or start == "scratch":
        return None
    network = configuration.settings_of(cell).network
    stage = network.kind if start == "classifier" else "classification"
    return layout.pretrained(cell.paper, cell.dataset, stage)


def stages() -> list[str]:
    """The stages of pretraining: of the backbone of hashing, and a shared classifier a kind."""
    return ["mae", "classification", *backbones.kinds()]


CELL_RULES = ("train", "record", "explain", "fps", "lesions")
_ON_THE_PAGE = (".csv", ".md", ".png")
GIST = "gist.npy"
_DATA = {
    "images": "images.npy",
    "labels": "labels.npy",
    "index": "index.csv",
    "description": "dataset.json",
}
_CELL = {
    "checkpoint": "checkpoint.safetensors",
    "losses": "train.csv",
    "facts": "training.json",
}


class _Parts:
    """What is said of a step where it is described."""

    def __init__(
        self, inputs: Files, outputs: Files, settings: dict[str, Any], *modules: str
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.settings = settings
        self.modules = modules


def _with_suffixes(stem: Path, *suffixes: str) -> Files:
    return {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in suffixes}


def _version(settings: dict[str, Any], modules: tuple[str, ...]) -> str:
    code = remembered_fingerprint(*modules)["fingerprint"]
    return f"code {code[:_DIGITS]}, settings {sha256_of_value(settings)[:_DIGITS]}"
