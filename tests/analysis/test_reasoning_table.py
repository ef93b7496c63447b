"""Table VII's form: counterfactual against factual reasoning."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import wilcoxon

from medhash.errors import MedhashError

DATASETS = {"COVID-19 Radiograph": "covid_radiograph", "COVID-CT-Dataset": "covid_ct"}
SUFFIXES = {"+LFR": "lfr", "+LCR": "lcr", "+DBW+LFR": "dbw+lfr", "+DBW+LCR": "ach"}
SUMMARY = "Summary(W/T/L)"
COLUMN = "COVID-CT-Dataset/8 bits"


@pytest.fixture
def spec(table_spec):
    """HashNet on COVID-CT at 8 bits, changed by keyword."""

    def make(**changes):
        values = {
            "name": "table7",
            "kind": "reasoning",
            "variants": [],
            "pairs": [["lcr", "lfr"], ["ach", "dbw+lfr"]],
            "titles": {"ach": "+DBW+LCR"},
        }
        return table_spec(**(values | changes))

    return make


@pytest.fixture
def case(record):
    """Records of a method's four variants by their mAP or per-query AP."""

    def make(method="hashnet", dataset="covid_ct", seed=0, **values):
        names = {"dbw_lfr": "dbw+lfr"}
        return [
            record(f"ach/{dataset}/{method}/{names.get(variant, variant)}/8/{seed}", ap)
            for variant, ap in values.items()
        ]

    return make


@pytest.fixture
def papers_numbers(record, paper, with_reported):
    """Records whose mAP is what the paper prints."""
    printed = with_reported.reported.table("VII")
    methods = {model.title: name for name, model in paper.methods.items()}
    records = []
    for label, row in printed.by_method.items():
        if label == SUMMARY:
            continue
        title, _, rest = label.partition("+")
        for column, value in row.numbers.items():
            variant = SUFFIXES[f"+{rest}"]
            place = f"{DATASETS[column.dataset]}/{methods[title]}/{variant}/{column.bits}/0"
            records.append(record(f"ach/{place}", float(value) / 100))
    assert len(records) == 6 * 4 * 4
    return printed, list(methods.values()), records


def test_the_papers_numbers_are_printed_as_in_the_paper(spec, make, papers_numbers, with_reported):
    printed, methods, records = papers_numbers
    grid = spec(datasets=list(DATASETS.values()), methods=methods, bits=[8, 32])
    made = make(grid, records, with_reported)
    assert list(made.printed()) == list(printed.rows)
    values = made.frame["printed"].str.split().str[0].tolist()
    assert values == " ".join(printed.rows.values()).split()
    # The summary is counted from the rows above it, and is the paper's own.
    assert made.printed()[SUMMARY] == ["(11/0/1)", "(12/0/0)", "(9/1/2)", "(7/0/5)"]
    assert made.compared()[SUMMARY][2] == "(9/1/2) / (9/1/2)"
    assert made.compared()["DSH+DBW+LCR"][0] == "75.08 / 75.08 / +0.00"
    assert "(9/1/2)" in made.latex


def test_arrows_compare_a_pair_and_marks_a_method(spec, case, make):
    made = make(spec(), case(lfr=0.70, lcr=0.75, dbw_lfr=0.72, ach=0.71))
    assert made.printed() == {
        "HashNet+LFR": ["70.00"],
        "HashNet+LCR": ["**75.00** (↑5.00)"],
        "HashNet+DBW+LFR": ["<ins>72.00</ins>"],
        "HashNet+DBW+LCR": ["71.00 (↓1.00)"],
        SUMMARY: ["(1/0/1)"],
    }
    cell = made.cell("HashNet+DBW+LCR", COLUMN)
    assert (cell["variant"], cell["against"]) == ("ach", "HashNet+DBW+LFR")
    assert (cell["difference_points"], cell["rank"]) == ("-1.00", "3")
    assert made.cell("HashNet+LFR", COLUMN)["against"] == ""
    assert any("(+LCR against +LFR, +DBW+LCR against +DBW+LFR)" in note for note in made.notes)


def test_wins_ties_and_losses_are_those_of_the_printed_digits(spec, case, make):
    records = case(lfr=0.70, lcr=0.70002, dbw_lfr=0.7, ach=0.70006)
    made = make(spec(), records)
    assert made.printed()["HashNet+LCR"] == ["<ins>70.00</ins> (=0.00)"]
    assert made.printed()["HashNet+DBW+LCR"] == ["**70.01** (↑0.01)"]
    assert made.printed()[SUMMARY] == ["(1/1/0)"]
    cell = made.cell(SUMMARY, COLUMN)
    assert (cell["status"], cell["wins"], cell["ties"], cell["losses"]) == ("ran", "1", "1", "0")


def test_every_pair_is_tested_and_holm_takes_the_table_as_one_family(spec, case, make):
    rng = np.random.default_rng(3)
    baseline = rng.uniform(0.2, 0.7, 30)
    ap = {
        "lfr": baseline,
        "lcr": np.clip(baseline + rng.normal(0.03, 0.05, 30), 0, 1),
        "dbw_lfr": baseline,
        "ach": np.clip(baseline + rng.normal(0.0, 0.05, 30), 0, 1),
    }
    worse = np.clip(baseline - rng.uniform(0.05, 0.1, 30), 0, 1)
    records = [*case(**ap), *case(method="csq", lfr=baseline, lcr=worse)]
    made = make(spec(methods=["hashnet", "csq"]), records)
    rows = {"HashNet+LCR": ap["lcr"], "HashNet+DBW+LCR": ap["ach"], "CSQ+LCR": worse}
    p_values = {row: wilcoxon(values, baseline).pvalue for row, values in rows.items()}
    first, second, third = sorted(p_values, key=p_values.get)
    holm = {first: 3 * p_values[first]}
    holm[second] = max(holm[first], 2 * p_values[second])
    holm[third] = max(holm[second], p_values[third])
    for row, p in p_values.items():
        cell = made.cell(row, COLUMN)
        assert cell["p_value"] == f"{p:.6e}"
        assert float(cell["p_holm"]) == pytest.approx(min(1, holm[row]), rel=1e-6)
    # All of 30 queries are worse: every rank is against it.
    assert made.cell("CSQ+LCR", COLUMN)["effect_size"] == "-1.000000"
    outcomes = [made.cell(row, COLUMN)["test_outcome"] for row in rows]
    assert outcomes == ["win", "tie", "loss"]
    assert {made.cell(row, COLUMN)["p_value"] for row in ("HashNet+LFR", "CSQ+DBW+LCR")} == {""}
    summary = made.cell(SUMMARY, COLUMN)
    assert summary[["test_wins", "test_ties", "test_losses"]].tolist() == ["1", "1", "1"]
    # By the means, DBW+LCR is below DBW+LFR.
    assert summary[["wins", "losses"]].tolist() == ["1", "2"]


def test_a_grid_that_ran_in_part_counts_what_ran(spec, case, make):
    records = [*case(lfr=0.7, lcr=0.8, ach=0.9), *case(method="csq", lcr=0.5)]
    grid = spec(methods=["hashnet", "csq"], bits=[8, 32])
    made = make(grid, records)
    assert made.printed() == {
        "HashNet+LFR": ["70.00", "not run"],
        "HashNet+LCR": ["<ins>80.00</ins> (↑10.00)", "not run"],
        "HashNet+DBW+LFR": ["not run", "not run"],
        "HashNet+DBW+LCR": ["**90.00**", "not run"],
        "CSQ+LFR": ["not run", "not run"],
        "CSQ+LCR": ["50.00", "not run"],
        "CSQ+DBW+LFR": ["not run", "not run"],
        "CSQ+DBW+LCR": ["not run", "not run"],
        SUMMARY: ["(1/0/0)", "not run"],
    }
    assert made.cell(SUMMARY, "COVID-CT-Dataset/32 bits")["wins"] == ""
    assert any(note.startswith("COVID-CT-Dataset: 12 of 16 not run") for note in made.notes)
    nothing = make(spec(), [])
    assert {cell for row in nothing.printed().values() for cell in row} == {"not run"}
    assert set(nothing.frame["status"]) == {"not run"}
    assert nothing.notes[0] == "Nothing of this table has run."


def test_seeds_are_averaged_and_tested_where_both_have_them(spec, case, make):
    first = case(lfr=[0.1, 0.2, 0.3], lcr=[0.2, 0.4, 0.5])
    second = case(seed=1, lfr=[0.3, 0.4, 0.5], lcr=[0.4, 0.6, 0.7])
    third = case(seed=2, lcr=[0.9, 0.9, 0.9])
    made = make(spec(seeds=[0, 1, 2]), [*first, *second, *third])
    # Means over seeds of 36.67, 56.67 and 90.00, and of 20.00 and 40.00.
    assert made.cell("HashNet+LCR", COLUMN)["printed"].startswith("61.11 ± 66.93 (↑31.11")
    assert made.cell("HashNet+LFR", COLUMN)["printed"] == "30.00 ± 127.06"
    cell = made.cell("HashNet+LCR", COLUMN)
    assert (cell["seeds"], cell["test_seeds"]) == ("0 1 2", "0 1")
    assert cell["p_value"] == f"{wilcoxon([0.1, 0.2, 0.2]).pvalue:.6e}"
    assert "Fewer than 3 seeds have run for: HashNet+LFR, COVID-CT-Dataset/8 bits." in made.notes


def test_records_of_different_queries_are_refused(spec, record, make, tmp_path):
    cells = {"lfr": [0, 1], "lcr": [0, 2]}
    records = [
        record(f"ach/covid_ct/hashnet/{variant}/8/0", [0.1, 0.2], rows=rows)
        for variant, rows in cells.items()
    ]
    with pytest.raises(MedhashError, match=r"lcr/8/0 and .*lfr/8/0 cannot be paired"):
        make(spec(), records)
    assert list(tmp_path.iterdir()) == []


def test_ties_are_in_the_csv(spec, record, make):
    records = [record("ach/covid_ct/hashnet/lcr/8/0", 0.5, ties=(0.4, 0.7), stable=0.6)]
    cell = make(spec(), records).cell("HashNet+LCR", COLUMN)
    facts = ["tie_least_percent", "tie_greatest_percent", "stable_map_percent"]
    assert cell[facts].tolist() == ["40.000000", "70.000000", "60.000000"]


def test_a_phantom_stands_beside_no_reported_number(spec, case, make, with_reported):
    demo = replace(with_reported, scale="demo")
    records = [
        each.model_copy(update={"scale": "demo"})
        for each in case(dataset="phantom_covid_ct", lfr=0.7, lcr=0.8)
    ]
    made = make(spec(datasets=["phantom_covid_ct"]), records, demo)
    assert made.title.startswith("**Synthetic phantoms, not real images. mAP (%). Phantom of COVID")
    assert made.printed()[SUMMARY] == ["(1/0/0)"]
    assert made.compared() == {}
    for column in ("reported_percent", "reported_summary"):
        assert set(made.frame[column]) == {""}


def test_reported_summary_stands_beside_what_ran(spec, case, make, with_reported):
    grid = spec(datasets=["covid_radiograph", "covid_ct"])
    made = make(grid, case(lfr=0.7, lcr=0.8), with_reported)
    assert made.compared()["HashNet+LCR"] == ["78.71 / 80.00 / +1.29"]
    assert made.compared()["HashNet+DBW+LCR"] == ["80.68 / not run"]
    assert made.compared()[SUMMARY] == ["(9/1/2) / (1/0/0)"]
    summaries = made.frame[made.frame["row"] == SUMMARY]["reported_summary"].tolist()
    assert summaries == ["(11/0/1)", "(9/1/2)"]


def test_order_of_records_changes_no_byte(spec, case, make):
    records = case(lfr=0.70, lcr=0.75, dbw_lfr=0.72, ach=0.71)
    assert make(spec(), records).bytes == make(spec(), records[::-1], folder="again").bytes
