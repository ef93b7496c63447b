"""Y-Net's printed numbers, taken for regenerated ones, give the verdicts that its tables give."""

from decimal import Decimal
from pathlib import Path

import pytest

from medhash.analysis.numbers.context import Context
from medhash.papers.claims import load_claims, load_printed
from medhash.papers.reported import load_reported
from medhash.verdicts.estimates import Estimate
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.reported_check import check_reported
from medhash.verdicts.rules import decide

PROJECT = Path(__file__).resolve().parents[2]
REPORTED = load_reported(PROJECT / "config/papers/reported")["ynet"]
PAPER = load_printed("ynet", PROJECT / "config/papers")
CLAIMS = load_claims(PAPER, PROJECT / "config/papers/claims").claims
CONTEXT = Context(PAPER, "paper", "tie-aware")
IN_TABLES = {name for name, claim in CLAIMS.items() if claim.measure == "map_at"} - {
    "coupled_points",
    "coupled_relative",
}


class Printed:
    """The numbers of Tables I to III, in points."""

    def value(self, need):
        place, title = need.place, PAPER.method_title(need.place.method, need.place.variant)
        dataset = PAPER.dataset_title(place.dataset)
        if place.method == "ynet" and place.bits != 64:
            row, column = REPORTED.tables["I"].by_method[dataset], str(place.bits)
        else:
            table = "III" if "~" in place.variant else "II"
            row, column = REPORTED.tables[table].by_method[title], str(need.cutoff)
        (number,) = [
            value
            for at, value in row.numbers.items()
            if at.at == column and at.dataset in (dataset, "Y-Net")
        ]
        return Estimate(100 * Decimal(number))


@pytest.fixture(scope="module")
def findings():
    return {name: decide(ClaimGrid(CLAIMS[name], CONTEXT, Printed())) for name in IN_TABLES}


def test_every_claim_holds_by_the_printed_numbers(findings):
    assert all(finding.complete for finding in findings.values())
    assert {name for name, finding in findings.items() if not finding.holds} == set()
    assert len(findings) == 18


def test_gains_are_those_of_the_printed_tables(findings):
    """The numbers that `medhash reported --check` finds, which ends them after other digits."""
    checks = [c for c in check_reported([REPORTED]) if c.rule == "relative_gain"]
    names = ("gain_average", "gain_top_5", "gain_top_10", "gain_top_20", "gain_top_50")
    for name, check in zip((*names, "fundus_over_jsrt"), checks, strict=True):
        assert check.printed == CLAIMS[name].printed
        told = findings[name].summary.partition(" %")[0].split()[-1]
        assert float(told) == pytest.approx(float(check.recomputed), abs=1e-3), name


def test_the_best_is_found_column_by_column(findings):
    texts = [case.text for case in findings["gain_average"].cases]
    assert texts[0].endswith("at Fundus, K = 10: 61.0200 against 54.8800")
    assert texts[1].endswith("at JSRT, K = 10: 55.1800 against 51.2400")


def test_a_case_says_where_both_of_its_numbers_stand(findings):
    first = findings["decline"].cases[0]
    assert first.text == "CroW at Fundus, K = 5: 52.2300 against 46.8100 at Fundus, K = 10"
    longer = findings["longer_codes"].cases[0]
    assert longer.text == (
        "Y-Net at Fundus/64 bits, K = 10: 61.0200 against 59.0300 at Fundus/36 bits, K = 10"
    )


def test_every_claim_reads_cells_of_a_table_of_the_paper():
    known = {
        (cell.dataset, cell.method, cell.variant, cell.bits)
        for spec in PAPER.tables.values()
        for cell in spec.cells()
    }
    for claim in CLAIMS.values():
        grid = ClaimGrid(claim, CONTEXT, None)
        for method in grid.methods:
            for spot in grid.spots(method):
                for row in claim.row_names:
                    for need in grid.needs(row, spot):
                        assert need.place[:4] in known


def test_no_comparator_is_forgotten():
    waiting = {"deep_vision_solo"}  # is not run without its detector
    others = set(PAPER.tables["table2"].methods) - {"ynet"} - waiting
    assert set(CLAIMS["best"].methods) == others
    regional = CLAIMS["regional"]
    assert {*regional.methods, *regional.best_of} == others


class Fixed(Printed):
    """The same number for each method, or none."""

    def __init__(self, **numbers):
        self.numbers = numbers

    def value(self, need):
        number = self.numbers.get(need.place.method)
        return None if number is None else Estimate(Decimal(number))


def test_the_best_of_gaps_is_the_smallest():
    claim = CLAIMS["cdr_gap_smaller"].model_copy(
        update={"pairs": (("best/none", "ynet/none"),), "best_of": ("cam", "ynet")}
    )
    finding = decide(ClaimGrid(claim, CONTEXT, Fixed(cam="0.3", ynet="0.2")))
    assert [case.outcome for case in finding.cases] == ["T"]


def test_there_is_no_best_while_one_has_not_run():
    numbers = dict.fromkeys(PAPER.tables["table2"].methods, "50")
    claim = CLAIMS["gain_top_5"]
    finding = decide(ClaimGrid(claim, CONTEXT, Fixed(**numbers)))
    assert finding.complete
    assert not finding.holds
    finding = decide(ClaimGrid(claim, CONTEXT, Fixed(**numbers | {"crow": None})))
    assert not finding.complete
