"""What a variant gains over its baseline, seed by seed: mean, interval and p-value.

Both are trained from the same start in the same order of batches, so that seeds are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import mean_and_half_width, p_of_mean
from medhash.records.record import Record


@dataclass(frozen=True)
class Gain:
    """Differences of mAP in percentage points over the seeds that both sides have.

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
        """Its ends in points."""
        if self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, otherwise 0: undecided."""
        least, greatest = self.interval or (0.0, 0.0)
        return int(least > 0) - int(greatest < 0)


def maps_by_place(records: Sequence[Record]) -> dict[Place, dict[int, float]]:
    """Place -> seed -> mAP as a fraction."""
    maps: dict[Place, dict[int, float]] = {}
    for each in records:
        maps.setdefault(Place.of(each.cell), {})[each.cell.seed] = each.metrics.map
    return maps


def gain(own: Mapping[int, float], baseline: Mapping[int, float]) -> Gain | None:
    """The gain of one place over another; None where no seed has both.

    Args:
        own: seed -> mAP as a fraction.
        baseline: the same of what it is compared with.
    """
    seeds = tuple(seed for seed in own if seed in baseline)
    if not seeds:
        return None
    points = 100 * np.array([own[seed] - baseline[seed] for seed in seeds])
    return Gain(*mean_and_half_width(points), p_of_mean(points), seeds)
