"""The table of lesion patches: numbers, their source, and what did not run."""

import copy
import json

import pandas as pd
import pytest

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.make import make_table
from medhash.errors import MedhashError
from medhash.papers.reported import ReportedPaper
from medhash.records.lesions import load_lesion_search

REPORTED = {
    "paper": "ach",
    "tables": {},
    "lesions": {
        "place": "Section V-D-2",
        "regenerated_by": "lesions",
        "baseline": "ADSH",
        "treatment": "ADSH+ACH",
        "precision": {"COVID-CT-Dataset": "52.00"},
        "gain": {"COVID-CT-Dataset": "12.00"},
        "saved_time": {"COVID-CT-Dataset": "9"},
    },
}


def cell_of(dataset, variant):
    names = {"paper": "ach", "dataset": dataset, "method": "adsh", "variant": variant}
    return {**names, "bits": 8, "seed": 0}


def latency(milliseconds):
    return {
        "queries": 200,
        "median_seconds": milliseconds / 1000,
        "p95_seconds": milliseconds / 500,
        "fps": 1000 / milliseconds,
    }


def search(dataset, variant, precision, **changes):
    facts = {
        "schema": 1,
        "scale": "small",
        "protocol": "tie-aware",
        "cell": cell_of(dataset, variant),
        "depth": 10,
        "asked_per_class": 10,
        "patches": 13,
        "source": "masks",
        "areas_sha256": "a" * 64,
        "covered": 0.25,
        "precision_at_10": {"patches": precision, "images": 0.8},
        "by_class": {
            "COVID": {"count": 10, "patches": precision + 0.1, "images": 0.9},
            "NonCOVID": {"count": 3, "patches": precision - 0.1, "images": 0.5},
            "Normal": {"count": 0},
        },
        "relevant_share": 0.5,
        "runtime": {"patches": latency(9.0), "images": latency(10.0), "change": -0.1},
        "device": {"type": "cpu", "name": "A processor"},
        "threads": 2,
        "cores": 4,
        "load_average": 1.0,
        "precision": "float32",
        "environment": {"torch": "2.11", "platform": "Linux"},
        "measured": "2026-01-02T03:04:05+00:00",
    }
    return facts | changes


def unmarked(dataset, variant):
    return {
        "schema": 1,
        "scale": "small",
        "protocol": "tie-aware",
        "cell": cell_of(dataset, variant),
        "patches": 0,
        "reason": "no lesion is marked: there is neither config/lesions/x.csv nor a mask",
    }


@pytest.fixture
def make(tmp_path, table_spec, paper):
    def make(searches, datasets=("covid_ct",)):
        paths = [tmp_path / "missing.json"]
        for number, content in enumerate(searches):
            paths.append(tmp_path / f"{number}.json")
            paths[-1].write_text(json.dumps(content))
        spec = table_spec(
            kind="lesion_retrieval",
            name="lesions",
            title="P@10 of lesion patches",
            datasets=datasets,
            methods=["adsh"],
            variants=["none", "ach"],
            bits=[8],
            seeds=[0, 1],
        )
        reported = ReportedPaper.model_validate(REPORTED)
        context = Context(paper, "small", "tie-aware", reported=reported)
        files = make_table(
            spec,
            [load_lesion_search(path) for path in paths if path.is_file()],
            context,
            tmp_path / "table",
        )
        return [file.read_text() for file in files]

    return make


PAIR = [search("covid_ct", "none", 0.52004), search("covid_ct", "ach", 0.63996)]


def rows_of(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_precision_difference_and_runtime_are_printed(make):
    _, text, tex = make(PAIR)
    rows = rows_of(text)
    assert ["ADSH", "52.00", "–", "80.00", "−10.0 %"] in rows
    assert ["ADSH+ACH", "64.00", "+12.00", "80.00", "−10.0 %"] in rows
    assert "Measured on A processor (2 threads, float32)." in text
    assert "COVID 62.00, NonCOVID 42.00, Normal –." in text
    assert r"$-$10.0 \%" in tex


def test_the_csv_has_a_row_for_all_patches_and_one_a_class(make, tmp_path):
    make(PAIR)
    table = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    assert table["class"].tolist() == ["(all)", "COVID", "NonCOVID", "Normal"] * 2
    ach = table[table["variant"] == "ach"].set_index("class")
    assert ach["patches"].tolist() == ["13", "10", "3", "0"]
    assert ach["patch_precision_percent"].tolist() == ["63.996000", "73.996000", "53.996000", ""]
    assert ach["difference_points"].tolist() == ["12.00", "12.00", "12.00", ""]
    assert ach.loc["(all)", "patch_median_ms"] == "9.0000"
    assert ach.loc["(all)", "image_p95_ms"] == "20.0000"
    assert ach.loc["(all)", "runtime_change_percent"] == "-10.0000"
    assert ach.loc["(all)", "reported_difference_points"] == "12.00"
    baseline = table.iloc[0]
    assert (baseline["reported_precision_percent"], baseline["difference_points"]) == ("52.00", "")
    assert set(table["lesions"]) == {"the box around the largest region of a mask"}


def test_where_patches_come_from_and_that_they_are_fewer_is_said(make):
    text = make(PAIR)[1]
    assert "13 lesion patches (the box around the largest region of a mask), at most 10" in text
    assert "fewer where there are fewer (3 of NonCOVID, none of Normal)" in text
    assert "In random order 50.0 % of the results would be right" in text
    assert "C2F-LP" not in text


def test_found_patches_are_called_so_everywhere(make):
    label = "found by C2F-LP, not marked by a reader"
    csv, text, tex = make([each | {"source": "found"} for each in PAIR])
    assert label in text.splitlines()[0]
    assert f"13 lesion patches ({label})" in text
    assert "the class is no secret to these patches" in text
    assert all(label in line for line in csv.splitlines()[1:])
    assert rf"Patches {label}" in tex


def test_patches_of_which_some_are_found_are_called_so(make):
    pair = [search("covid_radiograph", "none", 0.5), search("covid_ct", "none", 0.5)]
    text = make([pair[0] | {"source": "found"}, pair[1]], ["covid_radiograph", "covid_ct"])[1]
    assert "Some patches found by C2F-LP, not marked by a reader." in text.splitlines()[0]


def test_what_the_paper_says_stands_beside_real_images_alone(make):
    assert "52.00 with ADSH, +12.00 with ADSH+ACH, runtime −9 %" in make(PAIR)[1]
    phantom = "phantom_covid_ct"
    pair = [search(phantom, "none", 0.3), search(phantom, "ach", 0.4)]
    csv, text, _ = make(pair, [phantom])
    assert text.startswith("**Synthetic phantoms")
    assert "52.00" not in csv + text
    assert "Section" not in text


def test_a_dataset_without_marks_is_not_run_and_says_why(make):
    csv, text, _ = make([unmarked("covid_ct", "none"), unmarked("covid_ct", "ach")])
    assert ["ADSH", "not run", "not run", "not run", "not run"] in rows_of(text)
    reason = "no lesion is marked: there is neither config/lesions/x.csv nor a mask"
    assert f"COVID-CT-Dataset, 8 bits: not run: {reason}." in text.replace("\\", "")
    assert csv.count(reason) == 2
    assert "Nothing of this table has run." in text


def test_a_cell_that_was_not_searched_is_not_run(make):
    text = make(PAIR[1:])[1]
    assert ["ADSH", "not run", "not run", "not run", "not run"] in rows_of(text)
    assert ["ADSH+ACH", "64.00", "–", "80.00", "−10.0 %"] in rows_of(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": "demo"}, "its scale is 'demo', but 'small' is asked for; scales never mix"),
        ({"protocol": "stable"}, "scored with protocol 'stable', but 'tie-aware' is asked for"),
        (
            {"areas_sha256": "b" * 64},
            "ach/covid_ct/adsh/ach/8/0: they are not those of its baseline",
        ),
        ({"covered": 2}, r"1\.json: not a whole measurement: covered"),
        ({"source": "guessed"}, r"1\.json: not a whole measurement: source"),
    ],
)
def test_what_does_not_fit_is_refused(make, changes, message):
    pair = copy.deepcopy(PAIR)
    pair[1] |= changes
    with pytest.raises(MedhashError, match=message):
        make(pair)
