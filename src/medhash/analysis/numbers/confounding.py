"""mAP against the strength of a phantom's confounder: the numbers of the table and the figure.

The experiment is medhash's own, not the paper's: on phantoms the confounder is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import Field, model_validator

from medhash.analysis.numbers.context import Context, Place
from medhash.analysis.numbers.gains import gain, map_columns, maps_by_place
from medhash.analysis.numbers.statistics import holm
from medhash.data.confounded import ConfoundedName, check_confounders, parse_name
from medhash.papers.specs import ArtefactSpec, Name
from medhash.records.record import Record
from medhash.schema.base import Count, Fraction
from medhash.schema.datasets import PHANTOM_PREFIX
from medhash.schema.variants import BASELINE

if TYPE_CHECKING:
    import pandas as pd

    from medhash.configuration.restriction import Restriction

CSV_COLUMNS = (
    *("row", "phantom", "confounder", "strength", "method", "variant", "bits", "status"),
    *("map_percent", "interval_least_percent", "interval_greatest_percent", "n_seeds", "seeds"),
    *("difference_points", "difference_least_points", "difference_greatest_points"),
    *("difference_p_value", "difference_p_holm", "dataset", "scale", "protocol", "synthetic"),
    "note",
)


class Panel(NamedTuple):
    """A phantom with one of its confounders, at all strengths."""

    phantom: str
    confounder: str


class ConfoundedGrid(ArtefactSpec):
    """A table or figure of confounded phantoms.

    Attributes:
        bits: one code length.
        confounders: dataset -> the confounder of its phantom.
        strengths: how strongly the confounder goes with the class.
    """

    bits: tuple[Count, ...] = Field(min_length=1, max_length=1)
    confounders: dict[Name, Name]
    strengths: tuple[Fraction, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_confounders(self) -> Self:
        unknown = [name for name in self.datasets if name not in self.confounders]
        if unknown:
            raise ValueError(f"'confounders': none is named for {unknown[0]}")
        return self

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Its datasets are confounded phantoms, one a strength; never a real one."""
        kept = run.kept(self, "strengths")
        strengths = tuple(s for s in self.strengths if kept is None or s in kept)
        names = {
            run.stand_in(dataset): tuple(
                str(ConfoundedName(PHANTOM_PREFIX + dataset, self.confounders[dataset], strength))
                for strength in strengths
            )
            for dataset in self.datasets
        }
        runs = changes["available"] if run.phantoms else ()
        changed = super().restricted(run, changes) | {
            "datasets": tuple(name for own in names.values() for name in own),
            "available": tuple(name for each in runs for name in names.get(each, ())),
        }
        return changed | ({"strengths": strengths} if strengths else {"available": ()})

    def check(self, where: str) -> None:
        """The phantoms must have these confounders; a MedhashError lists those that there are."""
        check_confounders(self.confounders, f"{where}.confounders")


class ConfounderSpec(ConfoundedGrid):
    """A table or figure of the experiment."""

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """One row a panel x method x variant x strength, with the columns :data:`CSV_COLUMNS`.

        Means over seeds with 95 % intervals of Student's t; one seed has no interval. A difference
        is that of a variant to the baseline, seed by seed; its p-value is that of the same t, and
        Holm's correction takes all of them as one family.
        """
        import pandas as pd

        maps = maps_by_place(facts)
        rows = [
            self._point(name, method, variant, maps, context)
            for names in panels_of(self).values()
            for method, variant, name in product(self.methods, self.variants, names)
        ]
        tested = [row for row in rows if "difference_p_value" in row]
        for row, p_holm in zip(
            tested, holm([row["difference_p_value"] for row in tested]), strict=True
        ):
            row["difference_p_holm"] = float(p_holm)
        frame = pd.DataFrame(rows, columns=list(CSV_COLUMNS))
        return frame.astype({"n_seeds": "Int64"})

    def details(self, facts: Sequence[Any], context: Context) -> str:
        """Code length, scale, seeds, evaluated epoch and protocol."""
        return context.details_over_seeds(facts, f"{self.bits[0]} bits")

    def _point(
        self,
        name: ConfoundedName,
        method: str,
        variant: str,
        maps_of: Mapping[Place, Mapping[int, float]],
        context: Context,
    ) -> dict[str, Any]:
        place = Place(str(name), method, variant, self.bits[0])
        maps = maps_of.get(place, {})
        row = context.place_row(self, place, bool(maps)) | name.__dict__
        if not maps:
            return row
        row |= map_columns(maps)
        found = gain(maps, maps_of.get(place._replace(variant=BASELINE), {}))
        if found and variant != BASELINE:
            row |= found.columns("difference_points", "difference_{}_points")
            row |= {} if found.p_value is None else {"difference_p_value": found.p_value}
        return row


def panels_of(spec: ArtefactSpec) -> dict[Panel, list[ConfoundedName]]:
    """Panel -> its datasets, by increasing strength; nothing where no phantom runs."""
    names = [name for name in map(parse_name, spec.datasets) if name is not None]
    panels: dict[Panel, list[ConfoundedName]] = {}
    for name in sorted(names, key=lambda each: each.strength):
        panels.setdefault(Panel(name.phantom, name.confounder), []).append(name)
    order = {name.phantom: place for place, name in reversed(list(enumerate(names)))}
    return dict(sorted(panels.items(), key=lambda item: order[item[0].phantom]))


def panel_title(panel: Panel, context: Context) -> str:
    """``Phantom of COVID-CT-Dataset, confounder: window``."""
    confounder = panel.confounder.replace("_", " ")
    return f"{context.paper.dataset_title(panel.phantom)}, confounder: {confounder}"
