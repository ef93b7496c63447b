"""The settings of a paper's cells, and of each of its methods, from the layers of several files.

In this order: the paper's, the method's own in the paper's file, the scale's, the scale's for this
paper, for this method of it and for this dataset of it, the run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medhash import methods
from medhash.configuration.layers import Layer, Layers
from medhash.configuration.scales import PaperAtScale, ScaleFile
from medhash.errors import MedhashError
from medhash.models import backbones
from medhash.papers.paper import Paper
from medhash.schema.settings import Settings
from medhash.schema.validation import check_name, validate

_DEFAULT_KIND = "vit"
_STAGES = {"mae", "classification"}


@dataclass(frozen=True)
class PaperSettings:
    """The settings of one paper in one run.

    Attributes:
        shared: of its images, its pretrained backbones, and the methods without own settings.
        own: method -> its settings, for those that have some of their own.
        datasets: dataset -> both of them there, for those that are trained on otherwise.
    """

    shared: Settings
    own: dict[str, Settings]
    datasets: dict[str, PaperSettings] = field(default_factory=dict)

    def on(self, dataset: str) -> PaperSettings:
        """Those on a dataset, by its name or by that of what a phantom stands for."""
        return self.datasets.get(dataset, self)

    def of(self, method: str) -> Settings:
        """A method's."""
        return self.own.get(method, self.shared)

    def every(self) -> list[Settings]:
        """All of them."""
        below = (each for settings in self.datasets.values() for each in settings.every())
        return [self.shared, *self.own.values(), *below]


def resolve_settings(
    paper: Paper, path: Path, scale: ScaleFile, scale_path: Path, run: Sequence[Layer]
) -> PaperSettings:
    """Lay the layers over each other.

    A layer's ``network`` speaks of one kind of backbone. The paper's file, and what a scale says of
    that paper, choose the kind; what a scale or the run say of all papers is left aside where
    another kind is chosen than theirs, which is ``vit`` if they name none. So is what these say of
    the stages of pretraining where the paper has none.

    Args:
        paper: the paper.
        path: its file.
        scale: the scale.
        scale_path: its file.
        run: from ``config/config.yaml`` and the command line.

    Raises:
        MedhashError: a refused key or value with its file; a method whose images are not those
            of the paper.
    """
    at_scale = scale.papers.get(paper.paper, PaperAtScale())

    where = f"{scale_path}: papers.{paper.paper}"

    def resolved(method: str, stored: dict[str, Any], on: dict[str, Any]) -> Settings:
        own = paper.methods[method].settings if method in paper.methods else {}
        choosing = [(stored, str(path)), (paper.settings, str(path)), (own, str(path))]
        of_paper = [at_scale.settings, at_scale.methods.get(method, {}), on]
        layers = [(layer, True) for layer in choosing]
        layers += [((scale.settings, str(scale_path)), False)]
        layers += [((tree, str(scale_path)), True) for tree in of_paper]
        layers += [(layer, False) for layer in run]
        return _validated(Layers(*_fitting(layers)))

    def resolved_on(on: dict[str, Any]) -> PaperSettings:
        shared = resolved("", {}, on)
        stored = {"stored_size": shared.stored}
        return PaperSettings(shared, {name: resolved(name, stored, on) for name in names})

    names = [name for name, each in paper.methods.items() if each.settings] + [*at_scale.methods]
    plain = resolved_on({})
    for name, settings in plain.own.items():
        check_name(name, methods.names(), "method", f"{where}.methods")
        if settings.stored != plain.shared.stored:
            raise MedhashError(
                f"{path}: methods.{name}.settings: its images are stored with {settings.stored} "
                f"pixels, those of the paper with {plain.shared.stored}; set stored_size for the "
                "paper"
            )
    for dataset in at_scale.datasets:
        check_name(dataset, paper.datasets, "dataset", f"{where}.datasets")
    datasets = {
        dataset: resolved_on(on.model_dump(exclude_unset=True))
        for dataset, on in at_scale.datasets.items()
    }
    return replace(plain, datasets=datasets)


def _fitting(layers: Sequence[tuple[Layer, bool]]) -> list[Layer]:
    """The layers without networks of another kind than the one that is chosen last.

    What is said of all papers about pretraining is left out, too, where none is chosen.
    """
    kinds, kind = [], _DEFAULT_KIND
    stages: set[str] = set()
    for (tree, _), chooses in layers:
        network = tree.get("network")
        named = network.get("kind") if isinstance(network, dict) else None
        if chooses:
            kind = named or kind
            stages |= tree.keys() & _STAGES
        kinds.append(kind if chooses else named or _DEFAULT_KIND)
    return [
        (_without(tree, (_STAGES - stages) | ({"network"} if own != kind else set())), source)
        for ((tree, source), _), own in zip(layers, kinds, strict=True)
    ]


def _without(tree: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}


def _validated(layers: Layers) -> Settings:
    settings = validate(Settings, layers.tree, layers.origin, "settings.")
    for method in settings.methods:
        where = f"{layers.origin(('methods', method))}: settings.methods"
        check_name(method, methods.names(), "method", where)
    where = f"{layers.origin(('network', 'kind'))}: settings.network.kind"
    check_name(settings.network.kind, backbones.kinds(), "backbone", where)
    return settings
