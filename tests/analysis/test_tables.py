from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import wilcoxon

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.grid import INTERVALS, ONE_SEED
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable, latex, markdown
from medhash.errors import MedhashError
from medhash.records.record import Record
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.variants import VARIANTS

COLUMNS = [
    (dataset, bits) for dataset in ("covid_radiograph", "covid_ct") for bits in (8, 16, 24, 32)
]
# Two blocks of ACH Table III as reported (%), columns as above; the marks are checked below
# against the printed form of the paper.
REPORTED = {
    ("hashnet", "none"): (64.89, 66.85, 73.45, 74.85, 78.87, 79.00, 81.33, 82.38),
    ("hashnet", "dbw"): (71.96, 75.80, 76.31, 77.68, 80.76, 80.91, 82.16, 82.12),
    ("hashnet", "lcr"): (67.33, 72.27, 74.43, 75.89, 78.71, 79.87, 81.79, 81.80),
    ("hashnet", "ach"): (74.00, 74.71, 77.16, 77.48, 80.68, 81.58, 82.44, 82.55),
    ("adsh", "none"): (74.91, 76.29, 75.92, 75.88, 79.88, 80.61, 80.66, 81.38),
    ("adsh", "dbw"): (75.24, 76.88, 77.24, 77.64, 81.71, 79.92, 81.66, 82.08),
    ("adsh", "lcr"): (75.50, 76.28, 75.67, 75.95, 81.54, 79.47, 81.57, 81.73),
    ("adsh", "ach"): (75.95, 76.90, 77.15, 77.98, 81.01, 80.55, 81.75, 81.44),
}


@pytest.fixture
def reported_table(table_spec, record, make):
    records = [
        record(f"ach/{dataset}/{method}/{variant}/{bits}/0", value / 100)
        for (method, variant), values in REPORTED.items()
        for (dataset, bits), value in zip(COLUMNS, values, strict=True)
    ]
    spec = table_spec(
        datasets=["covid_radiograph", "covid_ct"],
        methods=["hashnet", "adsh"],
        bits=[8, 16, 24, 32],
    )
    return make(spec, records)


def test_table_three_is_printed_as_in_the_paper(reported_table):
    printed = reported_table.printed()
    assert list(printed) == [
        "HashNet",
        "HashNet+DBW(7/8)",
        "HashNet+LCR(6/8)",
        "HashNet+ACH(8/8)",
        "ADSH",
        "ADSH+DBW(7/8)",
        "ADSH+LCR(5/8)",
        "ADSH+ACH(7/8)",
    ]
    assert printed["HashNet+ACH(8/8)"] == [
        "**74.00** (↑9.11)",
        "<ins>74.71</ins> (↑7.86)",
        "**77.16** (↑3.71)",
        "<ins>77.48</ins> (↑2.63)",
        "<ins>80.68</ins> (↑1.81)",
        "**81.58** (↑2.58)",
        "**82.44** (↑1.11)",
        "**82.55** (↑0.17)",
    ]
    assert printed["ADSH+LCR(5/8)"][:2] == ["<ins>75.50</ins>", "76.28"]
    assert printed["ADSH"][5] == "**80.61**"
    assert printed["ADSH+ACH(7/8)"][5] == "<ins>80.55</ins> (↓0.06)"


def test_latex_prints_the_same(reported_table):
    assert (
        r"ADSH+ACH(7/8) & \textbf{75.95}\,($\uparrow$1.04) & \textbf{76.90}\,($\uparrow$0.61) & "
        r"\underline{77.15}\,($\uparrow$1.23) & \textbf{77.98}\,($\uparrow$2.10) & "
        r"81.01\,($\uparrow$1.13) & \underline{80.55}\,($\downarrow$0.06) & "
        r"\textbf{81.75}\,($\uparrow$1.09) & 81.44\,($\uparrow$0.06) \\"
    ) in reported_table.latex.splitlines()
    assert r"\multicolumn{4}{c}{COVID-19 Radiograph}" in reported_table.latex


def test_csv_has_one_row_a_place_with_its_numbers(table_spec, record, make):
    made = make(
        table_spec(bits=[8, 16], variants=["none", "ach"]),
        [
            record("ach/covid_ct/hashnet/none/8/0", 0.7, ties=(0.6, 0.75), stable=0.71),
            record("ach/covid_ct/hashnet/ach/8/0", 0.7512345678, ties=(0.5, 0.8), stable=0.74),
        ],
    )
    assert len(made.frame) == 4
    assert made.cell("HashNet+ACH", "COVID-CT-Dataset/8 bits").to_dict() == {
        "row": "HashNet+ACH",
        "column": "COVID-CT-Dataset/8 bits",
        "dataset": "covid_ct",
        "origin": "",
        "method": "hashnet",
        "variant": "ach",
        "bits": "8",
        "status": "ran",
        "printed": "75.12 (↑5.12)",
        "mark": "best",
        "rank": "1",
        "map_percent": "75.123457",
        "deviation_percent": "",
        "interval_half_points": "",
        "n_seeds": "1",
        "seeds": "0",
        "against": "HashNet",
        "difference_points": "5.12",
        "difference_interval_half_points": "",
        "tie_least_percent": "50.000000",
        "tie_greatest_percent": "80.000000",
        "tie_spread_points": "30.000000",
        "stable_map_percent": "74.000000",
        "random_order_percent": "",
        "majority_first_percent": "",
        "reported_percent": "",
        "regenerated_minus_reported_points": "",
        "queries": "4",
        "queries_without_relevant": "0",
        "database": "20",
        "scale": "small",
        "protocol": "tie-aware",
        "synthetic": "false",
        "note": "",
    }
    assert made.cell("HashNet", "COVID-CT-Dataset/16 bits")["status"] == "not run"
    assert made.cell("HashNet", "COVID-CT-Dataset/16 bits")["map_percent"] == ""


def test_largest_tie_spread_is_a_note(table_spec, record, make):
    made = make(
        table_spec(variants=["none", "ach"]),
        [
            record("ach/covid_ct/hashnet/none/8/0", 0.7, ties=(0.6, 0.75)),
            record("ach/covid_ct/hashnet/ach/8/0", 0.75, ties=(0.5, 0.8)),
        ],
    )
    said = "moves by at most 30.00 points (HashNet+ACH, COVID-CT-Dataset/8 bits: 50.00 to 80.00)"
    assert any(said in note for note in made.notes)
    assert said in made.latex


def marks(made):
    return dict(zip(made.frame["variant"], made.frame["mark"], strict=True))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.70, 0.72, 0.71, 0.69), ("", "best", "second", "")),
        # 72.001 and 71.999 are both printed as 72.00, so both are best.
        ((0.70, 0.72001, 0.71999, 0.69), ("second", "best", "best", "")),
        ((0.70, 0.72, 0.70, 0.69), ("second", "best", "second", "")),
        ((0.70, 0.70, 0.70, 0.70), ("best", "best", "best", "best")),
        ((0.70, None, 0.71, None), ("", "", "best", "")),
        ((0.70, None, None, None), ("", "", "", "")),
    ],
)
def test_marks_within_a_block(table_spec, record, make, values, expected):
    variants = ["none", "dbw", "lcr", "ach"]
    records = [
        record(f"ach/covid_ct/hashnet/{variant}/8/0", value)
        for variant, value in zip(variants, values, strict=True)
        if value is not None
    ]
    assert marks(make(table_spec(), records)) == dict(zip(variants, expected, strict=True))


def test_a_block_is_ranked_by_itself(table_spec, record, make):
    records = [
        record(f"ach/covid_ct/{method}/{variant}/8/0", value)
        for method, variant, value in [
            ("hashnet", "none", 0.5),
            ("hashnet", "ach", 0.6),
            ("csq", "none", 0.9),
            ("csq", "ach", 0.8),
        ]
    ]
    printed = make(
        table_spec(methods=["hashnet", "csq"], variants=["none", "ach"]), records
    ).printed()
    assert printed == {
        "HashNet": ["50.00"],
        "HashNet+ACH(1/1)": ["**60.00** (↑10.00)"],
        "CSQ": ["**90.00**"],
        "CSQ+ACH(0/1)": ["80.00 (↓10.00)"],
    }


def test_methods_of_one_row_each_are_ranked_together(table_spec, record, make):
    methods = {"hashnet": 0.5, "csq": 0.9, "dsh": 0.8}
    records = [record(f"ach/covid_ct/{name}/none/8/0", value) for name, value in methods.items()]
    made = make(table_spec(methods=list(methods), variants=["none"]), records)
    assert made.printed() == {
        "HashNet": ["50.00"],
        "CSQ": ["**90.00**"],
        "DSH": ["<ins>80.00</ins>"],
    }
    assert "Bold: best, underlined: second best of a column." in made.notes


def test_an_equal_value_is_no_win(table_spec, record, make):
    records = [record(f"ach/covid_ct/hashnet/{variant}/8/0", 0.7) for variant in ("none", "ach")]
    printed = make(table_spec(variants=["none", "ach"]), records).printed()
    assert printed["HashNet+ACH(0/1)"] == ["**70.00** (=0.00)"]


def test_proportion_is_over_columns_that_ran(table_spec, record, make):
    records = [
        record("ach/covid_ct/hashnet/none/8/0", 0.7),
        record("ach/covid_ct/hashnet/ach/8/0", 0.8),
        record("ach/covid_ct/hashnet/ach/16/0", 0.8),
    ]
    printed = make(table_spec(variants=["none", "ach"], bits=[8, 16]), records).printed()
    assert printed["HashNet"] == ["70.00", "not run"]
    assert printed["HashNet+ACH(1/1)"] == ["**80.00** (↑10.00)", "80.00"]


def test_a_dataset_that_is_left_out_says_so(table_spec, record, make, paper):
    spec = table_spec(
        datasets=["covid_radiograph", "covid_ct"], available=["covid_ct"], variants=["none"]
    )
    records = [record("ach/covid_ct/hashnet/none/8/0", 0.7)]
    made = make(spec, records)
    assert made.printed() == {"HashNet": ["not run", "70.00"]}
    assert "COVID-19 Radiograph: not run (the dataset is not part of this run)." in made.notes
    context = Context(paper, "small", "tie-aware", {"covid_radiograph": "archive not found"})
    made = make(spec, records, context)
    assert "COVID-19 Radiograph: not run (archive not found)." in made.notes
    cell = made.cell("HashNet", "COVID-19 Radiograph/8 bits")
    assert (cell["status"], cell["note"]) == ("not run", "archive not found")


def test_single_missing_cells_are_named(table_spec, record, make):
    records = [record(f"ach/covid_ct/hashnet/{v}/8/0", 0.7) for v in ("none", "dbw", "ach")]
    made = make(table_spec(), records)
    said = "COVID-CT-Dataset: 1 of 4 not run (no record yet): HashNet+LCR, COVID-CT-Dataset/8 bits."
    assert said in made.notes


@pytest.mark.parametrize("kind", ["map", "wilcoxon"])
def test_a_table_of_which_nothing_ran_still_appears(table_spec, make, kind):
    axis = {"map": {}, "wilcoxon": {"variants": [], "compare": ["ach", "none"]}}[kind]
    made = make(table_spec(kind=kind, **axis), [])
    assert {cell for row in made.printed().values() for cell in row} == {"not run"}
    assert made.notes[0] == "Nothing of this table has run."
    assert "COVID-CT-Dataset (not run); scale small; seeds none;" in made.title
    assert set(made.frame["status"]) == {"not run"}


def test_title_says_dataset_scale_seeds_epoch_and_protocol(table_spec, record, make, paper):
    spec = table_spec(variants=["none"], seeds=[3, 5])
    records = [record(f"ach/covid_ct/hashnet/none/8/{seed}", 0.7, scale="demo") for seed in (3, 5)]
    made = make(spec, records, Context(paper, "demo", "tie-aware"))
    assert made.title == (
        "**mAP (%). COVID-CT-Dataset; scale demo; seeds 3, 5; last epoch; tie-aware protocol "
        "(expectation over the order of equal distances).**"
    )


def test_a_picked_epoch_is_in_the_title(table_spec, record, make):
    records = [record("ach/covid_ct/hashnet/none/8/0", 0.7, selection="best-query-map")]
    assert "epoch picked on the query set" in make(table_spec(variants=["none"]), records).title


@pytest.mark.parametrize(
    ("datasets", "start"),
    [
        (["phantom_covid_ct"], "**Synthetic phantoms, not real images. mAP (%). Phantom of COVID"),
        (["covid_radiograph", "phantom_covid_ct"], "**Partly synthetic phantoms. mAP (%). COVID"),
        (["covid_ct"], "**mAP (%). COVID"),
    ],
)
def test_phantoms_are_named_in_the_title(table_spec, record, make, datasets, start):
    records = [record(f"ach/{dataset}/hashnet/none/8/0", 0.7) for dataset in datasets]
    made = make(table_spec(datasets=datasets, variants=["none"]), records)
    assert made.title.startswith(start)
    assert rf"\caption{{{start.strip('*').replace('%', chr(92) + '%')}" in made.latex
    flags = {row.dataset: row.synthetic for row in made.frame.itertuples()}
    assert flags == {d: str(d.startswith("phantom_")).lower() for d in datasets}


def test_several_seeds_give_mean_and_interval(table_spec, record, make):
    # 70, 72, 77: mean 73, sample standard deviation sqrt((9 + 1 + 16) / 2) = 3.6056; half of the
    # interval with Student's 4.3027 for two degrees of freedom: 4.3027 * 3.6056 / sqrt(3) = 8.9567
    records = [
        record(f"ach/covid_ct/hashnet/none/8/{seed}", ap, ties=(ap - 0.1, ap + seed / 100))
        for seed, ap in enumerate((0.70, 0.72, 0.77))
    ]
    records.append(record("ach/covid_ct/hashnet/ach/8/1", 0.75))
    made = make(table_spec(variants=["none", "ach"], seeds=[0, 1, 2]), records)
    assert made.printed() == {
        "HashNet": ["73.00 ± 8.96"],
        "HashNet+ACH(1/1)": ["**75.00** (↑2.00)"],
    }
    cell = made.cell("HashNet", "COVID-CT-Dataset/8 bits")
    assert (cell["n_seeds"], cell["seeds"]) == ("3", "0 1 2")
    assert (cell["map_percent"], cell["deviation_percent"]) == ("73.000000", "3.605551")
    assert (cell["tie_least_percent"], cell["tie_greatest_percent"]) == ("63.000000", "74.000000")
    assert cell["interval_half_points"] == "8.956686"
    assert INTERVALS in made.notes
    assert ONE_SEED not in made.notes
    said = "Fewer than 3 seeds have run for: HashNet+ACH, COVID-CT-Dataset/8 bits."
    assert said in made.notes
    assert r"73.00 $\pm$ 8.96" in made.latex


def test_one_seed_is_said_to_have_no_interval(table_spec, record, make):
    made = make(table_spec(), [record("ach/covid_ct/hashnet/none/8/0", 0.7)])
    assert ONE_SEED in made.notes
    assert "±" not in made.latex + made.markdown


def test_a_method_of_the_users_appears_with_all_six_variants(table_spec, record, make):
    variants = list(VARIANTS)
    records = [
        record(f"ach/covid_ct/toy/{variant}/8/0", 0.5 + index / 100)
        for index, variant in enumerate(variants)
    ]
    printed = make(table_spec(methods=["toy"], variants=variants), records).printed()
    assert printed == {
        "toy": ["50.00"],
        "toy+DBW(1/1)": ["51.00"],
        "toy+LCR(1/1)": ["52.00"],
        "toy+ACH(1/1)": ["53.00 (↑3.00)"],
        "toy+LFR(1/1)": ["<ins>54.00</ins>"],
        "toy+DBW+LFR(1/1)": ["**55.00** (↑5.00)"],
    }


@pytest.mark.parametrize(
    ("protocol", "said"),
    [("tie-aware", "no order of the database moves"), ("stable", "another order")],
)
def test_table_four_says_whether_ties_move_it(table_spec, record, make, paper, protocol, said):
    records = [
        record(f"ach/covid_ct/csq/{variant}/8/0", [0.1, 0.2, ap], protocol=protocol)
        for variant, ap in (("ach", 0.3), ("none", 0.4))
    ]
    spec = table_spec(kind="wilcoxon", variants=[], compare=["ach", "none"], methods=["csq"])
    made = make(spec, records, Context(paper, "small", protocol))
    assert any(said in note for note in made.notes)
    assert f"{protocol} protocol" in made.title


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": "paper"}, "its scale is 'paper', but 'small' is asked for"),
        ({"protocol": "stable"}, "scored with protocol 'stable', but 'tie-aware'"),
    ],
)
def test_scales_and_protocols_never_mix(table_spec, record, make, tmp_path, options, said):
    records = [record("ach/covid_ct/hashnet/none/8/0", 0.7, **options)]
    with pytest.raises(MedhashError, match=said) as caught:
        make(table_spec(), records)
    assert "ach/covid_ct/hashnet/none/8/0" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_phantom_under_a_real_name_is_refused(table_spec, record, make):
    phantom = record("ach/covid_ct/hashnet/none/8/0", 0.7).model_copy(update={"synthetic": True})
    with pytest.raises(MedhashError, match="says synthetic is True"):
        make(table_spec(), [phantom])


def test_order_of_records_and_others_change_no_byte(table_spec, record, make):
    records = [record(f"ach/covid_ct/hashnet/{v}/8/{s}", 0.7) for v in VARIANTS for s in (0, 1)]
    spec = table_spec(seeds=[0, 1])
    other = record("ach/covid_ct/other/none/8/0", 0.1, scale="paper")
    assert make(spec, records).bytes == make(spec, [other, *records[::-1]], folder="again").bytes


def paired_ap(seed, queries=40):
    rng = np.random.default_rng(seed)
    baseline = rng.uniform(0.2, 0.8, queries)
    return np.clip(baseline + rng.normal(0.04 * seed - 0.08, 0.05, queries), 0, 1), baseline


@pytest.fixture
def wilcoxon_case(table_spec, record, make):
    """Five columns from a loss over no difference to a clear win, and one not run."""
    bits = [8, 16, 24, 32, 48]
    pairs = [paired_ap(seed) for seed in range(len(bits))]
    records = []
    for q, (variant, baseline) in zip(bits, pairs, strict=True):
        records.append(record(f"ach/covid_ct/csq/ach/{q}/0", variant, ties=(0.3, 0.6)))
        records.append(record(f"ach/covid_ct/csq/none/{q}/0", baseline, ties=(0.4, 0.5)))
    spec = table_spec(
        kind="wilcoxon", variants=[], compare=["ach", "none"], methods=["csq"], bits=[*bits, 64]
    )
    return make(spec, records), bits, pairs


def test_table_four_is_scipys_test(wilcoxon_case):
    made, bits, pairs = wilcoxon_case
    p_values = [float(wilcoxon(a, b, alternative="two-sided").pvalue) for a, b in pairs]
    assert made.printed()["CSQ+ACH vs. CSQ"] == [*(f"{p:.3e}" for p in p_values), "not run"]
    for q, p, (a, b) in zip(bits, p_values, pairs, strict=True):
        cell = made.cell("CSQ+ACH vs. CSQ", f"COVID-CT-Dataset/{q} bits")
        assert cell["p_value"] == f"{p:.6e}"
        smaller = sum(other < p for other in p_values)
        steps = [
            other * (len(p_values) - sum(x < other for x in p_values))
            for other in p_values
            if other <= p
        ]
        assert len(steps) == smaller + 1
        assert float(cell["p_holm"]) == pytest.approx(min(1, max(steps)), rel=1e-6)
        expected = "tie" if p > 0.05 else "win" if np.mean(a - b) > 0 else "loss"
        assert cell["outcome"] == expected
        assert (cell["queries"], cell["n_seeds"]) == ("40", "1")
        assert float(cell["map_percent"]) == pytest.approx(100 * np.mean(a), abs=1e-6)
        assert float(cell["baseline_map_percent"]) == pytest.approx(100 * np.mean(b), abs=1e-6)
        # The difference of the ranges 30 to 60 and 40 to 50.
        assert cell["tie_difference_least_points"] == "-20.000000"
        assert cell["tie_difference_greatest_points"] == "20.000000"
        assert cell["tie_spread_points"] == "40.000000"


def test_summary_counts_wins_ties_and_losses(wilcoxon_case):
    made, bits, _ = wilcoxon_case
    outcomes = dict(zip(made.frame["column"], made.frame["outcome"], strict=False))
    outcomes = made.frame[made.frame["row"] == "CSQ+ACH vs. CSQ"]["outcome"].tolist()
    assert {"win", "tie", "loss"} <= set(outcomes)
    printed = {"win": "1/0/0", "tie": "0/1/0", "loss": "0/0/1", "": "not run"}
    assert made.printed()["Summary(W/T/L)"] == [printed[outcome] for outcome in outcomes]
    cell = made.cell("Summary(W/T/L)", f"COVID-CT-Dataset/{bits[-1]} bits")
    assert (cell["wins"], cell["ties"], cell["losses"]) == ("1", "0", "0")


def test_several_seeds_are_averaged_by_query_before_the_test(table_spec, record, make):
    rng = np.random.default_rng(5)
    ap = {key: rng.uniform(0, 1, 12) for key in [(v, s) for v in ("ach", "none") for s in (0, 1)]}
    rows = list(range(12))
    records = [
        record(f"ach/covid_ct/csq/{variant}/8/{seed}", values)
        for (variant, seed), values in ap.items()
    ]
    # The same queries in another order; a third seed that only one of the two has.
    records[1] = record("ach/covid_ct/csq/ach/8/1", ap["ach", 1][::-1], rows=rows[::-1])
    records.append(record("ach/covid_ct/csq/ach/8/2", np.ones(12)))
    spec = table_spec(
        kind="wilcoxon", variants=[], compare=["ach", "none"], methods=["csq"], seeds=[0, 1, 2]
    )
    made = make(spec, records)
    means = [(ap[variant, 0] + ap[variant, 1]) / 2 for variant in ("ach", "none")]
    cell = made.cell("CSQ+ACH vs. CSQ", "COVID-CT-Dataset/8 bits")
    assert cell["p_value"] == f"{wilcoxon(*means).pvalue:.6e}"
    assert (cell["n_seeds"], cell["seeds"]) == ("2", "0 1")
    assert "seeds 0, 1;" in made.title
    assert any("mean over the seeds that both rows have" in note for note in made.notes)


def test_records_of_different_queries_are_not_paired(table_spec, record, make, tmp_path):
    records = [
        record("ach/covid_ct/csq/none/8/0", [0.1, 0.2, 0.3], rows=[0, 1, 2]),
        record("ach/covid_ct/csq/ach/8/0", [0.1, 0.2, 0.3], rows=[0, 1, 5]),
    ]
    spec = table_spec(kind="wilcoxon", variants=[], compare=["ach", "none"], methods=["csq"])
    said = "csq/ach/8/0 and ach/covid_ct/csq/none/8/0 cannot be paired: 2 queries .* row 2 "
    with pytest.raises(MedhashError, match=said):
        make(spec, records)
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_those_of_a_real_evaluation(table_spec, record_values, make):
    rng = np.random.default_rng(0)
    records, evaluations = [], {}
    for variant in ("none", "ach"):
        codes = Codes(
            query_codes=rng.integers(0, 256, (30, 1), dtype=np.uint8),
            database_codes=rng.integers(0, 256, (90, 1), dtype=np.uint8),
            bits=8,
            query_labels=np.eye(3, dtype=np.uint8)[rng.integers(0, 3, 30)],
            database_labels=np.eye(3, dtype=np.uint8)[rng.integers(0, 3, 90)],
            query_rows=np.arange(30),
            database_rows=np.arange(30, 120),
        )
        evaluations[variant] = evaluate(codes)
        values = record_values(f"ach/covid_ct/csq/{variant}/8/0", 0.5)
        values["metrics"] = evaluations[variant].metrics
        values["stable"] = {"map": evaluate(codes, "stable").metrics["map"]}
        values["per_query_ap"] = evaluations[variant].per_query_ap.tolist()
        values["query_rows"] = codes.query_rows.tolist()
        records.append(Record.model_validate(values))
    made = make(table_spec(methods=["csq"], variants=["none", "ach"]), records)
    for row, variant in (("CSQ", "none"), ("CSQ+ACH", "ach")):
        metrics = evaluations[variant].metrics
        cell = made.cell(row, "COVID-CT-Dataset/8 bits")
        assert cell["map_percent"] == f"{100 * metrics['map']:.6f}"
        assert cell["printed"].startswith(f"{100 * metrics['map']:.2f}")
        low, high = float(cell["tie_least_percent"]), float(cell["tie_greatest_percent"])
        assert low < 100 * metrics["map"] < high
        assert low < float(cell["stable_map_percent"]) < high
    spec = table_spec(kind="wilcoxon", variants=[], compare=["ach", "none"], methods=["csq"])
    expected = wilcoxon(evaluations["ach"].per_query_ap, evaluations["none"].per_query_ap).pvalue
    assert make(spec, records).printed()["CSQ+ACH vs. CSQ"] == [f"{expected:.3e}"]


AWKWARD = PrintedTable(
    title="50% of $x_1$ & {braces} #1 ~ ^ \\ <tag> a|b *c*",
    groups=(("A_1 & B → C", ("8 bits", "16 bits")), ("D", ("8 bits",))),
    blocks=(
        (PrintedRow("m_1|*", (PrintedCell("1", "best", "(↑1)"), PrintedCell("2", "second"))),),
        (PrintedRow("n", (PrintedCell("3 ± 1"), PrintedCell("not run"), PrintedCell("<1e-300"))),),
    ),
    notes=("p ≤ 0.05", "100 %"),
)


def latex_problems(text):
    """What a reader without TeX can find: braces, environments, columns, stray characters."""
    text = re.sub(r"(?<!\\)%.*|\\label\{\w+:\w+\}", "", text)
    problems, depth, environments = [], 0, []
    for part in re.findall(r"\\begin\{[\w*]+\}|\\end\{[\w*]+\}|\\.|[{}]", text):
        if part.startswith(r"\begin"):
            environments.append(part[6:])
        elif part.startswith(r"\end"):
            problems += [] if environments.pop() == part[4:] else [part]
        elif part in "{}":
            depth += 1 if part == "{" else -1
            problems += ["closing brace"] if depth < 0 else []
    problems += ["open brace"] * depth + environments
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    for line in body.splitlines():
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
        if line.endswith(r"\\") and len(re.findall(r"(?<!\\)&", line)) + spans + 1 != columns:
            problems.append(line)
    plain = re.sub(r"\\cmidrule\(lr\)|\$\\[a-z]+\$|\$-\$|\\.", "", text)
    return problems + re.findall(r"[$#_^~<>|]|[^\x00-\x7f]", plain)


def whole(table):
    width = sum(len(names) for _, names in table.groups)
    pad = (PrintedCell("x"),)
    blocks = tuple(
        tuple(PrintedRow(r.label, r.cells + pad * (width - len(r.cells))) for r in block)
        for block in table.blocks
    )
    return PrintedTable(table.title, table.groups, blocks, table.notes)


def test_latex_is_well_formed_and_escaped(reported_table, wilcoxon_case):
    awkward = latex(whole(AWKWARD), "awkward")
    for text in (awkward, reported_table.latex, wilcoxon_case[0].latex):
        assert latex_problems(text) == []
    assert r"50\% of \$x\_1\$ \& \{braces\} \#1" in awkward
    assert latex_problems(awkward.replace(r"\_", "_"))
    assert latex_problems(awkward.replace(r"\end{tabular}", ""))
    assert latex_problems(awkward.replace("x", "x & x"))


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX on this machine")
def test_latex_compiles(reported_table, tmp_path):
    (tmp_path / "table.tex").write_text(reported_table.latex, encoding="utf-8")
    (tmp_path / "awkward.tex").write_text(latex(whole(AWKWARD), "awkward"), encoding="utf-8")
    (tmp_path / "document.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}"
        r"\input{table}\input{awkward}\end{document}",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "document.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_markdown_escapes_what_would_break_it():
    text = markdown(whole(AWKWARD))
    assert r"a\|b \*c\*" in text
    assert r"\<tag>" in text
    assert r"| m\_1\|\*" in text
    assert "**1** (↑1)" in text
    assert "<br>8 bits" in text
    assert r"\<1e-300" in text


def test_a_table_needs_no_torch_and_no_matplotlib():
    program = (
        "import sys, medhash.analysis.tables.make, medhash.analysis.figures.make\n"
        "print([m for m in ('torch', 'matplotlib', 'seaborn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_chance_is_said_below_the_table_and_in_the_csv(table_spec, record, make):
    known = {"random": {"map": 0.52}, "majority": {"map": 0.6543}}
    cell = "ach/covid_ct/hashnet/none/8/0"
    scored = record(cell, 0.7)
    made = make(
        table_spec(variants=["none"]),
        [Record.model_validate(scored.model_dump(by_alias=True) | {"chance": known})],
    )
    assert (
        "An answer that looks at no image has on COVID-CT-Dataset an mAP of 52.00 in random order, "
        "65.43 with the most frequent class first."
    ) in made.notes
    found = made.cell("HashNet", "COVID-CT-Dataset/8 bits")
    assert found["random_order_percent"] == "52.000000"
    assert found["majority_first_percent"] == "65.430000"
    assert not any("looks at no image" in note for note in make(table_spec(), [scored]).notes)
