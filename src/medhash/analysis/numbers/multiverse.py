"""Gains under readings of a paper, one at a time: the numbers of the table and the figure.

A reading is an ablation. It is tried on the methods and variants that it touches alone, and each
gain is over the baseline *under the same reading*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import Field, model_validator

from medhash.analysis.numbers.context import Context, GridColumn, Place
from medhash.analysis.numbers.gains import Gain, gain, maps_by_place, seed_columns
from medhash.analysis.numbers.statistics import holm
from medhash.papers.ablations import Ablation, AblationName
from medhash.papers.specs import ArtefactSpec, FileName, without_repeats
from medhash.records.record import Record
from medhash.schema.base import Count
from medhash.schema.cell import Cell
from medhash.schema.variants import ABLATION_SEPARATOR, BASELINE, split_variant

if TYPE_CHECKING:
    import pandas as pd

    from medhash.configuration.restriction import Restriction

VERDICTS = ("sign and size", "sign only", "cannot")
"""What can be said of a printed gain where the seeds decide the sign."""

CSV_COLUMNS = (
    *("row", "reading", "ablation", "dataset", "method", "variant", "bits", "status"),
    *("gain_points", "interval_least_points", "interval_greatest_points", "p_value", "p_holm"),
    *("n_seeds", "seeds", "baseline_variant", "printed_points", "verdict"),
    *("scale", "protocol", "synthetic", "note"),
)


class Compared(NamedTuple):
    """A gain in the grid: where, under which reading, and over what."""

    reading: str
    place: Place
    baseline: Place


class MultiverseSpec(ArtefactSpec):
    """A table or figure of gains under readings.

    Attributes:
        bits: one code length.
        readings: what is printed -> the ablation with its settings; after merging, empty where
            these are the run's own.
        changes: what is printed -> the ablation itself; filled in from the paper.
        own: what is printed of the run's own settings.
        printed_in: the table whose counterpart in the paper has the printed gains.
    """

    bits: tuple[Count, ...] = Field(min_length=1, max_length=1)
    readings: dict[str, AblationName] = Field(min_length=1)
    changes: dict[str, Ablation] = Field(default_factory=dict)
    own: str = "default"
    printed_in: FileName | None = None

    @model_validator(mode="after")
    def _has_a_baseline_and_readings_of_its_own(self) -> Self:
        if BASELINE not in self.variants:
            raise ValueError(f"'variants': a gain needs the baseline, '{BASELINE}'")
        if self.own in self.readings:
            raise ValueError(
                f"'readings': '{self.own}' is the run's own settings, and always there"
            )
        without_repeats(tuple(self.readings.values()))
        return self

    @property
    def printed_as(self) -> str:
        """The table with the printed gains."""
        return self.printed_in or self.name

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The variants, and under each reading those that the paper's other files may name."""
        last = self.variants[-1]
        own = (f"{last}{ABLATION_SEPARATOR}{name}" for name in self.readings.values() if name)
        return (*self.variants, *own)

    @property
    def all_readings(self) -> tuple[str, ...]:
        """What is printed of each, the run's own first."""
        return (self.own, *self.readings)

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """The readings that the scale keeps for this table; they learn what they change.

        Without the baseline there are no gains, so that it stays whatever variants are chosen.
        """
        paper = next(each for each in run.papers if each.paper == self.paper)
        kept = run.kept(self, "ablations")
        readings = {
            title: name for title, name in self.readings.items() if kept is None or name in kept
        }
        own = {title: paper.ablations[name] for title, name in readings.items()}
        variants = tuple(dict.fromkeys((BASELINE, *changes.get("variants", self.variants))))
        changed = {"readings": readings, "changes": own, "variants": variants}
        return super().restricted(run, changes) | changed

    def merged(self, merge: Callable[[str], str]) -> Self:
        """Readings that come to the run's own settings, or to another's, are not trained twice."""
        last = self.variants[-1]
        readings = {
            title: split_variant(merge(f"{last}{ABLATION_SEPARATOR}{name}"))[1]
            for title, name in self.readings.items()
        }
        return self.model_copy(update={"readings": readings})

    def touches(self, reading: str, method: str, variant: str) -> bool:
        """Whether a reading changes a setting that decides a method's codes with a variant."""
        change = self.changes.get(reading)
        return change is None or change.touches(method, variant)

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """Every cell that a gain needs, once, reading by reading."""
        places = dict.fromkeys(p for each in self.compared for p in (each.baseline, each.place))
        return [
            self.cell(place.dataset, place.method, place.variant, place.bits, seed)
            for place in places
            if place.dataset in self.available_datasets
            for seed in (self.seeds if seeds is None else seeds)
        ]

    @property
    def compared(self) -> list[Compared]:
        """Every gain: of a reading, only where it touches the variant."""
        return [
            Compared(
                reading,
                Place(dataset, method, self._under(reading, method, variant), self.bits[0]),
                Place(dataset, method, self._under(reading, method, BASELINE), self.bits[0]),
            )
            for dataset, reading in product(self.datasets, self.all_readings)
            for method, variant in product(self.methods, self.variants)
            if variant != BASELINE and self.touches(reading, method, variant)
        ]

    def _under(self, reading: str, method: str, variant: str) -> str:
        """The variant under a reading: itself where the reading does not touch it."""
        name = self.readings.get(reading)
        if not name or not self.touches(reading, method, variant):
            return variant
        return f"{variant}{ABLATION_SEPARATOR}{name}"

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """One row a gain, with the columns :data:`CSV_COLUMNS`.

        Means over seeds with 95 % intervals of Student's t. Holm's correction takes all tests of
        the table as one family; one that stands under two readings counts once.
        """
        import pandas as pd

        maps = maps_by_place(facts)
        pairs = dict.fromkeys((each.place, each.baseline) for each in self.compared)
        found = {pair: gain(*(maps.get(place, {}) for place in pair)) for pair in pairs}
        tested = {
            pair: own.p_value for pair, own in found.items() if own and own.p_value is not None
        }
        corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
        rows = [
            self._row(each, found[pair], corrected.get(pair), context)
            for each in self.compared
            for pair in [(each.place, each.baseline)]
        ]
        return pd.DataFrame(rows, columns=list(CSV_COLUMNS)).astype({"n_seeds": "Int64"})

    def _row(
        self,
        compared: Compared,
        own: Gain | None,
        p_holm: float | None,
        context: Context,
    ) -> dict[str, object]:
        reading, place, baseline = compared
        base, ablation = split_variant(place.variant)
        printed = self._printed(place, context)
        row = context.place_row(self, place, own is not None) | {
            "row": f"{context.paper.method_title(place.method, base)}, {reading}",
            "reading": reading,
            "ablation": ablation,
            "variant": base,
            "baseline_variant": baseline.variant,
            "printed_points": None if printed is None else float(printed),
        }
        if own is None:
            return row
        row |= own.columns("gain_points", "interval_{}_points")
        row |= {"p_value": own.p_value, "p_holm": p_holm, **seed_columns(own.seeds)}
        return row | {"verdict": "" if printed is None else verdict(own, float(printed))}

    def _printed(self, place: Place, context: Context) -> Decimal | None:
        """The printed gain in points; None beside a phantom."""
        column = GridColumn(place.dataset, place.bits)
        numbers = [
            context.reported_number(self, context.paper.method_title(place.method, variant), column)
            for variant in (split_variant(place.variant)[0], BASELINE)
        ]
        own, baseline = numbers
        return None if own is None or baseline is None else own - baseline


def verdict(own: Gain, printed: float) -> str:
    """What the seeds say of a printed gain, of :data:`VERDICTS` where they decide its sign.

    The interval decides: on the printed side of 0 it reaches the printed gain (sign and size) or
    ends before it (sign only); on the other side the reading cannot give it.
    """
    if not own.sign or own.interval is None:
        return f"undecided by {len(own.seeds)} seed{'s' * (len(own.seeds) != 1)}"
    if own.sign * printed <= 0:
        return "cannot"
    furthest = max(abs(end) for end in own.interval)
    return "sign and size" if furthest >= abs(printed) else "sign only"
