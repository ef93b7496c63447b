"""The paper's own numbers, taken for regenerated ones, get the verdicts of the paper's own check.

The two are written apart: ``medhash reported --check`` works on printed tables, claims on cells.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from medhash.analysis.numbers.context import Context, GridColumn
from medhash.analysis.numbers.summaries import row_title
from medhash.analysis.tables.fps import REPORTED_ROW
from medhash.papers.claims import artefact_of, load_claims, load_printed
from medhash.papers.reported import load_reported
from medhash.verdicts.estimates import Estimate
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.numbers import SignedRanks
from medhash.verdicts.reported_rules import RULES
from medhash.verdicts.rules import decide

PROJECT = Path(__file__).resolve().parents[2]
REPORTED = load_reported(PROJECT / "config/papers/reported")["ach"]
PAPER = load_printed("ach", PROJECT / "config/papers")
CLAIMS = load_claims(PAPER, PROJECT / "config/papers/claims").claims
CONTEXT = Context(PAPER, "paper", "tie-aware", reported=REPORTED)


@dataclass(frozen=True)
class Sentence:
    """Where the paper's check has a claim: the rule, what it says, and which of its checks."""

    rule: str
    says: str
    reading: str = ""
    of: str = ""


SAME = {
    "ach_improves": Sentence("comparison", "with ACH every baseline"),
    "ach_wins": Sentence("proportions", "the columns in which a variant", of="+ACH"),
    "dbw_wins": Sentence("proportions", "the columns in which a variant", of="+DBW"),
    "lcr_wins": Sentence("proportions", "the columns in which a variant", of="+LCR"),
    "ach_gain_least": Sentence("improvement_range", "the improvement of mAP", of="least"),
    "ach_gain_greatest": Sentence("improvement_range", "the improvement of mAP", of="greatest"),
    "dbw_helps": Sentence("comparison", "DBW alone improves"),
    "lcr_helps": Sentence("comparison", "LCR alone improves"),
    "ach_significant": Sentence("bound", "the differences between baselines"),
    "ach_significant_wins": Sentence("significance_counts", "wins, ties", "a tie is what is not"),
    "thermal_better": Sentence("comparison", "ACH is superior"),
    "thermal_dsh_hashnet": Sentence("comparison", "ACH outperforms DSH"),
    "thermal_perfect": Sentence("bound", "on the other baselines"),
    "transfer_helps": Sentence("comparison", "models pretrained on the source"),
    "transfer_ach": Sentence("comparison", "in transfer learning the ACH"),
    "transfer_ach_wins": Sentence("proportions", "the columns in which ACH beats"),
    "transfer_pairwise_map": Sentence("comparison", "from X-ray to MRI", "by mAP"),
    "transfer_pairwise_gain": Sentence(
        "gain_comparison", "from X-ray to MRI", "by the gain over training"
    ),
    "transfer_pairwise_ach": Sentence("gain_comparison", "from X-ray to MRI", "by the gain of ACH"),
    "lcr_beats_lfr": Sentence("comparison", "LCR is better than LFR"),
    "lcr_wins_against_lfr": Sentence("pair_counts", "wins, ties and losses of LCR"),
    "dbw_improves_both": Sentence("comparison", "DBW improves LCR and LFR"),
    "real_time": Sentence("bound", "more than 60 FPS"),
}
AVERAGES = {
    f"ach_gain_{title.lower()}": Sentence(
        "average_improvements", "average improvement of mAP by ACH", of=f"{title}+ACH"
    )
    for title in ("HashNet", "ADSH", "TransHash", "DSH", "CSQ", "DBDH")
}


class Printed:
    """The printed numbers of the table that regenerates a claim's artefact."""

    def __init__(self, claim):
        self.claim = claim
        self.spec = artefact_of(claim, PAPER).model_copy(update={"name": claim.artefact})

    def value(self, need):
        place = need.place
        row = row_title(self.spec, place, CONTEXT)
        if self.claim.measure == "fps":
            row = REPORTED_ROW
        origin = place.origin
        if origin == "scratch":  # printed in the columns of both sources, and the same there
            origin = self.spec.origins[0]
        number = CONTEXT.reported_number(
            self.spec, row, GridColumn(place.dataset, place.bits, origin)
        )
        return None if number is None else Estimate(number)

    def tested(self, row, baseline):
        places = row.place, baseline.place
        names = [CONTEXT.paper.method_title(place.method, place.variant) for place in places]
        maps = PAPER.tables["table3"].model_copy(update={"name": "table3"})
        column = GridColumn(row.place.dataset, row.place.bits)
        values = [CONTEXT.reported_number(maps, name, column) for name in names]
        p_value = CONTEXT.reported_number(self.spec, " vs. ".join(names), column)
        if p_value is None:
            return None
        p_value = float(p_value)
        difference = Estimate(values[0] - values[1])
        return SignedRanks(p_value, difference.amount > 0, difference, (p_value, p_value))


def verdict(claim):
    """Whether a claim holds by the printed numbers; all of them are there."""
    finding = decide(ClaimGrid(claim, CONTEXT, Printed(claim)))
    assert finding.complete, [case.text for case in finding.cases if not case.complete]
    return finding.holds


def derived_entry(sentence):
    entries = [
        each
        for each in REPORTED.derived
        if each.rule == sentence.rule
        and each.says.startswith(sentence.says)
        and each.reading.startswith(sentence.reading)
    ]
    assert len(entries) == 1, sentence
    return entries[0]


def follows(sentence):
    """Whether everything that the paper's check says of a sentence follows."""
    checks = RULES[sentence.rule](derived_entry(sentence), REPORTED)
    chosen = [each for each in checks if sentence.of in f"{each.place} {each.says}"]
    if sentence.rule == "average_improvements":
        chosen = [each for each in checks if each.says.startswith(f"{sentence.of}:")]
    assert chosen, sentence
    return all(each.follows for each in chosen)


@pytest.mark.parametrize("name", SAME)
def test_the_verdict_is_that_of_the_papers_own_check(name):
    assert verdict(CLAIMS[name]) is follows(SAME[name])


def test_both_verdicts_occur():
    verdicts = {name: verdict(CLAIMS[name]) for name in SAME}
    assert {name for name, holds in verdicts.items() if not holds} == {
        *("ach_improves", "ach_gain_least", "ach_significant", "ach_significant_wins"),
        *("thermal_better", "thermal_dsh_hashnet", "transfer_ach"),
        *("transfer_pairwise_map", "transfer_pairwise_gain", "transfer_pairwise_ach"),
    }


@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_is_that_of_the_check_at_the_printed_digits(name):
    claim = CLAIMS[name]
    unit = Decimal(1).scaleb(int(Decimal(claim.printed).as_tuple().exponent))
    at_printed_digits = claim.model_copy(update={"tolerance": str(unit / 2)})
    assert verdict(at_printed_digits) is follows(AVERAGES[name])


@pytest.mark.parametrize("name", AVERAGES)
def test_the_papers_own_averages_are_within_the_tolerance_and_no_gain_is_lost_in_it(name):
    claim = CLAIMS[name]
    assert verdict(claim)
    assert Decimal(claim.tolerance) < Decimal(claim.printed)


def test_wins_whose_losses_are_what_is_not_significant():
    sentence = Sentence("significance_counts", "wins, ties", "a loss is what is not")
    either_way = CLAIMS["ach_significant_wins"].model_copy(update={"direction": "any"})
    assert verdict(either_way) is follows(sentence) is True


@pytest.mark.parametrize(
    "name", ["ach_wins", "dbw_wins", "lcr_wins", "transfer_ach_wins", "lcr_wins_against_lfr"]
)
def test_the_counts_are_not_one_too_small(name):
    claim = CLAIMS[name]
    assert verdict(claim)
    assert not verdict(claim.model_copy(update={"holds": claim.holds + 1}))


@pytest.mark.parametrize("dataset", ["covid_radiograph", "covid_ct"])
def test_the_numbers_of_lesion_patches_are_those_of_the_text(dataset):
    title, lesions = PAPER.datasets[dataset], REPORTED.lesions
    name = dataset.removeprefix("covid_")
    assert CLAIMS[f"lesion_precision_{name}"].printed == lesions.precision[title]
    assert CLAIMS[f"lesion_gain_{name}"].printed == lesions.gain[title]
    assert CLAIMS[f"lesion_runtime_{name}"].printed == f"-{lesions.saved_time[title]}"
    for claim in ("precision", "gain", "runtime"):
        assert CLAIMS[f"lesion_{claim}_{name}"].datasets == (dataset,)


def test_every_derived_statement_about_the_grid_is_a_claim():
    claimed = [*SAME.values(), *AVERAGES.values()]
    claimed.append(Sentence("significance_counts", "wins, ties", "a loss is what is not"))
    covered = {id(derived_entry(sentence)) for sentence in claimed}
    elsewhere = {
        "arrows",  # differences, the cells of a table
        "repeated_values",  # one table against another
        "same_for_datasets",
        "sum",  # about archives, or numbers of the text alone
        "attainable_precision",
    }
    for entry in REPORTED.derived:
        assert id(entry) in covered or entry.rule in elsewhere, entry
