"""Each rule of a claim where it holds, fails, is a tie, stands on an edge, or lacks numbers."""

from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from medhash.analysis.numbers.context import Context
from medhash.analysis.numbers.summaries import Place
from medhash.errors import MedhashError
from medhash.papers.claim_rules import RULE_NAMES, Claim
from medhash.papers.paper import Paper
from medhash.verdicts.cases import shown
from medhash.verdicts.estimates import Estimate
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.numbers import Need, SignedRanks
from medhash.verdicts.rules import RULES, decide

GRID = {"title": "mAP", "datasets": ["a", "b"], "methods": ["x", "y"], "bits": [8]}
PAPER = Paper.model_validate(
    {
        "paper": "ach",
        "title": "A paper",
        "datasets": {"a": "A", "b": "B", "t": "Target"},
        "methods": {"x": {"title": "X"}, "y": {"title": "Y"}},
        "variants": {"none": "", "dbw": "+DBW", "lcr": "+LCR", "ach": "+ACH"},
        "ablations": {"window-4": {"lcr": {"window": [4, 4]}}},
        "tables": {
            "table3": {"kind": "map", **GRID, "variants": ["none", "dbw", "ach"]},
            "table6": {
                "kind": "transfer",
                **(GRID | {"datasets": ["t"], "origins": ["a", "b"]}),
                "variants": ["none", "ach"],
            },
        },
        "figures": {
            "fig7": {"kind": "precision_at_k", **GRID, "variants": ["none", "ach"]},
            "fig10": {
                "kind": "sensitivity",
                **(GRID | {"methods": ["x"]}),
                "variants": ["none", "ach"],
                "panels": [{"title": "window", "points": {4: "ach~window-4", 12: "ach"}}],
            },
        },
    }
)
CONTEXT = Context(PAPER, "paper", "tie-aware")


class Given:
    """Numbers by place: ``{"a/x/ach": "70.1"}``, all at 8 bits; a K stands behind an ``@``.

    They are what many seeds would give: chance has no part in them. A list has one for each seed.
    """

    def __init__(self, values=None, tests=None):
        self.values, self.tests = values or {}, tests or {}

    def value(self, need: Need):
        found = self.values.get(self.key(need.place) + (f"@{need.cutoff}" if need.cutoff else ""))
        if found is None or isinstance(found, str):
            return None if found is None else Estimate(Decimal(found))
        by_seed = tuple(map(float, found))
        return Estimate(Decimal(f"{sum(by_seed) / len(by_seed):.2f}"), by_seed)

    def tested(self, row: Need, baseline: Need):
        assert (row.measure, row.cutoff) == (baseline.measure, baseline.cutoff)
        return self.tests.get(self.key(row.place) + (f"@{row.cutoff}" if row.cutoff else ""))

    @staticmethod
    def key(place: Place) -> str:
        dataset = f"{place.dataset}@{place.origin}" if place.origin else place.dataset
        return f"{dataset}/{place.method}/{place.variant}"


def find(numbers, merges=None, **claim):
    defaults = {"place": "Section I", "says": "a claim", "table": "table3"}
    if claim["rule"] not in ("significant", "spread"):
        defaults["tolerance"] = "0"
    if "figure" in claim:
        del defaults["table"]
    parsed = TypeAdapter(Claim).validate_python(defaults | claim)
    return decide(ClaimGrid(parsed, CONTEXT, numbers, merges or {}))


def gains(*points, baseline=50):
    """The baselines all at 50, the ACH rows so many points above; in the order of the grid."""
    places = ["a/x", "b/x", "a/y", "b/y"]
    rows = {f"{place}/none": str(Decimal(baseline)) for place in places}
    found = {f"{p}/ach": str(baseline + Decimal(g)) for p, g in zip(places, points, strict=True)}
    return Given(rows | {key: value for key, value in found.items() if value != "NaN"})


BETTER = {"rule": "better", "pairs": [["ach", "none"]]}


@pytest.mark.parametrize(
    ("points", "holds", "tolerance", "expected"),
    [
        (("1", "2", "3", "0.01"), "all", "0", True),
        (("1", "2", "3", "0"), "all", "0", False),
        (("1", "2", "3", "-1"), "all", "0", False),
        (("1", "2", "3", "0.5"), "all", "0.5", False),
        (("1", "2", "3", "0.51"), "all", "0.5", True),
        (("1", "1", "0", "0"), "most", "0", False),
        (("1", "1", "1", "-9"), "most", "0", True),
        (("1", "1", "0", "-1"), 2, "0", True),
        (("1", "0", "0", "-1"), 2, "0", False),
        (("1", "1", "1", "1"), "not all", "0", False),
        (("1", "1", "1", "0"), "not all", "0", True),
    ],
)
def test_better_counts_columns(points, holds, tolerance, expected):
    found = find(gains(*points), **BETTER, holds=holds, tolerance=tolerance)
    assert found.complete
    assert found.holds is expected
    assert len(found.cases) == 4


def test_better_says_how_often_and_by_how_much():
    found = find(gains("1", "0", "-2.5", "3"), **BETTER)
    assert found.summary == (
        "higher in 2, equal in 1, lower in 1 of 4; differences -2.5 to 3 points"
    )
    assert [case.outcome for case in found.cases] == ["W", "T", "L", "W"]
    assert found.cases[2].text == "Y+ACH at A/8 bits: 47.5 against 50"


def test_better_by_method_takes_the_average_of_its_columns():
    numbers = gains("3", "-2", "1", "-1")
    found = find(numbers, **BETTER, per="method")
    assert [case.outcome for case in found.cases] == ["W", "T"]
    assert found.cases[0].text == "X+ACH against X, 2 of 2 values: 0.5 on average"
    assert not found.holds
    assert find(numbers, **BETTER, per="method", holds=1).holds
    assert not find(numbers, **BETTER, per="method", holds="most").holds


def test_a_claim_can_be_narrowed():
    numbers = gains("1", "-1", "-1", "-1")
    assert find(numbers, **BETTER, datasets=["a"], methods=["x"]).holds
    assert not find(numbers, **BETTER, datasets=["a"]).holds


def test_better_is_incomplete_without_a_number():
    numbers = gains("1", "2", "3", "4")
    del numbers.values["b/y/none"]
    found = find(numbers, **BETTER)
    assert not found.complete
    assert found.summary == (
        "higher in 3, equal in 0, lower in 0 of 3 that ran, of 4; differences 1 to 3 points"
    )
    assert found.outlook == "what is missing decides"
    missing = [need for case in found.cases if not case.complete for need in case.needs]
    assert Need("map", Place("b", "y", "none", 8)) in missing


@pytest.mark.parametrize(
    ("points", "holds", "outlook"),
    [
        (("1", "-1", "NaN", "NaN"), "all", "it can no longer hold"),
        (("1", "1", "NaN", "NaN"), "all", "what is missing decides"),
        (("1", "1", "1", "NaN"), "most", "it will hold whatever is missing"),
        (("1", "1", "NaN", "NaN"), 2, "it will hold whatever is missing"),
        (("-1", "NaN", "NaN", "NaN"), "not all", "it will hold whatever is missing"),
        (("-1", "-1", "NaN", "NaN"), "most", "it can no longer hold"),
    ],
)
def test_the_outlook_of_an_incomplete_claim(points, holds, outlook):
    found = find(gains(*points), **BETTER, holds=holds)
    assert not found.complete
    assert found.outlook == outlook


def test_an_average_of_a_part_is_no_outcome_yet():
    found = find(gains("1", "NaN", "1", "1"), **BETTER, per="method")
    assert not found.complete
    assert found.outlook == "what is missing decides"
    assert "over the columns that ran" in found.summary


def test_nothing_ran():
    found = find(Given(), **BETTER)
    assert (found.complete, found.summary) == (False, "")


def test_more_cases_than_there_are_cannot_be_demanded():
    with pytest.raises(MedhashError, match="5 cases are demanded, but there are 4"):
        find(gains("1", "1", "1", "1"), **BETTER, holds=5)


def test_precision_is_compared_at_every_cutoff():
    values = {f"{d}/{m}/none@{k}": "50" for d in "ab" for m in "xy" for k in (1, 10)}
    values |= {f"{d}/{m}/ach@{k}": "51" for d in "ab" for m in "xy" for k in (1, 10)}
    values["a/x/ach@10"] = "40"
    claim = {**BETTER, "figure": "fig7", "measure": "precision_at", "cutoffs": [1, 10]}
    found = find(Given(values), **claim)
    assert not found.holds
    assert len(found.cases) == 8
    assert found.cases[1].text == "X+ACH at A/8 bits, K = 10: 40 against 50"
    by_method = find(Given(values), **claim, per="method")
    assert [case.amount for case in by_method.cases] == [Decimal("-1.75"), Decimal(1)]
    del values["b/y/none@10"]
    assert not find(Given(values), **claim).complete


GREATER = {"rule": "greater_gain", "gain": ["ach", "none"], "than": [["y/ach", "y/none"]]}


@pytest.mark.parametrize(
    ("points", "tolerance", "expected"),
    [
        (("2", "3", "1", "1"), "0", True),
        (("1", "3", "1", "1"), "0", False),
        (("2", "3", "1", "1"), "1", False),
        (("-1", "3", "-2", "1"), "0", True),
    ],
)
def test_greater_gain(points, tolerance, expected):
    found = find(gains(*points), **GREATER, methods=["x"], tolerance=tolerance)
    assert found.complete
    assert found.holds is expected
    assert len(found.cases) == 2


def test_greater_gain_is_incomplete_without_one_of_its_four_numbers():
    for missing in ("a/x/ach", "a/x/none", "a/y/ach", "a/y/none"):
        numbers = gains("2", "3", "1", "1")
        del numbers.values[missing]
        found = find(numbers, **GREATER, methods=["x"])
        assert not found.complete
        assert found.summary.startswith("greater in 1, equal in 0, smaller in 0 of 1 that ran")


@pytest.mark.parametrize(
    ("relation", "value", "tolerance", "expected"),
    [
        ("=", "50", "0", True),
        ("=", "50.1", "0", False),
        ("=", "50.1", "0.1", True),
        (">", "50", "0", False),
        (">", "49.99", "0", True),
        (">", "50", "0.01", True),
        (">=", "50", "0", True),
        (">=", "50.01", "0", False),
        (">=", "50.01", "0.01", True),
        ("<", "50", "0", False),
        ("<", "50", "0.01", True),
        ("<=", "50", "0", True),
        ("<=", "49.99", "0", False),
        ("<=", "49.99", "0.01", True),
    ],
)
def test_bound_of_values(relation, value, tolerance, expected):
    claim = {"rule": "bound", "rows": ["none"], "relation": relation, "value": value}
    found = find(gains("1", "1", "1", "1"), **claim, tolerance=tolerance)
    assert found.complete
    assert found.holds is expected


def test_bound_of_gains_looks_at_each_of_them():
    claim = {"rule": "bound", "gains": [["ach", "none"]], "relation": ">=", "value": "0.2"}
    assert find(gains("0.2", "1", "1", "1"), **claim).holds
    found = find(gains("0.1", "1", "1", "1"), **claim)
    assert not found.holds
    assert found.summary == ">= 0.2: in 3 of 4; 0.1 to 1 points"
    assert not find(gains("1", "NaN", "1", "1"), **claim).complete


NUMBER = {"rule": "number", "gains": [["ach", "none"]]}


@pytest.mark.parametrize(
    ("of", "printed", "tolerance", "expected"),
    [
        ("mean", "2.5", "0", True),
        ("mean", "2.4", "0.1", True),
        ("mean", "2.4", "0.09", False),
        ("mean", "2.6", "0.1", True),
        ("least", "1", "0", True),
        ("greatest", "4", "0", True),
        ("greatest", "5", "0.99", False),
        ("greatest", "5", "1", True),
    ],
)
def test_a_number_is_met_up_to_its_tolerance(of, printed, tolerance, expected):
    found = find(gains("1", "2", "3", "4"), **NUMBER, of=of, printed=printed, tolerance=tolerance)
    assert found.complete
    assert found.holds is expected


def test_a_number_may_be_one_of_values():
    rows = {"rule": "number", "rows": ["ach"]}
    found = find(gains("1", "2", "3", "4"), **rows, printed="52.5")
    assert found.holds
    assert found.summary == "mean of 4: 52.5 points, printed 52.5"
    alone = find(gains("1", "2", "3", "4"), **rows, printed="51", datasets=["a"], methods=["x"])
    assert alone.holds
    assert alone.summary == "51 points, printed 51"


def test_a_number_is_incomplete_without_one_of_its_parts():
    found = find(gains("1", "2", "3", "NaN"), **NUMBER, printed="2")
    assert not found.complete
    assert found.summary == "mean of 3 that ran, of 4: 2 points, printed 2"
    assert find(Given(), **NUMBER, printed="2").summary == ""


SIGNIFICANT = {"rule": "significant", "pairs": [["ach", "none"]], "level": "0.05"}
NAMES = ("a/x/ach", "b/x/ach", "a/y/ach", "b/y/ach")


def ranks(p_value, better, difference=None, by_seed=None):
    """A test of which several seeds say the same."""
    if difference is None:
        difference = Estimate(Decimal(1 if better else -1))
    return SignedRanks(p_value, better, difference, by_seed or (p_value, p_value))


def with_tests(*results):
    return Given(
        tests={name: result for name, result in zip(NAMES, results, strict=True) if result}
    )


@pytest.mark.parametrize(
    ("last", "direction", "expected"),
    [
        (ranks(0.05, better=True), "better", True),
        (ranks(0.0501, better=True), "better", False),
        (ranks(0.01, better=False), "better", False),
        (ranks(0.01, better=False), "any", True),
        (ranks(0.06, better=False), "any", False),
    ],
)
def test_significant(last, direction, expected):
    sure = ranks(1e-20, better=True)
    found = find(with_tests(sure, sure, sure, last), **SIGNIFICANT, direction=direction)
    assert found.complete
    assert found.holds is expected
    assert find(with_tests(sure, sure, sure, last), **SIGNIFICANT, holds=3).holds


def test_significant_tells_a_loss_from_what_is_not_significant():
    sure, lost, unsure = (
        ranks(0.001, True),
        ranks(0.001, False),
        ranks(0.2, False),
    )
    found = find(with_tests(sure, lost, unsure, None), **SIGNIFICANT)
    assert [case.outcome for case in found.cases] == ["W", "L", "T", None]
    assert not found.complete
    assert found.summary == "p <= 0.05 in favour of the first: in 1 of 3 that ran, of 4"
    assert found.cases[1].text.endswith("p = 1.000e-03, in favour of the second")


def test_significant_is_about_any_measure_of_queries_at_each_cutoff():
    at_ten = {"a/x/ach@10": ranks(0.01, True), "a/y/ach@10": ranks(0.01, False)}
    own = SIGNIFICANT | {"measure": "ndcg_at", "cutoffs": [10, 100], "datasets": ["a"]}
    found = find(Given(tests=at_ten), **own)
    assert [case.outcome for case in found.cases] == ["W", None, "L", None]
    assert ", K = 10: p = " in found.cases[0].text
    assert found.cases[1].needs[0].cutoff == 100
    with pytest.raises(ValidationError, match="compares values of each query \\(map, map_weighted"):
        find(Given(), **SIGNIFICANT, measure="queries")


SPREAD = {"rule": "spread", "figure": "fig10", "at_most": "2"}


def settings(*values):
    names = ("a/x/ach", "a/x/ach~window-4", "b/x/ach", "b/x/ach~window-4")
    return Given({name: value for name, value in zip(names, values, strict=True) if value})


@pytest.mark.parametrize(
    ("values", "holds", "expected"),
    [
        (("50", "52", "50", "50"), "all", True),
        (("50", "52.01", "50", "50"), "all", False),
        (("52.01", "50", "50", "50"), "all", False),
        (("50", "52.01", "50", "50"), 1, True),
        (("50", "52.01", "50", "50"), "most", False),
    ],
)
def test_spread(values, holds, expected):
    found = find(settings(*values), **SPREAD, holds=holds)
    assert found.complete
    assert found.holds is expected


def test_spread_needs_every_setting():
    found = find(settings("50", "51", "50", None), **SPREAD)
    assert not found.complete
    assert found.summary == "at most 2 points apart: in 1 of 1 that ran, of 2"


def test_a_spread_over_some_settings_says_so():
    panel = PAPER.figures["fig10"].panels[0]
    points = {"4": "ach~window-4", "8": "ach~window-8", "12": "ach"}
    figure = PAPER.figures["fig10"].model_copy(
        update={"panels": (panel.model_copy(update={"points": points}),)}
    )
    paper = PAPER.model_copy(update={"figures": {"fig10": figure}})
    claim = TypeAdapter(Claim).validate_python({"place": "I", "says": "a claim", **SPREAD})
    numbers = settings("50", "51", "50", "50")
    found = decide(ClaimGrid(claim, Context(paper, "paper", "tie-aware"), numbers))
    assert not found.complete
    assert found.summary == "at most 2 points apart: in 2 of 2, over the settings that ran"
    assert found.outlook == "what is missing decides"


def test_settings_that_are_one_here_decide_nothing():
    numbers, merges = settings("50", "51", "50", "49"), {"ach~window-4": "ach"}
    found = find(numbers, merges, **SPREAD)
    assert not found.complete
    assert found.same_here == "ach~window-4 = ach"
    pair = {**BETTER, "figure": "fig10", "pairs": [["ach", "ach~window-4"]]}
    assert find(numbers, **pair).complete
    assert not find(numbers, merges, **pair).complete


def test_the_cells_of_the_same_settings_stand_for_a_size():
    numbers = Given({f"{d}/x/{v}": n for d in "ab" for v, n in (("ach", "51"), ("ach~w-8", "50"))})
    pair = {**BETTER, "figure": "fig10", "pairs": [["ach", "ach~window-4"]]}
    assert not find(numbers, **pair).complete
    found = find(numbers, {"ach~window-4": "ach~w-8"}, **pair)
    assert found.complete
    assert found.holds
    assert found.cases[0].text == "X+ACH at A/8 bits: 51 against 50"


def transfer():
    values = {f"t@scratch/{m}/none": "30" for m in "xy"}
    values |= {f"t@{o}/{m}/none": "40" for o in "ab" for m in "xy"}
    return Given(values | {f"t@{o}/{m}/ach": "45" for o in "ab" for m in "xy"})


def test_transfer_compares_with_what_was_not_transferred():
    numbers = transfer()
    claim = {"rule": "better", "table": "table6", "pairs": [["none", "none@no-transfer"]]}
    found = find(numbers, **claim)
    assert found.holds
    assert found.cases[0].text == "X w/ TL at A → Target/8 bits: 40 against 30"
    assert len(found.cases) == 4
    numbers.values["t@b/y/none"] = "29"
    assert not find(numbers, **claim).holds
    assert find(numbers, **claim, origins=["a"]).holds


def test_a_row_may_name_its_method():
    claim = {"rule": "better", "table": "table6", "pairs": [["ach", "y/ach"]], "methods": ["x"]}
    numbers = transfer()
    assert not find(numbers, **claim).holds
    numbers.values |= {"t@a/y/ach": "44", "t@b/y/ach": "44.99"}
    found = find(numbers, **claim)
    assert found.holds
    assert found.cases[1].text == "X+ACH w/ TL at B → Target/8 bits: 45 against 44.99"


def test_every_rule_of_the_files_is_known_here():
    assert set(RULES) == set(RULE_NAMES)


@pytest.mark.parametrize(
    ("value", "text"),
    [("100", "100"), ("0.30", "0.3"), ("-0.00001", "0"), ("5.67755", "5.6776"), ("-2", "-2")],
)
def test_numbers_are_short(value, text):
    assert shown(Decimal(value)) == text
