"""What one place has over another, seed by seed: mean, interval and p-value.

A variant and its baseline are trained from the same start in the same order of batches, so that
seeds are paired. The columns of a CSV that tell of several seeds are made here, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import mean_and_half_width, p_of_mean
from medhash.records.record import Record

Verdict = Literal["higher", "lower", "undecided"]


@dataclass(frozen=True)
class Gain:
    """Differences over the seeds that both sides have, for mAP in percentage points.

    Attributes:
        mean: their mean.
        half_width: half of the 95 % interval (Student's t); None for one seed.
        p_value: of the two-sided one-sample t-test against 0; None for one seed.
        seeds: which.
    """

    mean: float
    half_width: float | None
    p_value: float | None
    seeds: tuple[int, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its ends."""
        if self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, otherwise 0: undecided."""
        least, greatest = self.interval or (0.0, 0.0)
        return int(least > 0) - int(greatest < 0)

    @property
    def verdict(self) -> Verdict:
        """The same in a word."""
        return "higher" if self.sign > 0 else "lower" if self.sign < 0 else "undecided"

    def columns(self, mean_key: str, bound_key: str) -> dict[str, float]:
        """Mean and interval, as :func:`interval_columns` names them."""
        return interval_columns(mean_key, bound_key, self.mean, self.half_width)


def maps_by_place(
    records: Sequence[Record], *, stable: bool = False
) -> dict[Place, dict[int, float]]:
    """Place -> seed -> mAP as a fraction; ``stable``: with ties in database order."""
    maps: dict[Place, dict[int, float]] = {}
    for each in records:
        scores = each.stable if stable else each.metrics
        maps.setdefault(Place.of(each.cell), {})[each.cell.seed] = scores.map
    return maps


def gain(
    own: Mapping[int, float], baseline: Mapping[int, float], *, factor: float = 100
) -> Gain | None:
    """The gain of one place over another; None where no seed has both.

    Args:
        own: seed -> mAP as a fraction, or another number.
        baseline: the same of what it is compared with.
        factor: by which differences are multiplied.
    """
    seeds = tuple(sorted(own.keys() & baseline.keys()))
    if not seeds:
        return None
    differences = [factor * (own[seed] - baseline[seed]) for seed in seeds]
    return Gain(*mean_and_half_width(differences), p_of_mean(differences), seeds)


def interval_columns(
    mean_key: str, bound_key: str, mean: float, half_width: float | None
) -> dict[str, float]:
    """A mean over seeds and the ends of its interval; one seed has no interval.

    Args:
        mean_key: the mean's column.
        bound_key: those of the ends, with ``{}`` for ``least`` and ``greatest``.
        mean: see :func:`~medhash.analysis.numbers.statistics.mean_and_half_width`.
        half_width: the same.
    """
    if half_width is None:
        return {mean_key: mean}
    ends = {"least": mean - half_width, "greatest": mean + half_width}
    return {mean_key: mean} | {bound_key.format(name): end for name, end in ends.items()}


def map_columns(maps: Mapping[int, float]) -> dict[str, Any]:
    """The mAP of a place, seed -> fraction, in percent, with its interval and the seeds."""
    told = mean_and_half_width([100 * value for value in maps.values()])
    return seed_columns(maps) | interval_columns("map_percent", "interval_{}_percent", *told)


def seed_columns(seeds: Collection[int]) -> dict[str, Any]:
    """How many seeds there are, and which."""
    return {"n_seeds": len(seeds), "seeds": " ".join(map(str, seeds))}
