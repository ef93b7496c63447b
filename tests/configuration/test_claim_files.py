"""Claims are read and checked against the paper's grid; the shipped file is about it."""

from pathlib import Path

import pytest
import yaml

from medhash.errors import MedhashError
from medhash.papers.claim_rules import Row
from medhash.papers.claims import artefact_of, load_claims, load_printed

PROJECT = Path(__file__).resolve().parents[2]
PRINTED = load_printed("ach", PROJECT / "config/papers")

ABLATED = PRINTED.model_copy(
    update={
        "tables": PRINTED.tables
        | {"ablated": PRINTED.tables["table3"].model_copy(update={"variants": ("ach~window-4",)})}
    }
)

GAIN = {
    "place": "Section I",
    "says": "ACH helps",
    "rule": "better",
    "table": "table3",
    "pairs": [["ach", "none"]],
    "tolerance": "0",
}
TEST = {**GAIN, "rule": "significant", "level": "0.05"}
NUMBER = {**GAIN, "rule": "number", "printed": "1.5", "gains": [["ach", "none"]]}
SPREAD = {**GAIN, "rule": "spread", "at_most": "2"}
WITHOUT = ("pairs", "tolerance")


@pytest.fixture
def load(tmp_path):
    """Loads a file with one claim."""

    def write(claim, printed=PRINTED, **more):
        tree = {"paper": "ach", "claims": {"one": claim}, **more}
        (tmp_path / "ach.yaml").write_text(yaml.safe_dump(tree))
        return load_claims(printed, tmp_path)

    return write


def changed(claim, *without, **changes):
    kept = {key: value for key, value in claim.items() if key not in without}
    return kept | {key: value for key, value in changes.items() if value is not None}


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (changed(GAIN, rule="beter"), "claims.one: unknown rule 'beter'"),
        (changed(GAIN, "rule"), "claims.one: unknown rule None"),
        (changed(GAIN, tolerence="1"), "unknown key 'claims.one.better.tolerence'.*'tolerance'"),
        (changed(GAIN, "tolerance"), "the key 'claims.one.better.tolerance' is missing"),
        (changed(GAIN, tolerance=0), "claims.one.better.tolerance: 0 must be|valid string"),
        (changed(GAIN, pairs=[]), "claims.one.better.pairs"),
        (changed(GAIN, pairs=[["a b", "none"]]), "has characters that a name cannot have"),
        (changed(GAIN, holds="many"), "claims.one.better.holds"),
        (changed(GAIN, holds=0), "claims.one.better.holds"),
        (changed(GAIN, figure="fig7"), "name either a 'table' or a 'figure'"),
        (changed(GAIN, "table"), "name either a 'table' or a 'figure'"),
        (changed(GAIN, cutoffs=[10]), "'cutoffs' belongs to the measures at a cutoff"),
        (changed(GAIN, measure="precision_at"), "'cutoffs' belongs to the measures at a cutoff"),
        (changed(GAIN, table="table9"), "claims.one.table: unknown table 'table9'.*table3"),
        (changed(GAIN, "table", figure="fig77"), "unknown figure 'fig77'; did you mean"),
        (changed(GAIN, datasets=["thermal_ir"]), "one.datasets: unknown dataset 'thermal_ir'"),
        (changed(GAIN, origins=["covid_ct"]), "one.origins: unknown origin 'covid_ct'"),
        (changed(GAIN, methods=["hashnets"]), "did you mean 'hashnet'"),
        (changed(GAIN, bits=[12]), "one.bits: unknown code length '12'.*known: 8, 16, 24, 32"),
        (changed(GAIN, pairs=[["lfr", "none"]]), "row 'lfr': unknown variant of table3 'lfr'"),
        (changed(GAIN, pairs=[["x/ach", "none"]]), "row 'x/ach': unknown method 'x'"),
        (changed(GAIN, pairs=[["ach", "none@no-transfer"]]), "table3 has no rows without"),
        (changed(GAIN, measure="fps"), "table3 is of kind map, which has no 'fps'"),
        (changed(GAIN, table="table8", pairs=[["ach", "ach"]]), "which has no 'map'.*has: fps"),
        (changed(TEST, "tolerance", measure="queries"), "this rule compares values of each query"),
        (changed(GAIN, pairs=[["ach@k=0", "none"]]), "has characters that a name cannot have"),
        (changed(GAIN, pairs=[["ach@k=5", "none"]]), "row 'ach@k=5': 'map' has no K"),
        (changed(GAIN, pairs=[["ach@bits=12", "none"]]), "unknown code length '12'"),
        (changed(GAIN, pairs=[["ach@dataset=jsrt", "none"]]), "unknown dataset 'jsrt'"),
        (changed(GAIN, pairs=[["ach", "best/none"]]), "'best_of' belongs to rows 'best/…'"),
        (changed(GAIN, best_of=["csq"]), "'best_of' belongs to rows 'best/…'"),
        (changed(GAIN, pairs=[["ach", "best/none"]], best_of=["x"]), "'best/none': unknown method"),
        (
            changed(TEST, "tolerance", pairs=[["ach", "best/none"]], best_of=["csq"]),
            "this rule compares queries, of which it has none",
        ),
        (changed(GAIN, also="table9"), "one.also: unknown table 'table9'"),
        (changed(NUMBER, "pairs", "gains", rows=["ach"], relative=True), "belongs to 'gains'"),
        (changed(NUMBER, "pairs", rows=["ach"]), "name either 'rows' or 'gains'"),
        (changed(NUMBER, "pairs", "gains"), "name either 'rows' or 'gains'"),
        (changed(NUMBER, "pairs", printed="about 2"), "claims.one.number.printed"),
        (changed(SPREAD, *WITHOUT), "spread needs a figure with panels"),
    ],
)
def test_a_refused_claim_is_named(load, tmp_path, claim, message):
    with pytest.raises(MedhashError, match=f"(?s)ach.yaml: .*{message}"):
        load(claim)


def test_a_file_of_another_name_is_refused(load):
    with pytest.raises(MedhashError, match="'mth' must be the file's name, 'ach'"):
        load(GAIN, paper="mth")


def test_a_file_without_claims_is_refused(load):
    with pytest.raises(MedhashError, match="claims"):
        load(GAIN, claims={})


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    claim = "  one: {place: I, says: x}\n"
    (tmp_path / "ach.yaml").write_text(f"paper: ach\nclaims:\n{claim}{claim}")
    with pytest.raises(MedhashError, match="the key 'one' occurs twice"):
        load_claims(PRINTED, tmp_path)


def test_a_paper_without_a_file_claims_nothing(tmp_path):
    assert load_claims(PRINTED, tmp_path) is None


def test_rows_are_taken_apart():
    assert Row.parse("ach~window-4") == Row("", "ach~window-4", True)
    assert Row.parse("csq/none@no-transfer") == Row("csq", "none", False)
    assert Row.parse("csq/none@bits=32") == Row("csq", "none", True, bits=32)
    assert Row.parse("none@k=10") == Row("", "none", True, k=10)
    assert Row.parse("none@dataset=covid_ct") == Row("", "none", True, dataset="covid_ct")


def test_a_further_table_brings_its_variants(load):
    among = changed(GAIN, pairs=[["ach", "ach~window-4"]])
    with pytest.raises(MedhashError, match="unknown variant of table3 'ach~window-4'"):
        load(among)
    (claim,) = load(among | {"also": "ablated"}, printed=ABLATED).claims.values()
    assert artefact_of(claim, ABLATED).name == "table3"


def test_the_printed_grid_is_the_whole_one():
    table = PRINTED.tables["table3"]
    assert len(table.cells()) == 192
    assert table.available is None


def test_the_shipped_claims_are_about_tables_and_figures_that_exist():
    claims = load_claims(PRINTED, PROJECT / "config/papers/claims")
    kinds = {artefact_of(claim, PRINTED).kind for claim in claims.claims.values()}
    assert kinds == {
        *("map", "wilcoxon", "transfer", "reasoning", "fps", "lesion_retrieval"),
        *("precision_at_k", "precision_recall", "sensitivity", "leakage"),
    }
    rules = {claim.rule for claim in claims.claims.values()}
    assert rules == {"better", "greater_gain", "bound", "number", "significant", "spread"}
    assert len(claims.claims) >= 50
    assert all(item.why for item in claims.undecided)


def test_every_table_and_figure_of_the_paper_is_claimed_about_or_left_to_the_eye():
    claims = load_claims(PRINTED, PROJECT / "config/papers/claims")
    claimed = {claim.artefact for claim in claims.claims.values()}
    left = " ".join(f"{item.place} {item.says} {item.why}" for item in claims.undecided)
    ours = {"confounding", "leakage", "multiverse", "places", "pointing", "protocols"}
    pictures = {"fig9"}  # its queries are those of the table of lesions
    for name in {*PRINTED.tables, *PRINTED.figures} - ours - pictures:
        assert name in claimed or name in left, name
