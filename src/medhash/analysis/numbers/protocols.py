"""The same gains by two protocols each: the numbers of the table and the figure.

What a field evaluates by is a choice: which epoch, which order of ties, how many seeds, which
test. Each comparison here changes one of them and leaves the cells as they are; only the epoch
that is best on the query set needs cells of its own, an ablation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product, starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from medhash.analysis.numbers.context import Context, Place
from medhash.analysis.numbers.gains import Gain, gain, maps_by_place, seed_columns
from medhash.analysis.numbers.paired_tests import compared_places
from medhash.papers.specs import ArtefactSpec
from medhash.records.record import Record
from medhash.schema.variants import ABLATION_SEPARATOR, BASELINE

if TYPE_CHECKING:
    import pandas as pd

    from medhash.configuration.restriction import Restriction

COMPARISONS = {
    "epoch": ("last epoch", "best epoch on the query set"),
    "ties": ("ties by expectation", "ties in database order"),
    "seeds": ("one seed", "all seeds"),
    "test": ("test over queries", "test over seeds"),
}
"""What is compared -> the honest or usual protocol, and the other one, as printed."""

CSV_COLUMNS = (
    *("comparison", "first", "second", "row", "column", "dataset", "method", "variant", "bits"),
    *("status", "gain_first_points", "gain_second_points", "gain_moves_points"),
    *("value_moves_points", "verdict_first", "verdict_second", "changed", "n_seeds", "seeds"),
    *("scale", "protocol", "synthetic", "note"),
)

_Values = Mapping[int, float]
"""Seed -> mAP as a fraction."""


class ProtocolsSpec(ArtefactSpec):
    """A table or figure of protocols side by side, of every variant against the baseline.

    Attributes:
        best: the ablation that evaluates the epoch that is best on the query set; empty where it
            does not run.
    """

    best: str = ""

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The variants, and each as the ablation has it."""
        own = (f"{each}{ABLATION_SEPARATOR}{self.best}" for each in self.variants if self.best)
        return (*self.variants, *own)

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """Without the ablation where the scale leaves it out; nothing runs without a baseline."""
        thinned = run.ablations is not None and self.best not in run.ablations
        compared = BASELINE in changes.get("variants", self.variants)
        return ({"best": ""} if thinned else {}) | ({} if compared else {"available": ()})

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """One row a comparison and gain, with the columns :data:`CSV_COLUMNS`."""
        import pandas as pd

        variants = [variant for variant in self.variants if variant != BASELINE]
        places = [*starmap(Place, product(self.datasets, self.methods, variants, self.bits))]
        maps = maps_by_place(facts), maps_by_place(facts, stable=True)
        rows = [
            self._row(name, place, context, self._turn(name, place, maps, facts, context))
            for name, place in product(COMPARISONS, places)
        ]
        return pd.DataFrame(rows, columns=list(CSV_COLUMNS)).astype({"n_seeds": "Int64"})

    def _row(
        self, name: str, place: Place, context: Context, turn: dict[str, Any] | str
    ) -> dict[str, Any]:
        first, second = COMPARISONS[name]
        row = context.place_row(self, place, not isinstance(turn, str))
        row |= {"comparison": name, "first": first, "second": second}
        return row | ({"note": turn} if isinstance(turn, str) else turn)

    def _turn(
        self,
        name: str,
        place: Place,
        maps: Sequence[Mapping[Place, _Values]],
        facts: Sequence[Record],
        context: Context,
    ) -> dict[str, Any] | str:
        """The columns of a gain by both protocols, or why there is none."""
        pair = (place, place._replace(variant=BASELINE))
        usual, stable = ([own.get(each, {}) for each in pair] for own in maps)
        both = gain(*usual)
        if both is None:
            return context.why_not_run(self, place.dataset)
        if name == "epoch":
            ends = (each.variant + ABLATION_SEPARATOR + self.best for each in pair)
            best = [maps[0].get(place._replace(variant=each), {}) for each in ends]
            return _turned(usual, best) or "no cells of the epoch that is best on the query set"
        if name == "ties":
            if context.protocol != "tie-aware":
                return "the run breaks ties in database order"
            return _turned(usual, stable)
        if both.half_width is None:
            return "one seed"
        if name == "seeds":
            first = both.seeds[0]
            return _turned([{first: each[first]} for each in usual], usual)
        test = compared_places([pair], facts)[pair].comparison
        words = {"win": "higher", "loss": "lower", "tie": "undecided"}
        return _turned(usual, usual, words[test.outcome])


def _turned(first: Sequence[_Values], second: Sequence[_Values], said: str = "") -> dict[str, Any]:
    """The columns of a gain by two protocols; none where no seed has both rows.

    Args:
        first: the row and its baseline.
        second: the same by the other protocol.
        said: what the first protocol says of the gain, where it does not go by seeds.
    """
    own, other = gain(*first), gain(*second)
    if own is None or other is None:
        return {}
    rows = ([np.mean(list(each.values())) for each in pair] for pair in (first, second))
    moves = [100 * float(abs(b - a)) for a, b in zip(*rows, strict=True)]
    verdicts = said or _verdict(own), _verdict(other)
    return {
        "gain_first_points": own.mean,
        "gain_second_points": other.mean,
        "gain_moves_points": abs(other.mean - own.mean),
        "value_moves_points": max(moves),
        "verdict_first": verdicts[0],
        "verdict_second": verdicts[1],
        "changed": str(verdicts[0] != verdicts[1]).lower(),
        **seed_columns(other.seeds),
    }


def _verdict(own: Gain) -> str:
    """By the interval over the seeds; one seed has the sign alone, as papers have it."""
    if own.half_width is not None:
        return own.verdict
    return "equal" if own.mean == 0 else "higher" if own.mean > 0 else "lower"
