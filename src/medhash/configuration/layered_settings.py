"""The settings of a paper's cells, and of each of its methods, from the layers of several files.

In this order: the paper's, the method's own in the paper's file, the scale's, the scale's for this
paper and for this method of it, the run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PaperSettings:
    """The settings of one paper in one run.

    Attributes:
        shared: of its images, its pretrained backbones, and the methods without own settings.
        own: method -> its settings, for those that have some of their own.
    """

    shared: Settings
    own: dict[str, Settings]


def resolve_settings(
    paper: Paper, path: Path, scale: ScaleFile, scale_path: Path, run: Sequence[Layer]
) -> PaperSettings:
    """Lay the layers over each other.

    A layer's ``network`` speaks of one kind of backbone. The paper's file, and what a scale says of
    that paper, choose the kind; what a scale or the run say of all papers is left aside where
    another kind is chosen than theirs, which is ``vit`` if they name none.

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

    def resolved(method: str, stored: dict[str, Any]) -> Settings:
        own = paper.methods[method].settings if method in paper.methods else {}
        choosing = [(stored, str(path)), (paper.settings, str(path)), (own, str(path))]
        of_paper = [at_scale.settings, at_scale.methods.get(method, {})]
        layers = [(layer, True) for layer in choosing]
        layers += [((scale.settings, str(scale_path)), False)]
        layers += [((tree, str(scale_path)), True) for tree in of_paper]
        layers += [(layer, False) for layer in run]
        return _validated(Layers(*_of_one_kind(layers)))

    shared = resolved("", {})
    names = [name for name, each in paper.methods.items() if each.settings] + [*at_scale.methods]
    own = {name: resolved(name, {"stored_size": shared.stored}) for name in names}
    for name, settings in own.items():
        check_name(name, methods.names(), "method", f"{scale_path}: papers.{paper.paper}.methods")
        if settings.stored != shared.stored:
            raise MedhashError(
                f"{path}: methods.{name}.settings: its images are stored with {settings.stored} "
                f"pixels, those of the paper with {shared.stored}; set stored_size for the paper"
            )
    return PaperSettings(shared, own)


def _of_one_kind(layers: Sequence[tuple[Layer, bool]]) -> list[Layer]:
    """The layers without the networks of other kinds than the one that is chosen last."""
    kinds, chosen = [], _DEFAULT_KIND
    for (tree, _), chooses in layers:
        network = tree.get("network")
        named = network.get("kind") if isinstance(network, dict) else None
        if chooses:
            chosen = named or chosen
        kinds.append(chosen if chooses else named or _DEFAULT_KIND)
    return [
        (
            tree
            if kind == chosen
            else {key: value for key, value in tree.items() if key != "network"},
            source,
        )
        for ((tree, source), _), kind in zip(layers, kinds, strict=True)
    ]


def _validated(layers: Layers) -> Settings:
    settings = validate(Settings, layers.tree, layers.origin, "settings.")
    for method in settings.methods:
        where = f"{layers.origin(('methods', method))}: settings.methods"
        check_name(method, methods.names(), "method", where)
    where = f"{layers.origin(('network', 'kind'))}: settings.network.kind"
    check_name(settings.network.kind, backbones.kinds(), "backbone", where)
    return settings
