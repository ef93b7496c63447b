"""The same gains by two protocols each: the numbers of the table and the figure.

What a field evaluates by is a choice: which epoch, which order of ties, how many seeds, which
test. Each comparison here changes one of them and leaves the cells as they are; only the epoch
that is best on the query set needs cells of its own, an ablation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product, starmap
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medhash.analysis.numbers.context import NOT_RUN, Context, GridColumn, Place
from medhash.analysis.numbers.paired_tests import compared_places
from medhash.analysis.numbers.statistics import mean_and_half_width
from medhash.papers.specs import ArtefactSpec
from medhash.records.record import Record
from medhash.schema.variants import ABLATION_SEPARATOR, BASELINE

if TYPE_CHECKING:
    from medhash.configuration.restriction import Restriction

Verdict = Literal["higher", "lower", "equal", "undecided"]

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


@dataclass(frozen=True)
class Turn:
    """A gain by two protocols.

    Attributes:
        gains: the mean gain by each, in points.
        value_moves: by how much the mAP of the row or of its baseline moves at most, in points.
        verdicts: what each says of the gain.
        seeds: those that both rows have.
    """

    gains: tuple[float, float]
    value_moves: float
    verdicts: tuple[Verdict, Verdict]
    seeds: tuple[int, ...]


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

    def rows(self, facts: Sequence[Record], context: Context) -> list[dict[str, Any]]:
        """One a comparison and gain, with the columns :data:`CSV_COLUMNS`."""
        return [
            self._row(name, place, facts, context) for name in COMPARISONS for place in self._places
        ]

    @property
    def _places(self) -> list[Place]:
        variants = [variant for variant in self.variants if variant != BASELINE]
        return list(starmap(Place, product(self.datasets, self.methods, variants, self.bits)))

    def _row(
        self, name: str, place: Place, records: Sequence[Record], context: Context
    ) -> dict[str, Any]:
        turn, reason = self._turn(name, place, records, context)
        first, second = COMPARISONS[name]
        column = GridColumn(place.dataset, place.bits)
        row = dict.fromkeys(CSV_COLUMNS, "") | {
            "comparison": name,
            "first": first,
            "second": second,
            "row": context.paper.method_title(place.method, place.variant),
            "column": context.column_label(column),
            **{axis: getattr(place, axis) for axis in ("dataset", "method", "variant", "bits")},
            **context.run_columns(place.dataset),
            "status": NOT_RUN,
            "note": reason,
        }
        if turn is None:
            return row
        return row | {
            "status": "ran",
            "gain_first_points": turn.gains[0],
            "gain_second_points": turn.gains[1],
            "gain_moves_points": abs(turn.gains[1] - turn.gains[0]),
            "value_moves_points": turn.value_moves,
            "verdict_first": turn.verdicts[0],
            "verdict_second": turn.verdicts[1],
            "changed": str(turn.verdicts[0] != turn.verdicts[1]).lower(),
            "n_seeds": len(turn.seeds),
            "seeds": " ".join(map(str, turn.seeds)),
        }

    def _turn(
        self, name: str, place: Place, records: Sequence[Record], context: Context
    ) -> tuple[Turn | None, str]:
        """A gain by both protocols, or why there is none."""
        pair = (place, place._replace(variant=BASELINE))
        usual = [_maps(records, each) for each in pair]
        if not set(usual[0]) & set(usual[1]):
            return None, context.why_not_run(self, place.dataset)
        if name == "epoch":
            ends = [each.variant + ABLATION_SEPARATOR + self.best for each in pair]
            best = [p._replace(variant=v) for p, v in zip(pair, ends, strict=True)]
            other = [_maps(records, each) for each in best]
            if not self.best or not set(other[0]) & set(other[1]):
                return None, "no cells of the epoch that is best on the query set"
            return _turned(usual, other), ""
        if name == "ties":
            if context.protocol != "tie-aware":
                return None, "the run breaks ties in database order"
            return _turned(usual, [_maps(records, each, stable=True) for each in pair]), ""
        seeds = sorted(set(usual[0]) & set(usual[1]))
        if len(seeds) < 2:
            return None, "one seed"
        if name == "seeds":
            return _turned([{seeds[0]: each[seeds[0]]} for each in usual], usual), ""
        test = compared_places([pair], records)[pair].comparison
        words: dict[str, Verdict] = {"win": "higher", "loss": "lower", "tie": "undecided"}
        own = _turned(usual, usual)
        return Turn(own.gains, 0.0, (words[test.outcome], own.verdicts[1]), own.seeds), ""


def _maps(records: Sequence[Record], place: Place, *, stable: bool = False) -> dict[int, float]:
    """What each seed of a place has, mAP in percent."""
    own = [record for record in records if Place.of(record.cell) == place]
    return {r.cell.seed: 100 * (r.stable.map if stable else r.metrics.map) for r in own}


def _turned(first: Sequence[_Values], second: Sequence[_Values]) -> Turn:
    """The gain of the first of two rows over the second, by two protocols."""
    gains = [_gains(*first), _gains(*second)]
    pairs = zip(first, second, strict=True)
    moves = [abs(np.mean(list(b.values())) - np.mean(list(a.values()))) for a, b in pairs]
    one, two = (float(np.mean(list(each.values()))) for each in gains)
    verdicts = (_verdict(list(gains[0].values())), _verdict(list(gains[1].values())))
    return Turn((one, two), float(max(moves)), verdicts, tuple(gains[1]))


def _gains(own: _Values, baseline: _Values) -> dict[int, float]:
    return {seed: own[seed] - baseline[seed] for seed in sorted(own) if seed in baseline}


def _verdict(gains: Sequence[float]) -> Verdict:
    """By the 95 % interval over the seeds; one seed has the sign alone, as papers have it."""
    mean, half = mean_and_half_width(gains)
    if half is not None and abs(mean) <= half:
        return "undecided"
    return "equal" if mean == 0 else "higher" if mean > 0 else "lower"
