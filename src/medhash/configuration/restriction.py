"""From a paper's grid to the grid of one run: phantoms, thinning, the user's choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from medhash.configuration.scales import ArtefactGrid, ConfigFile, GridSettings, ScaleFile
from medhash.data.cards import DatasetCard
from medhash.papers.paper import (
    PHANTOM_PREFIX,
    ArtefactSpec,
    FigureSpec,
    Paper,
    SensitivityPanel,
    TableSpec,
)
from medhash.schema.variants import split_variant

Spec = TypeVar("Spec", bound=ArtefactSpec)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Restriction:
    """What the scale and the user make of every paper's grid.

    A scale *thins* lists (what it does not list is left out), the user's lists of methods,
    variants, bits and seeds *replace* a paper's. Datasets are never left out, only marked as not
    run, by the user's list or else by the scale's; a dataset of the user's that the paper does
    not know becomes one more column.
    """

    config: ConfigFile
    scale: ScaleFile
    cards: dict[str, DatasetCard]

    def datasets(self, paper: Paper) -> tuple[str, ...]:
        """The datasets of a paper, and the user's own, that this run works on."""
        known = [self._stand_in(name) for name in paper.datasets]
        return tuple(name for name in [*known, *self._own(paper)] if self._is_run(name))

    def paper(self, paper: Paper) -> Paper:
        """The paper with its tables and figures as this run makes them."""
        own = {name: self.cards[name].title for name in self._own(paper)}
        tables = {name: self._spec(table, paper) for name, table in paper.tables.items()}
        figures = {name: self._spec(figure, paper) for name, figure in paper.figures.items()}
        update = {"datasets": paper.datasets | own, "tables": tables, "figures": figures}
        return paper.model_copy(update=update)

    def _spec(self, spec: Spec, paper: Paper) -> Spec:
        own = self.scale.artefacts.get(spec.key, ArtefactGrid())
        datasets = (*map(self._stand_in, spec.datasets), *self._own(paper))
        available = tuple(d for d in datasets if self._is_run(d, own))
        chosen: dict[str, tuple[Any, ...]] = {
            axis: self._chosen(
                _kept(getattr(spec, axis), getattr(own, axis)),
                getattr(self.config, axis),
                getattr(self.scale.grid, axis),
            )
            for axis in ("methods", "variants", "bits")
        }
        chosen["strengths"] = _kept(spec.strengths, own.strengths)
        if spec.confounders:
            spec = spec.model_copy(update={"strengths": chosen["strengths"]})
            datasets, available = self._confounded(spec, available)
        nothing_left = any(getattr(spec, axis) and not chosen[axis] for axis in chosen)
        runs = self._can_compare(spec) and not nothing_left
        update: dict[str, Any] = {axis: values for axis, values in chosen.items() if values}
        update |= {
            "datasets": datasets,
            "available": available if runs else (),
            "seeds": self.config.seeds or own.seeds or self.scale.seeds,
        }
        if isinstance(spec, FigureSpec):
            update["panels"] = self._panels(spec, update.get("variants", ()))
        if isinstance(spec, TableSpec) and spec.origins:
            update |= self._transfer(spec)
        if isinstance(spec, TableSpec) and spec.pairs:
            update |= self._pairs(spec, update["available"])
        return spec.model_copy(update=update)

    def _transfer(self, table: TableSpec) -> dict[str, Any]:
        """Where a run transfers from and to; the user's own datasets have no place in it."""
        origins = tuple(map(self._stand_in, table.origins))
        return {
            "datasets": tuple(map(self._stand_in, table.datasets)),
            "origins": origins,
            "available_origins": tuple(origin for origin in origins if self._is_run(origin)),
        }

    def _pairs(self, table: TableSpec, available: tuple[str, ...]) -> dict[str, Any]:
        """The pairs of which both variants are chosen; without any, nothing runs."""
        chosen = self.config.variants or self.scale.grid.variants
        pairs = tuple(p for p in table.pairs if chosen is None or set(p) <= set(chosen))
        return {"pairs": pairs or table.pairs, "available": available if pairs else ()}

    def _panels(self, figure: FigureSpec, variants: Sequence[str]) -> tuple[SensitivityPanel, ...]:
        """The panels with the points of these variants, without the ablations that are thinned."""
        kept = self.scale.grid.ablations
        panels = []
        for panel in figure.panels:
            points = {}
            for label, variant in panel.points.items():
                base, ablation = split_variant(variant)
                if base in variants and (not ablation or kept is None or ablation in kept):
                    points[label] = variant
            panels.append(panel.model_copy(update={"points": points}))
        return tuple(panels)

    def _confounded(
        self, spec: ArtefactSpec, available: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All datasets of a confounder experiment, and those that run: never a real one."""
        names = {self._stand_in(dataset): spec.confounded(dataset) for dataset in spec.datasets}
        runs = [dataset for dataset in available if dataset in names and self.scale.phantoms]
        every = tuple(name for confounded in names.values() for name in confounded)
        return every, tuple(name for dataset in runs for name in names[dataset])

    def _chosen(
        self,
        printed: Sequence[Value],
        replacement: Sequence[Value] | None,
        kept: Sequence[Value] | None,
    ) -> tuple[Value, ...]:
        """The values of one axis; an axis that the paper leaves empty stays empty."""
        if replacement is not None and printed:
            return tuple(replacement)
        return _kept(printed, kept)

    def _can_compare(self, spec: ArtefactSpec) -> bool:
        """Whether the variants that are compared are among those that the run trains."""
        chosen = self.config.variants or self.scale.grid.variants
        return spec.compare is None or chosen is None or set(spec.compare) <= set(chosen)

    def _stand_in(self, dataset: str) -> str:
        phantom = PHANTOM_PREFIX + dataset
        return phantom if self.scale.phantoms and phantom in self.cards else dataset

    def _own(self, paper: Paper) -> list[str]:
        """The user's datasets that the paper does not know."""
        known = {*paper.datasets, *map(self._stand_in, paper.datasets)}
        return [name for name in self.config.datasets or () if name not in known]

    def _is_run(self, dataset: str, own: GridSettings | None = None) -> bool:
        kept = self.scale.grid.datasets if own is None or own.datasets is None else own.datasets
        names = self.config.datasets or kept
        return names is None or dataset in names or dataset in map(self._stand_in, names)


def _kept(printed: Sequence[Value], kept: Sequence[Value] | None) -> tuple[Value, ...]:
    """The values that a thinned list keeps."""
    return tuple(value for value in printed if kept is None or value in kept)
