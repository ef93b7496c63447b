"""From a paper's grid to the grid of one run: phantoms, thinning, the user's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from medhash.configuration.scales import ArtefactGrid, ConfigFile, GridSettings, ScaleFile
from medhash.papers.paper import Paper
from medhash.papers.specs import ArtefactSpec
from medhash.schema.datasets import PHANTOM_PREFIX, DatasetCard, without_split
from medhash.schema.validation import check_name

Spec = TypeVar("Spec", bound=ArtefactSpec)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Restriction:
    """What the scale and the user make of every paper's grid.

    A scale *thins* lists (what it does not list is left out), the user's lists of methods,
    variants, bits and seeds *replace* a paper's. Datasets are never left out, only marked as not
    run, by the user's list or else by the scale's; a dataset of the user's that no paper of the
    run knows becomes one more column of each.
    """

    config: ConfigFile
    scale: ScaleFile
    cards: dict[str, DatasetCard]
    papers: Sequence[Paper]

    def datasets(self, paper: Paper) -> tuple[str, ...]:
        """The datasets of a paper, and the user's own, that this run works on."""
        known = [self.stand_in(name) for name in paper.datasets]
        return tuple(name for name in [*known, *self._own] if self.runs(name))

    def paper(self, paper: Paper) -> Paper:
        """The paper with its tables and figures as this run makes them."""
        own = {name: self.cards[name].title for name in self._own}
        tables = {name: self._spec(table) for name, table in paper.tables.items()}
        figures = {name: self._spec(figure) for name, figure in paper.figures.items()}
        update = {"datasets": paper.datasets | own, "tables": tables, "figures": figures}
        return paper.model_copy(update=update)

    @property
    def phantoms(self) -> bool:
        """Whether phantoms stand in for datasets."""
        return self.scale.phantoms is not None

    @property
    def variants(self) -> Sequence[str] | None:
        """The variants that run, None for all."""
        return self.config.variants or self.scale.grid.variants

    @property
    def ablations(self) -> Sequence[str] | None:
        """The ablations that run, None for all."""
        return self.scale.grid.ablations

    def kept(self, spec: ArtefactSpec, axis: str) -> Sequence[Any] | None:
        """The values that the scale keeps on an axis of a table or figure, None for all."""
        kept: Sequence[Any] | None = getattr(self._own_grid(spec), axis)
        return kept

    def stand_in(self, dataset: str) -> str:
        """The dataset, or the phantom in its place."""
        phantom = PHANTOM_PREFIX + dataset
        return phantom if self.phantoms and without_split(phantom) in self.cards else dataset

    def runs(self, dataset: str, own: GridSettings | None = None) -> bool:
        """Whether a dataset is part of the run, or of a table's or figure's own part of it."""
        kept = self.scale.grid.datasets if own is None or own.datasets is None else own.datasets
        names, dataset = self.config.datasets or kept, without_split(dataset)
        return names is None or dataset in names or dataset in map(self.stand_in, names)

    def _spec(self, spec: Spec) -> Spec:
        own = self._own_grid(spec)
        datasets = (*map(self.stand_in, spec.datasets), *self._own)
        chosen: dict[str, tuple[Any, ...]] = {
            axis: _chosen(
                getattr(spec, axis),
                getattr(self.config, axis),
                getattr(self.scale.grid if getattr(own, axis) is None else own, axis),
            )
            for axis in ("methods", "variants", "bits")
        }
        nothing_left = any(getattr(spec, axis) and not chosen[axis] for axis in chosen)
        update: dict[str, Any] = {axis: values for axis, values in chosen.items() if values}
        update |= {
            "datasets": datasets,
            "available": tuple(d for d in datasets if self.runs(d, own)),
            "seeds": self.config.seeds or own.seeds or self.scale.seeds,
        }
        if own.lengths:
            update["lengths"] = self._lengths(spec, own.lengths)
        update |= spec.restricted(self, update)
        return spec.model_copy(update=update | ({"available": ()} if nothing_left else {}))

    def _lengths(self, spec: ArtefactSpec, own: Mapping[str, int]) -> dict[str, int]:
        """A paper's lengths of descriptors with the scale's in their place."""
        printed: dict[str, int] = getattr(spec, "lengths", {})
        for method in own:
            check_name(method, printed, "method", f"artefacts.{spec.key}.lengths of the scale")
        return {**printed, **own}

    def _own_grid(self, spec: ArtefactSpec) -> ArtefactGrid:
        return self.scale.artefacts.get(spec.key, ArtefactGrid())

    @cached_property
    def _own(self) -> list[str]:
        """The user's datasets that no paper knows."""
        of_papers = {name for paper in self.papers for name in paper.datasets}
        known = of_papers | set(map(self.stand_in, of_papers))
        return [name for name in self.config.datasets or () if name not in known]


def _chosen(
    printed: Sequence[Value], replacement: Sequence[Value] | None, kept: Sequence[Value] | None
) -> tuple[Value, ...]:
    """The values of one axis; an axis that the paper leaves empty stays empty."""
    if replacement is not None and printed:
        return tuple(replacement)
    return tuple(value for value in printed if kept is None or value in kept)
