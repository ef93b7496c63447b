"""Table VI's form: with and without transfer learning."""

from dataclasses import replace

import pytest

from medhash.analysis.numbers.context import Context, GridColumn
from medhash.papers.reported import ReportedPaper

BITS = [8, 16, 24, 32]
ORIGINS = ["covid_radiograph", "covid_ct"]
HEADINGS = ["COVID-19 Radiograph → Brain Tumor", "COVID-CT-Dataset → Brain Tumor"]
TITLES = {"hashnet": "HashNet", "csq": "CSQ", "dbdh": "DBDH"}


@pytest.fixture
def spec(table_spec):
    """HashNet at 8 bits from both origins, changed by keyword."""

    def make(**changes):
        values = {
            "name": "table6",
            "kind": "transfer",
            "datasets": ["brain_tumor_mri"],
            "origins": ORIGINS,
            "variants": ["none", "ach"],
        }
        return table_spec(**(values | changes))

    return make


@pytest.fixture
def case(record):
    """A method's five records at 8 bits, in percent."""

    def make(without=30.0, radiograph=(40.0, 45.0), ct=(50.0, 48.0), target="brain_tumor_mri"):
        values = {f"ach/{target}@scratch/hashnet/none/8/0": without}
        for origin, pair in zip(ORIGINS, (radiograph, ct), strict=True):
            for variant, value in zip(("none", "ach"), pair, strict=True):
                values[f"ach/{target}@{origin}/hashnet/{variant}/8/0"] = value
        return [record(cell, value / 100) for cell, value in values.items() if value is not None]

    return make


def reported_records(record, printed):
    """Records whose mAP is what the paper prints in Table VI."""
    records = []
    for label, row in printed.by_method.items():
        name, start = label.split(" ", 1)
        method = next(m for m, title in TITLES.items() if name in (title, f"{title}+ACH"))
        variant = "ach" if name.endswith("+ACH") else "none"
        for column, value in row.numbers.items():
            origin = ORIGINS[HEADINGS.index(column.dataset)] if start == "w/ TL" else "scratch"
            cell = f"ach/brain_tumor_mri@{origin}/{method}/{variant}/{column.bits}/0"
            records.append(record(cell, float(value) / 100))
    return {record.cell: record for record in records}.values()


def test_the_papers_numbers_are_printed_as_in_the_paper(spec, record, make, with_reported):
    printed = with_reported.reported.table("VI")
    records = list(reported_records(record, printed))
    assert len(records) == 3 * 4 * (1 + 2 * 2)
    made = make(spec(methods=list(TITLES), bits=BITS), records, with_reported)
    # Names with proportions, in the printed order.
    assert list(made.printed()) == list(printed.rows)
    values = made.frame["printed"].str.split().str[0].tolist()
    assert values == " ".join(printed.rows.values()).split()
    # 42.31 - 41.50, and 47.08 - 47.78
    assert made.printed()["HashNet+ACH w/ TL(7/8)"][4] == "**42.31** (↑0.81)"
    assert made.printed()["HashNet+ACH w/ TL(7/8)"][6] == "<ins>47.08</ins> (↓0.70)"
    assert set(made.frame["regenerated_minus_reported_points"]) == {"0.00"}
    assert made.frame["column"].tolist()[:8] == [f"{h}/{q} bits" for h in HEADINGS for q in BITS]
    assert r"\multicolumn{4}{c}{COVID-CT-Dataset $\rightarrow$ Brain Tumor}" in made.latex


def test_marks_arrows_and_proportion_by_hand(spec, case, make):
    made = make(spec(), case())
    assert made.printed() == {
        "HashNet w/o TL": ["30.00", "30.00"],
        "HashNet w/ TL": ["<ins>40.00</ins>", "**50.00**"],
        "HashNet+ACH w/ TL(1/2)": ["**45.00** (↑5.00)", "<ins>48.00</ins> (↓2.00)"],
    }
    assert made.title.startswith(
        "**mAP (%). COVID-19 Radiograph → Brain Tumor, COVID-CT-Dataset → Brain Tumor; scale small"
    )


def test_csv_says_where_cells_start_and_what_they_are_compared_with(spec, case, make):
    made = make(spec(), case())
    facts = ["dataset", "origin", "variant", "map_percent", "against", "difference_points"]
    rows = {(row["row"], row["column"]): row[facts].tolist() for _, row in made.frame.iterrows()}
    first, second = (f"{heading}/8 bits" for heading in HEADINGS)
    target = "brain_tumor_mri"
    ct, baseline = "covid_ct", "HashNet w/ TL"
    assert len(rows) == 6
    for column in (first, second):
        own = [target, "scratch", "none", "30.000000", "", ""]
        assert rows["HashNet w/o TL", column] == own
    transferred = [target, ct, "none", "50.000000", "HashNet w/o TL", "20.00"]
    assert rows["HashNet w/ TL", second] == transferred
    assert rows["HashNet+ACH w/ TL", second] == [target, ct, "ach", "48.000000", baseline, "-2.00"]


def test_notes_say_what_training_starts_from(spec, case, record, make):
    assert "from random weights, without any pretraining; the same" in make(spec(), case()).notes[0]
    own = spec(without_transfer="own")
    made = make(own, [record("ach/brain_tumor_mri/hashnet/none/8/0", 0.2), *case()])
    assert made.printed()["HashNet w/o TL"] == ["20.00", "20.00"]
    assert made.cell("HashNet w/o TL", f"{HEADINGS[0]}/8 bits")["origin"] == ""
    assert "from the backbone that is pretrained on Brain Tumor itself" in made.notes[0]


def test_an_equal_value_is_no_win_and_shares_the_mark(spec, case, make):
    made = make(spec(), case(radiograph=(40.0, 40.001), ct=(30.0, None)))
    assert made.printed() == {
        "HashNet w/o TL": ["<ins>30.00</ins>", "**30.00**"],
        "HashNet w/ TL": ["**40.00**", "**30.00**"],
        "HashNet+ACH w/ TL(0/1)": ["**40.00** (=0.00)", "not run"],
    }


def test_an_origin_that_is_left_out_says_so(spec, case, make, paper):
    records = case(radiograph=(None, None))
    partial = spec(available_origins=["covid_ct"])
    made = make(partial, records)
    assert made.printed() == {
        "HashNet w/o TL": ["30.00", "30.00"],
        "HashNet w/ TL": ["not run", "**50.00**"],
        "HashNet+ACH w/ TL(0/1)": ["not run", "<ins>48.00</ins> (↓2.00)"],
    }
    names = "HashNet w/ TL, {0}/8 bits; HashNet+ACH w/ TL, {0}/8 bits.".format(HEADINGS[0])
    reason = "COVID-19 Radiograph is not part of this run"
    assert f"{HEADINGS[0]}: 2 of 3 not run ({reason}): {names}" in made.notes
    assert made.cell("HashNet w/ TL", f"{HEADINGS[0]}/8 bits")["note"] == reason
    context = Context(paper, "small", "tie-aware", {"covid_radiograph": "archive not found"})
    cell = make(partial, records, context).cell("HashNet w/ TL", f"{HEADINGS[0]}/8 bits")
    assert cell["note"] == "COVID-19 Radiograph: archive not found"
    assert "COVID-19 Radiograph → Brain Tumor (not run), COVID-CT" in made.title


def test_a_missing_record_and_a_missing_target_are_told_apart(spec, case, make):
    made = make(spec(), case(without=None))
    assert made.printed()["HashNet w/o TL"] == ["not run", "not run"]
    assert made.cell("HashNet w/o TL", f"{HEADINGS[0]}/8 bits")["note"] == "no record yet"
    assert made.cell("HashNet w/ TL", f"{HEADINGS[0]}/8 bits")["difference_points"] == ""
    nothing = make(spec(available=[]), [])
    assert set(nothing.frame["status"]) == {"not run"}
    assert nothing.notes[0] == "Nothing of this table has run."
    assert f"{HEADINGS[1]}: not run (the dataset is not part of this run)." in nothing.notes


def test_several_seeds_give_mean_interval_and_ties(spec, record, make):
    cell = "ach/brain_tumor_mri@{}/hashnet/{}/8/{}"
    records = [record(cell.format("scratch", "none", 0), 0.30, ties=(0.2, 0.4))]
    for seed, (baseline, ach) in enumerate([(0.40, 0.44), (0.46, 0.52)]):
        records.append(record(cell.format("covid_ct", "none", seed), baseline, ties=(0.3, 0.6)))
        records.append(record(cell.format("covid_ct", "ach", seed), ach))
    made = make(spec(origins=["covid_ct"], seeds=[0, 1]), records)
    # Student's quantile for one degree of freedom is 12.7062; two values 6 apart: 12.7062 * 6 / 2.
    # The differences, 4 and 6, are taken seed by seed.
    assert made.printed() == {
        "HashNet w/o TL": ["30.00"],
        "HashNet w/ TL": ["<ins>43.00 ± 38.12</ins>"],
        "HashNet+ACH w/ TL(1/1)": ["**48.00 ± 50.82** (↑5.00 ± 12.71)"],
    }
    assert "Fewer than 2 seeds have run for: HashNet w/o TL, Brain Tumor/8 bits." in made.notes
    tied = made.cell("HashNet w/ TL", f"{HEADINGS[1]}/8 bits")
    assert (tied["tie_least_percent"], tied["tie_greatest_percent"]) == ("30.000000", "60.000000")
    place = f"HashNet w/ TL, {HEADINGS[1]}/8 bits: 30.00 to 60.00"
    assert any(f"at most 30.00 points ({place})" in note for note in made.notes)


def test_reported_stands_beside_regenerated(spec, case, make, with_reported):
    made = make(spec(), case(), with_reported)
    assert made.compared() == {
        "HashNet w/o TL": ["35.27 / 30.00 / -5.27", "35.27 / 30.00 / -5.27"],
        "HashNet w/ TL": ["43.85 / 40.00 / -3.85", "41.50 / 50.00 / +8.50"],
        "HashNet+ACH w/ TL": ["45.55 / 45.00 / -0.55", "42.31 / 48.00 / +5.69"],
    }


def test_a_phantom_is_named_and_stands_beside_no_reported_number(record, spec, make, with_reported):
    target, origins = "phantom_brain_tumor_mri", [f"phantom_{origin}" for origin in ORIGINS]
    records = [record(f"ach/{target}@{origins[0]}/hashnet/none/8/0", 0.4, scale="demo")]
    demo = replace(with_reported, scale="demo")
    made = make(spec(datasets=[target], origins=origins), records, demo)
    assert made.title.startswith(
        "**Synthetic phantoms, not real images. mAP (%). Phantom of COVID-19 Radiograph → "
        "Phantom of Brain Tumor, "
    )
    assert set(made.frame["reported_percent"]) == {""}
    assert set(made.frame["synthetic"]) == {"true"}
    assert made.compared() == {}
    # Neither if only the origin were one, and the paper had a column of that name.
    mixed = spec(origins=origins)
    table = {"title": "", "metric": "mAP", "regenerated_by": "table6"}
    table |= {"columns": {"Phantom of COVID-CT-Dataset → Brain Tumor": [8]}}
    table |= {"rows": {"HashNet w/ TL": "1.00"}}
    titled = ReportedPaper.model_validate({"paper": "ach", "tables": {"VI": table}})
    within = replace(with_reported, reported=titled)
    place = ("HashNet w/ TL", GridColumn("brain_tumor_mri", 8, "phantom_covid_ct"))
    assert within.reported_number(mixed, *place) is None
    made = make(mixed, [])
    assert made.title.startswith("**Partly synthetic phantoms.")
    assert set(made.frame["synthetic"]) == {"true"}


def test_order_of_records_changes_no_byte(spec, case, make):
    records = case()
    assert make(spec(), records).bytes == make(spec(), records[::-1], folder="again").bytes
