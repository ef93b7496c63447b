"""OSDH's printed numbers, taken for regenerated ones, give the verdicts that its tables give."""

from decimal import Decimal
from pathlib import Path

from medhash.analysis.numbers.context import Context
from medhash.papers.claims import load_claims, load_printed
from medhash.papers.reported import load_reported
from medhash.schema.measures import MeasureAt
from medhash.verdicts.estimates import Estimate
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.rules import decide

PROJECT = Path(__file__).resolve().parents[2]
TABLES = load_reported(PROJECT / "config/papers/reported")["osdh"].tables
PAPER = load_printed("osdh", PROJECT / "config/papers")
CLAIMS = load_claims(PAPER, PROJECT / "config/papers/claims").claims
CONTEXT = Context(PAPER, "paper", "tie-aware")
NOT_PRINTED = {
    *("queries", "database", "gaps_acg", "gaps_weighted_map", "gaps_significant"),
    "continuation_helps",
}


class Printed:
    """The numbers of Tables 1 and 2, in the units of the measures."""

    def __init__(self, table):
        self.table = TABLES[table.removeprefix("table")]

    def value(self, need):
        title = PAPER.method_title(need.place.method, need.place.variant)
        measured = MeasureAt(need.measure, need.cutoff)
        at = str(need.place.bits if self.table.axis == "bits" else measured)
        (column,) = [each for each in self.table.column_list if each.at == at]
        value = self.table.by_method[title].numbers[column]
        return Estimate(Decimal(measured.measure.factor) * value)


def test_what_holds_by_the_printed_numbers():
    verdicts = {}
    for name in CLAIMS.keys() - NOT_PRINTED:
        claim = CLAIMS[name]
        finding = decide(ClaimGrid(claim, CONTEXT, Printed(claim.artefact)))
        assert finding.complete
        verdicts[name] = finding.holds
    # DH is the deep method that is below the shallow ones.
    wrong = {"deep_over_shallow", "deep_over_shallow_on_average"}
    assert {name for name, holds in verdicts.items() if not holds} == wrong
    assert len(verdicts) == 12


def test_every_claim_reads_cells_of_its_own_grid():
    for name in NOT_PRINTED:
        claim = CLAIMS[name]
        spec = (PAPER.tables if claim.table else PAPER.figures)[claim.artefact]
        grid = ClaimGrid(claim, CONTEXT, None)
        known = {(cell.dataset, cell.method, cell.variant, cell.bits) for cell in spec.cells()}
        for method in grid.methods:
            for spot in grid.spots(method):
                for row in claim.row_names:
                    assert grid.need(row, spot).place[:4] in known
