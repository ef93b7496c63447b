"""What the seeds decide of a claim, and how often chance alone decides one."""

from decimal import Decimal

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from medhash.analysis.numbers.context import Context
from medhash.papers.claim_rules import Claim
from medhash.papers.paper import Paper
from medhash.verdicts.estimates import AmountRange, Estimate, Extreme, Interval, mean_of, spread_of
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.numbers import SignedRanks
from medhash.verdicts.rules import decide

METHODS = tuple("uvwxyz")
DATASETS = ("a", "b")
VARIANTS = ("none", "ach", "ach~window-4", "ach~window-8")
GRID = {"title": "mAP", "datasets": DATASETS, "methods": METHODS, "bits": [8]}
PAPER = Paper.model_validate(
    {
        "paper": "ach",
        "title": "A paper",
        "datasets": {name: name.upper() for name in DATASETS},
        "methods": {name: {"title": name.upper()} for name in METHODS},
        "variants": {"none": "", "ach": "+ACH"},
        "ablations": {f"window-{size}": {"lcr": {"window": [size, size]}} for size in (4, 8)},
        "tables": {"table3": {"kind": "map", **GRID, "variants": ["none", "ach"]}},
        "figures": {
            "fig10": {
                "kind": "sensitivity",
                **GRID,
                "variants": ["none", "ach"],
                "panels": [
                    {
                        "title": "window",
                        "points": {"4": "ach~window-4", "8": "ach~window-8", "12": "ach"},
                    }
                ],
            }
        },
    }
)
CONTEXT = Context(PAPER, "paper", "tie-aware")
PLACES = [(method, dataset) for method in METHODS for dataset in DATASETS]


class Seeds:
    """Numbers of each seed by place and variant, in points; a test over queries sees any gain."""

    def __init__(self, values):
        self.values = values

    def value(self, need):
        own = self.values.get((need.place.method, need.place.dataset, need.place.variant))
        if own is None:
            return None
        by_seed = tuple(map(float, own))
        return Estimate(Decimal(f"{np.mean(by_seed):.2f}"), by_seed)

    def tested(self, row, baseline):
        difference = self.value(row) - self.value(baseline)
        sure = (1e-9,) * len(difference.by_seed)
        return SignedRanks(1e-9, difference.amount > 0, difference, sure)


def find(values, **claim):
    defaults = {"place": "Section I", "says": "a claim"}
    defaults |= {"tolerance": "0"} if claim["rule"] not in ("significant", "spread") else {}
    defaults |= {} if "figure" in claim else {"table": "table3"}
    parsed = TypeAdapter(Claim).validate_python(defaults | claim)
    return decide(ClaimGrid(parsed, CONTEXT, Seeds(values)))


def gains(*by_seed, baseline=(50.0, 51.0, 49.5)):
    """The ACH rows of the first places so much above their baselines, seed by seed."""
    values = {}
    for place, own in zip(PLACES, by_seed, strict=False):
        values[*place, "none"] = baseline[: len(own)]
        values[*place, "ach"] = [b + g for b, g in zip(baseline, own, strict=False)]
    return values


BETTER = {"rule": "better", "pairs": [["ach", "none"]], "methods": ["u"]}
SURE, UNSURE, LOST = (2.0, 2.2, 1.9), (-1.0, 2.0, 1.0), (-3.0, -3.1, -2.9)


@pytest.mark.parametrize(
    ("points", "holds", "expected"),
    [
        ((SURE, SURE), "all", True),
        ((SURE, UNSURE), "all", None),
        ((SURE, LOST), "all", False),
        ((UNSURE, LOST), "all", False),
        ((SURE, UNSURE), 1, True),
        ((UNSURE, LOST), 1, None),
        ((LOST, LOST), 1, False),
        ((SURE, LOST), "not all", True),
        ((SURE, UNSURE), "not all", None),
        ((SURE, SURE), "not all", False),
    ],
)
def test_a_claim_follows_from_the_cases_that_seeds_decide(points, holds, expected):
    found = find(gains(*points), **BETTER, holds=holds)
    assert found.complete
    assert found.holds is expected


def test_a_case_that_is_open_says_so_with_its_interval():
    found = find(gains(SURE, UNSURE), **BETTER)
    assert [case.outcome for case in found.cases] == ["W", "W"]
    assert [case.settled for case in found.cases] == [True, False]
    assert found.summary.endswith("; the seeds leave 1 of these open")
    low, high = stats.t.interval(0.95, 2, 0.66, stats.sem(UNSURE))  # by the printed digits
    said = f"50.83 against 50.17 ({low:.4f} to {high:.4f}, 95 % interval)"
    assert found.cases[1].text.endswith(said)


def test_one_seed_decides_nothing():
    found = find(gains((2.0,), (3.0,)), **BETTER)
    assert found.complete
    assert found.holds is None
    assert found.summary == (
        "higher in 2, equal in 0, lower in 0 of 2; differences 2 to 3 points; "
        "one seed has no interval"
    )


def test_differences_are_taken_seed_by_seed():
    """Seeds that move both rows alike hide nothing; taken apart, they would."""
    wide = (20.0, 60.0, 90.0)
    assert find(gains(SURE, SURE, baseline=wide), **BETTER).holds
    rows = gains(SURE, SURE, baseline=wide).items()
    apart = {key: own[::-1] if key[2] == "none" else own for key, own in rows}
    assert find(apart, **BETTER).holds is None


def test_what_has_not_run_is_not_corrected_for():
    """Of twelve cases two ran; one of them refutes the claim, at the level of two tests."""
    found = find(gains(SURE, LOST), rule="better", pairs=[["ach", "none"]])
    assert not found.complete
    assert found.holds is False
    assert found.outlook == "it can no longer hold"
    assert "97.5 % interval" in found.cases[1].text
    assert "95 % interval" in found.cases[0].text


@pytest.mark.parametrize(
    ("relation", "value", "expected"),
    [
        (">", "1", True),
        (">", "2", None),
        (">", "3", False),
        ("<=", "3", True),
        ("<", "2", None),
        ("<=", "1", False),
        ("=", "2.03", None),
        ("=", "3", False),
    ],
)
def test_a_bound_holds_for_the_whole_interval(relation, value, expected):
    claim = {"rule": "bound", "gains": [["ach", "none"]], "relation": relation, "value": value}
    found = find(gains(SURE), **claim, methods=["u"], datasets=["a"])
    assert found.holds is expected


@pytest.mark.parametrize(
    ("printed", "tolerance", "expected"),
    [("2", "1", True), ("2", "0.1", None), ("5", "1", False), ("0", "0.5", False)],
)
def test_a_printed_number_is_met_by_the_whole_interval(printed, tolerance, expected):
    claim = {"rule": "number", "gains": [["ach", "none"]], "printed": printed}
    found = find(gains(SURE), **claim, tolerance=tolerance, methods=["u"], datasets=["a"])
    assert found.holds is expected


def test_significance_needs_the_seeds_too():
    """Tests over queries are sure of every gain here; of a sign that seeds turn nothing is said."""
    claim = {"rule": "significant", "pairs": [["ach", "none"]], "level": "0.05", "methods": ["u"]}
    assert find(gains(SURE, SURE), **claim).holds
    assert find(gains(SURE, UNSURE), **claim).holds is None
    assert find(gains(SURE, LOST), **claim).holds is False
    assert find(gains(SURE, LOST), **claim, direction="any").holds


def settings(*by_seed):
    names = ("ach~window-4", "ach~window-8", "ach")
    return {("u", "a", name): own for name, own in zip(names, by_seed, strict=True)}


@pytest.mark.parametrize(("at_most", "expected"), [("3", True), ("1.03", None), ("0.2", False)])
def test_a_spread_is_that_of_the_means(at_most, expected):
    values = settings((50.0, 51.0, 52.0), (51.0, 52.02, 53.0), (50.5, 51.52, 52.49))
    claim = {"rule": "spread", "figure": "fig10", "at_most": at_most}
    found = find(values, **claim, methods=["u"], datasets=["a"])
    assert found.cases[0].amount == Decimal("1.01")
    assert found.holds is expected


def test_an_interval_is_students_t():
    own = (1.0, 2.5, 2.0, 4.0)
    least, greatest = Estimate(Decimal("2.38"), own).interval(4)
    low, high = stats.t.interval(1 - 0.05 / 4, 3, 2.38, stats.sem(own))
    assert float(least) == pytest.approx(low, abs=1e-6)
    assert float(greatest) == pytest.approx(high, abs=1e-6)
    assert Estimate(Decimal(149)).interval(48) == Interval(Decimal(149), Decimal(149))
    assert Estimate(Decimal(2), (2.0,)).interval() is None


def test_the_mean_of_places_is_taken_seed_by_seed():
    both = mean_of([Estimate(Decimal(1), (0.0, 2.0)), Estimate(Decimal(3), (5.0, 1.0))])
    assert both == Estimate(Decimal(2), (2.5, 1.5))


def test_the_ends_of_a_region():
    open_region, closed = (
        AmountRange(least=Decimal(0)),
        AmountRange(Decimal(-1), Decimal(1), closed=True),
    )
    zero = Interval(Decimal(0), Decimal(0))
    assert open_region.fails(zero)
    assert not open_region.holds(zero)
    assert closed.holds(Interval(Decimal(-1), Decimal(1)))
    assert closed.fails(Interval(Decimal("1.01"), Decimal(2)))
    wide = Interval(Decimal(-2), Decimal(2))
    assert not closed.holds(wide)
    assert not closed.fails(wide)
    assert not closed.holds(None)
    assert not closed.fails(None)


SEEDS = 3
RUNS = 400


def simulated(generator, gain, spread=1.0):
    """Twelve places with true gains; seeds share half of what moves them, as rows share batches."""
    shared = generator.normal(0, spread, SEEDS)
    values = {}
    for place, own in zip(PLACES, np.broadcast_to(gain, len(PLACES)), strict=True):
        values[*place, "none"] = 50 + generator.normal(0, spread, SEEDS)
        values[*place, "ach"] = 50 + own + generator.normal(0, spread, SEEDS) + shared
    return values


def decisions(gain, seed, runs=RUNS, **claim):
    generator = np.random.default_rng(seed)
    return [find(simulated(generator, gain), **claim).holds for _ in range(runs)]


def at_most(rate):
    """The share of :data:`RUNS` that one in a hundred simulations of such a rate exceeds."""
    return stats.binom.ppf(0.99, RUNS, rate) / RUNS


PAIR = {"rule": "better", "pairs": [["ach", "none"]]}


@pytest.mark.parametrize(
    "claim",
    [
        PAIR,
        PAIR | {"holds": "most"},
        PAIR | {"holds": 11},
        PAIR | {"per": "method"},
        {"rule": "significant", "pairs": [["ach", "none"]], "level": "0.05", "holds": "most"},
    ],
    ids=["all", "most", "eleven", "by method", "significant"],
)
def test_without_an_effect_chance_decides_a_sign_in_no_more_than_5_of_100_runs(claim):
    found = decisions(0.0, seed=1, **claim)
    assert np.mean([each is not None for each in found]) <= at_most(0.05)


@pytest.mark.parametrize(("holds", "true"), [("all", 11), ("most", 6), (5, 4)])
def test_a_claim_that_just_fails_is_found_to_hold_in_no_more_than_25_of_1000_runs(holds, true):
    """The worst case: one place less than needed has a gain that no seed can hide."""
    gain = np.where(np.arange(len(PLACES)) < true, 100.0, 0.0)
    found = decisions(gain, seed=2, **PAIR, holds=holds)
    assert np.mean([each is True for each in found]) <= at_most(0.025)


def test_taken_as_they_are_twelve_intervals_would_decide_far_more_often():
    """What the correction is for: the same runs, each place by its own interval of 95 %."""
    generator, wrong = np.random.default_rng(1), 0
    for _ in range(300):
        values = simulated(generator, 0.0)
        differences = [values[*p, "ach"] - values[*p, "none"] for p in PLACES]
        wrong += any(stats.ttest_1samp(own, 0).pvalue < 0.05 for own in differences)
    assert wrong / 300 > 0.2


def test_an_effect_is_found():
    assert np.mean([each is True for each in decisions(10.0, seed=3, runs=50, **PAIR)]) > 0.9
    lost = decisions(-30.0, seed=3, runs=50, **PAIR, holds="most")
    assert np.mean([each is False for each in lost]) > 0.9


def test_the_greatest_of_several_is_not_what_chance_makes_great():
    """The interval of a greatest gain covers the true one, though the greatest mean lies above."""
    generator = np.random.default_rng(4)
    covered, means = 0, []
    for _ in range(400):
        rows = [
            Estimate(Decimal(f"{r.mean():.4f}"), tuple(r)) for r in generator.normal(0, 1, (8, 4))
        ]
        found = Extreme(tuple(rows), max, len(rows))
        least, greatest = found.interval()
        covered += least <= 0 <= greatest
        means.append(float(found.amount))
    assert np.mean(means) > 0.5
    assert covered / 400 >= 0.95


def test_a_spread_covers_the_true_one():
    generator = np.random.default_rng(5)
    true, covered = np.array([0.0, 1.0, 2.0]), 0
    for _ in range(400):
        rows = true[:, None] + generator.normal(0, 1, (3, 4))
        found = spread_of([Estimate(Decimal(f"{r.mean():.4f}"), tuple(r)) for r in rows])
        least, greatest = found.interval()
        covered += least <= 2 <= greatest
    assert covered / 400 >= 0.95
