"""Paired tests, corrections and effect sizes for per-query average precision.

Wherever two samples ``a`` and ``b`` are asked for, ``a[i]`` and ``b[i]`` belong to the same query;
``a`` is the candidate (say HashNet+ACH) and ``b`` the baseline (HashNet).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medhash.errors import MedhashError

TestOutcome = Literal["win", "tie", "loss"]

SIGNIFICANCE_LEVEL = 0.05
"""The level of ACH section V-B: a difference counts at p <= 0.05."""

# Two ways to the same average precision may differ in the last bits of a float. Such a
# difference must not become a rank, so differences are rounded to this many decimals.
_DECIMALS = 12


class WinTieLoss(NamedTuple):
    """How many comparisons were won, tied and lost (the last row of ACH Table IV)."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class SignedRankTest:
    """One candidate against one baseline on the same queries."""

    p_value: float
    effect_size: float
    mean_difference: float
    outcome: TestOutcome


def compare(a: ArrayLike, b: ArrayLike, alpha: float = SIGNIFICANCE_LEVEL) -> SignedRankTest:
    """Test a candidate against a baseline and say whether it wins, ties or loses.

    A win is ``p <= alpha`` with a positive effect size, a loss the same with a negative one,
    anything else a tie. The direction comes from the signed ranks that the p-value is about,
    not from the means: the two can disagree when few queries move far and many move a little.

    Args:
        a: average precision of each query under the candidate, shape (queries,).
        b: the same queries under the baseline, shape (queries,).
        alpha: level of significance.

    Raises:
        MedhashError: the samples are not paired, are empty or hold a NaN.
    """
    p_value, effect = wilcoxon_two_sided(a, b), effect_size(a, b)
    significant = p_value <= alpha and effect != 0
    outcome: TestOutcome = "tie" if not significant else "win" if effect > 0 else "loss"
    return SignedRankTest(p_value, effect, float(np.mean(_differences(a, b))), outcome)


def wilcoxon_two_sided(a: ArrayLike, b: ArrayLike) -> float:
    """P-value of the two-sided Wilcoxon signed-rank test (ACH section V-B, Table IV).

    Queries on which both are equal are left out, as Wilcoxon (1945) does (SciPy's
    ``zero_method="wilcox"``); if all are equal nothing speaks against equality and p is 1. SciPy
    takes the exact distribution for small samples and the normal approximation, corrected for
    tied ranks, for large ones.

    Args:
        a: average precision of each query under the candidate, shape (queries,).
        b: the same queries under the baseline, shape (queries,).

    Raises:
        MedhashError: the samples are not paired, are empty or hold a NaN.
    """
    from scipy.stats import wilcoxon

    differences = _differences(a, b)
    if not differences.any():
        return 1.0
    result = wilcoxon(differences[differences != 0], zero_method="wilcox", alternative="two-sided")
    return float(result.pvalue)


def effect_size(a: ArrayLike, b: ArrayLike) -> float:
    """Matched-pairs rank-biserial correlation, in [-1, 1] (Kerby 2014).

    The share of the rank sum that favours ``a`` minus the share that favours ``b``; queries on
    which both are equal are left out as in the test. 1 means ``a`` is better on every query that
    differs, 0 that neither side prevails (also when no query differs).

    Raises:
        MedhashError: the samples are not paired, are empty or hold a NaN.
    """
    from scipy.stats import rankdata

    differences = _differences(a, b)
    differences = differences[differences != 0]
    if not differences.size:
        return 0.0
    ranks = rankdata(np.abs(differences))
    return float(np.sum(np.sign(differences) * ranks) / np.sum(ranks))


def count_outcomes(outcomes: Iterable[TestOutcome]) -> WinTieLoss:
    """Count the outcomes of comparisons that were already made."""
    listed = list(outcomes)
    return WinTieLoss(listed.count("win"), listed.count("tie"), listed.count("loss"))


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction (Holm 1979) of one family of p-values.

    The k-th smallest of m p-values is multiplied by m - k + 1; a corrected value is never below
    one that belongs to a smaller p-value, and never above 1. Comparing with alpha then bounds the
    chance of any false rejection in the family.

    Args:
        p_values: shape (m,), in any order.

    Returns:
        The corrected p-values in the order given, shape (m,).

    Raises:
        MedhashError: a value is not a number between 0 and 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise MedhashError(f"p-values must be a list of numbers between 0 and 1, not {p_values!r}")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def mean_and_deviation(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1 in the denominator) over seeds.

    One value has no standard deviation: ``None``.

    Raises:
        MedhashError: no value was given.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size:
        raise MedhashError("a mean over seeds needs at least one value")
    deviation = float(numbers.std(ddof=1)) if numbers.size > 1 else None
    return float(numbers.mean()), deviation


def mean_and_half_width(
    values: Sequence[float] | NDArray[np.float64], confidence: float = 0.95
) -> tuple[float, float | None]:
    """Mean over seeds and half the width of its two-sided interval (Student's t).

    One value has no interval: ``None``.

    Raises:
        MedhashError: no value was given.
    """
    mean, deviation = mean_and_deviation(values)
    if deviation is None:
        return mean, None
    # What scipy.stats.t.ppf calls, without the tenth of a millisecond that it takes to get there.
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return mean, quantile * deviation / float(np.sqrt(len(values)))


def p_of_mean(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Two-sided p-value of Student's t that differences, one a seed, have the mean 0.

    It is up to 0.05 where the interval of :func:`mean_and_half_width` does not contain 0. Equal
    differences have 1 if they are 0, and 0 otherwise; one value has no p-value: ``None``.

    Raises:
        MedhashError: no value was given.
    """
    mean, deviation = mean_and_deviation(values)
    if deviation is None:
        return None
    if deviation == 0:
        return float(mean == 0)
    from scipy.special import stdtr

    statistic = abs(mean) / deviation * np.sqrt(len(values))
    return float(2 * stdtr(len(values) - 1, -statistic))


def is_p_value(column: str) -> bool:
    """Whether a column holds p-values, which may be tiny: one of the words of its name is ``p``."""
    return "p" in column.split("_")


def bootstrap_interval(values: ArrayLike) -> tuple[float, float]:
    """95 % percentile interval of the mean over samples drawn with replacement (Efron 1979).

    The draws have a seed of their own: the same values have the same interval.

    Args:
        values: one of each query, shape (queries,).

    Raises:
        MedhashError: no value was given.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size:
        raise MedhashError("an interval over queries needs at least one value")
    if numbers.size == 1:  # which SciPy refuses
        return float(numbers[0]), float(numbers[0])
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (numbers,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    )
    least, greatest = drawn.confidence_interval
    return float(least), float(greatest)


def _differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise MedhashError(
            f"paired samples need the same queries: shapes {first.shape} and {second.shape} differ "
            "or are not flat; compare records of the same split"
        )
    if not first.size:
        raise MedhashError("paired samples are empty: there is no query to compare")
    differences = np.round(first - second, _DECIMALS)
    if not np.isfinite(differences).all():
        raise MedhashError("paired samples hold NaN or infinite values")
    return differences
