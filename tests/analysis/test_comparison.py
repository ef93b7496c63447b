"""Reported numbers beside regenerated ones, and never beside a phantom's."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from medhash.analysis.numbers.context import GridColumn
from medhash.analysis.tables.make import make_table
from medhash.papers.reported import ReportedPaper, load_reported

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def within(context):
    reported = load_reported(PROJECT / "config/papers/reported")["ach"]
    return replace(context, reported=reported)


@pytest.fixture
def made(tmp_path, within):
    def make(spec, records, context=within):
        csv, md, tex = make_table(spec, records, context, tmp_path / "table3")
        frame = pd.read_csv(csv, dtype=str, keep_default_na=False).set_index(["row", "column"])
        return frame, md.read_text(), tex.read_text()

    return make


def test_difference_is_that_of_the_printed_digits(made, table_spec, record):
    records = [
        record("ach/covid_ct/hashnet/none/8/0", 0.70004),
        record("ach/covid_ct/hashnet/ach/8/0", 0.8068),
    ]
    frame, markdown, _ = made(table_spec(datasets=["covid_radiograph", "covid_ct"]), records)
    columns = ["reported_percent", "regenerated_minus_reported_points"]
    place = "COVID-CT-Dataset/8 bits"
    assert frame.loc[("HashNet", place), columns].tolist() == ["78.87", "-8.87"]
    assert frame.loc[("HashNet+ACH", place), columns].tolist() == ["80.68", "0.00"]
    assert frame.loc[("HashNet+LCR", place), columns].tolist() == ["78.71", ""]
    assert frame.loc[("HashNet", "COVID-19 Radiograph/8 bits"), columns].tolist() == ["64.89", ""]
    second = markdown.split("**Reported by the paper / regenerated / difference in points")[1]
    assert "scale small" in second.splitlines()[0]
    assert "COVID-19 Radiograph<br>" not in second
    cells = {
        line.split("|")[1].strip(): line.split("|")[2].strip()
        for line in second.splitlines()
        if line.startswith("|")
    }
    assert cells["HashNet"] == "78.87 / 70.00 / -8.87"
    assert cells["HashNet+ACH"] == "80.68 / 80.68 / +0.00"
    assert cells["HashNet+LCR"] == "78.71 / not run"
    assert "with other settings than the paper's" in second


def test_the_first_table_and_latex_stay_as_they_are(made, table_spec, record, context):
    records = [record("ach/covid_ct/hashnet/none/8/0", 0.7)]
    _, markdown, latex = made(table_spec(), records)
    _, plain, plain_latex = made(table_spec(), records, context)
    assert markdown.startswith(plain)
    assert "78.87" not in plain
    assert latex == plain_latex


def test_nothing_is_reported_beside_a_phantom(made, table_spec, record, within):
    records = [record("ach/phantom_covid_ct/hashnet/none/8/0", 0.7, scale="demo")]
    spec = table_spec(datasets=["phantom_covid_ct"])
    place = (spec, "HashNet", GridColumn("phantom_covid_ct", 8))
    frame, markdown, _ = made(spec, records, replace(within, scale="demo"))
    assert set(frame["reported_percent"]) == {""}
    assert "Reported by the paper" not in markdown
    # Not even if a column were titled like the phantom.
    column = {"title": "", "metric": "mAP", "regenerated_by": "table3"}
    column |= {"columns": {"Phantom of COVID-CT-Dataset": [8]}, "rows": {"HashNet": "78.87"}}
    titled = ReportedPaper.model_validate({"paper": "ach", "tables": {"III": column}})
    assert replace(within, reported=titled).reported_number(*place) is None


def test_what_has_not_run_is_not_compared(made, table_spec):
    frame, markdown, _ = made(table_spec(), [])
    assert set(frame["regenerated_minus_reported_points"]) == {""}
    assert "Reported by the paper" not in markdown


def test_a_number_that_the_paper_does_not_print_is_said(made, table_spec, record):
    records = [
        record("ach/covid_ct/hashnet/none/8/0", 0.7),
        record("ach/covid_ct/hashnet/none/48/0", 0.7),
    ]
    _, markdown, _ = made(table_spec(bits=[8, 48]), records)
    assert "not reported / 70.00" in markdown


def test_at_the_scale_of_the_paper_settings_are_its_own(made, table_spec, record, within):
    records = [record("ach/covid_ct/hashnet/none/8/0", 0.7, scale="paper")]
    _, markdown, _ = made(table_spec(), records, replace(within, scale="paper"))
    assert "Regenerated with the paper's own settings" in markdown
