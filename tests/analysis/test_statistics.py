import itertools
import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from medhash.analysis.numbers.statistics import (
    WinTieLoss,
    bootstrap_interval,
    compare,
    count_outcomes,
    effect_size,
    holm,
    mean_and_deviation,
    wilcoxon_two_sided,
)
from medhash.errors import MedhashError


def ranks_of(values):
    """Rank of each value; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [
        sum(i + 1 for i, other in enumerate(ordered) if other == v) / ordered.count(v)
        for v in values
    ]


def rank_sums(differences):
    """Rank sums of the positive and of the negative differences; zeros are left out."""
    kept = [d for d in differences if d != 0]
    ranks = ranks_of([abs(d) for d in kept])
    positive = sum(r for r, d in zip(ranks, kept, strict=True) if d > 0)
    return positive, sum(ranks) - positive


def exact_p_value(differences):
    """Share of all assignments of signs that are at least as far from the middle."""
    kept = [abs(d) for d in differences if d != 0]
    middle = sum(ranks_of(kept)) / 2
    observed = abs(rank_sums(differences)[0] - middle)
    signs = itertools.product([-1, 1], repeat=len(kept))
    sums = [rank_sums([s * d for s, d in zip(sign, kept, strict=True)])[0] for sign in signs]
    return sum(abs(w - middle) >= observed - 1e-9 for w in sums) / len(sums)


def normal_p_value(differences):
    """The normal approximation with the variance corrected for tied ranks."""
    kept = [d for d in differences if d != 0]
    n, sizes = len(kept), [abs(d) for d in kept]
    tied = sum(sizes.count(v) ** 3 - sizes.count(v) for v in set(sizes))
    variance = n * (n + 1) * (2 * n + 1) / 24 - tied / 48
    z = (rank_sums(differences)[0] - n * (n + 1) / 4) / math.sqrt(variance)
    return math.erfc(abs(z) / math.sqrt(2))


# Multiples of 1/64, so that differences are exact and equal ones are equal.
def sixty_fourths(rng, size, shift=0):
    b = rng.integers(0, 48, size)
    return (b + rng.integers(-6, 7, size) + shift) / 64, b / 64


@pytest.mark.parametrize("seed", range(6))
def test_small_samples_are_exact(seed):
    a, b = sixty_fourths(np.random.default_rng(seed), 9, shift=seed)
    assert wilcoxon_two_sided(a, b) == pytest.approx(exact_p_value((a - b).tolist()), abs=1e-12)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_large_samples_are_normal_with_tie_correction(shift):
    a, b = sixty_fourths(np.random.default_rng(7), 400, shift)
    p_value = wilcoxon_two_sided(a, b)
    assert p_value == pytest.approx(normal_p_value((a - b).tolist()), rel=1e-9)
    assert p_value == pytest.approx(wilcoxon(a, b).pvalue, rel=1e-12)


def test_test_is_two_sided():
    a, b = sixty_fourths(np.random.default_rng(8), 60, shift=2)
    assert wilcoxon_two_sided(a, b) == wilcoxon_two_sided(b, a)
    assert effect_size(a, b) == -effect_size(b, a)


def test_tiny_p_values_do_not_vanish():
    # ACH Table IV prints p-values down to 2e-250 for 4200 queries.
    b = np.linspace(0, 0.5, 1500)
    assert 0 < wilcoxon_two_sided(b + np.linspace(0.1, 0.2, 1500), b) < 1e-200


def test_no_difference_is_a_tie():
    a = [0.5, 0.25, 1.0]
    assert wilcoxon_two_sided(a, a) == 1.0
    assert effect_size(a, a) == 0.0
    assert compare(a, a).outcome == "tie"


def test_rounding_noise_is_no_difference():
    a = np.random.default_rng(9).random(200)
    assert compare(a + 1e-15, a).p_value == 1.0
    b = a.copy()
    b[:3] -= 0.1
    assert wilcoxon_two_sided(a + 1e-15, b) == wilcoxon_two_sided(a, b) == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(5))
def test_effect_size_is_the_difference_of_the_shares_of_ranks(seed):
    a, b = sixty_fourths(np.random.default_rng(seed), 25, shift=seed - 2)
    positive, negative = rank_sums((a - b).tolist())
    expected = (positive - negative) / (positive + negative)
    assert effect_size(a, b) == pytest.approx(expected, abs=1e-12)


def test_effect_size_runs_from_minus_one_to_one():
    a = np.array([0.1, 0.2, 0.3])
    assert effect_size(a + 0.1, a) == 1.0
    assert effect_size(a - 0.1, a) == -1.0


def test_outcomes():
    b = np.linspace(0.2, 0.6, 40)
    better, noise = b + np.linspace(0.01, 0.1, 40), b + 0.01 * (-1.0) ** np.arange(40)
    assert compare(better, b).outcome == "win"
    assert compare(b, better).outcome == "loss"
    assert compare(noise, b).outcome == "tie"
    assert compare(better, b).mean_difference == pytest.approx(0.055)
    assert compare(better, b, alpha=1e-15).outcome == "tie"
    outcomes = [compare(*pair).outcome for pair in ((better, b), (b, better), (noise, b))]
    assert count_outcomes([*outcomes, "win"]) == WinTieLoss(wins=2, ties=1, losses=1)
    assert count_outcomes(["loss", "loss", "tie"]) == WinTieLoss(0, 1, 2)


def test_p_equal_to_alpha_counts():
    a, b = np.array([1, 2, 3, 4, 5, 6]) / 64, np.zeros(6)
    assert compare(a, b).p_value == 2 / 2**6
    assert compare(a, b, alpha=2 / 2**6).outcome == "win"


def test_direction_is_that_of_the_ranks():
    # Many queries gain a little, few lose a lot: the mean falls, the ranks rise.
    b = np.full(60, 0.5)
    a = b + 0.01 + np.arange(60) / 1e4
    a[:4] = 0.0
    comparison = compare(a, b)
    assert comparison.mean_difference < 0
    assert comparison.outcome == "win"


def holm_by_definition(p_values):
    """Reject one by one from the smallest p; a corrected p is the least level that rejects it."""
    corrected = []
    for p in p_values:
        smaller = sorted(q for q in p_values if q <= p)
        steps = [(len(p_values) - k) * q for k, q in enumerate(smaller)]
        # Equal p-values are rejected together: the largest multiplier of them decides.
        corrected.append(min(1.0, max(steps)))
    return corrected


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_its_definition(seed):
    p_values = np.random.default_rng(seed).beta(0.3, 3, 12).round(2)
    assert holm(p_values) == pytest.approx(holm_by_definition(p_values.tolist()), abs=1e-15)


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


@pytest.mark.parametrize("p_values", [[0.5, math.nan], [-0.1], [1.1], [[0.1]]])
def test_holm_refuses_what_is_no_p_value(p_values):
    with pytest.raises(MedhashError, match="between 0 and 1"):
        holm(p_values)


def test_mean_and_deviation_over_seeds():
    mean, deviation = mean_and_deviation([0.70, 0.74, 0.75])
    assert mean == pytest.approx(0.73)
    assert deviation == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.02**2) / 2))
    assert mean_and_deviation([0.7]) == (0.7, None)
    with pytest.raises(MedhashError, match="at least one value"):
        mean_and_deviation([])


def test_the_interval_over_queries_is_of_means_drawn_again():
    values = np.random.default_rng(3).random(9)
    random = np.random.default_rng(0)
    draws = random.integers(9, size=(2000, 9))
    means = sorted(sum(values[place] for place in draw) / 9 for draw in draws)
    ends = (means[int(0.025 * 1999)], means[int(0.975 * 1999) + 1])
    assert bootstrap_interval(values) == pytest.approx(ends, abs=2e-3)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval([0.7]) == (0.7, 0.7)
    with pytest.raises(MedhashError, match="at least one value"):
        bootstrap_interval([])


@pytest.mark.parametrize("function", [wilcoxon_two_sided, effect_size, compare])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.1, 0.2], [0.1], "need the same queries"),
        ([[0.1]], [[0.1]], "need the same queries"),
        ([], [], "there is no query"),
        ([0.1, math.nan], [0.1, 0.2], "NaN"),
    ],
)
def test_unpaired_samples_are_refused(function, a, b, message):
    with pytest.raises(MedhashError, match=message):
        function(a, b)
