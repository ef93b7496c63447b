"""Every rule finds a planted mistake, and only that; then the findings in the real paper."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from medhash.commands import app as cli
from medhash.errors import MedhashError
from medhash.papers.reported import ReportedPaper, load_reported, reported_values
from medhash.verdicts.reported_check import check_json, check_reported, check_text
from medhash.verdicts.reported_rules import RULES
from medhash.verdicts.reported_tables import csv_text, tables_text

PROJECT = Path(__file__).resolve().parents[2]

# A made-up paper in which everything follows.
PAPER = """
paper: small
tables:
  I:
    title: values
    metric: mAP
    columns: {A: [8, 16], B: [8, 16]}
    rows:
      X:          70.00         71.50         80.00         80.50
      X+ACH(3/4): 70.25(↑0.25)  71.40(↓0.10)  83.00(↑3.00)  80.90(↑0.40)
      Y:          60.00         61.00         62.00         63.00
      Y+ACH(4/4): 61.00(↑1.00)  62.00(↑1.00)  64.00(↑2.00)  64.00(↑1.00)
  II:
    title: p-values
    metric: p-value
    columns: {A: [8, 16], B: [8, 16]}
    rows:
      X+ACH vs. X: 4.000e-2  9.000e-1  1.000e-20  5.000e-2
      Y+ACH vs. Y: 1.000e-3  1.000e-3  1.000e-3   1.000e-3
      Summary(W/T/L): 2/0/0 1/1/0 2/0/0 2/0/0
  III:
    title: pairs
    metric: mAP
    columns: {A: [8], B: [8]}
    rows:
      X+LFR: 70.00  83.00
      X+LCR: 70.25  83.00
      Y+LFR: 61.50  63.00
      Y+LCR: 61.00  64.00
      Z:     50.00  50.00
      Summary(W/T/L): (1/0/1) (1/1/0)
  IV:
    title: lists
    metric: mAP@K
    axis: cutoff
    columns: {A: [5, 10], B: [5, 10]}
    rows:
      U: 0.9000 0.4000 0.5000 0.3000
      V: 0.6000 0.5000 0.4000 0.2000
      W: 0.5000 0.4500 0.4500 0.2500
derived:
  - {rule: arrows, place: Table I, says: arrows, table: I}
  - {rule: proportions, place: Table I, says: proportions, table: I}
  - rule: significance_counts
    place: Table II
    says: W/T/L by p
    table: II
    level: "0.05"
    directions_from: I
  - rule: pair_counts
    place: Table III
    says: W/T/L by value
    table: III
    methods: [X, Y]
    pairs: [["{method}+LCR", "{method}+LFR"]]
  - rule: comparison
    place: Section 1
    says: ACH beats Y everywhere
    table: I
    methods: [Y]
    pairs: [["{method}+ACH", "{method}"]]
  - rule: comparison
    place: Section 2
    says: ACH beats X mostly
    table: I
    methods: [X]
    pairs: [["{method}+ACH", "{method}"]]
    holds: most
  - rule: comparison
    place: Section 3
    says: ACH beats X on average
    table: I
    methods: [X]
    pairs: [["{method}+ACH", "{method}"]]
    holds: average
  - rule: gain_comparison
    place: Section 4
    says: X gains more on B at 8 bits
    table: I
    datasets: [B]
    bits: [8]
    methods: [X]
    gain: ["{method}+ACH", "{method}"]
    than: [Y+ACH, Y]
  - rule: average_improvements
    place: Section 5
    says: averages
    table: I
    datasets: [B]
    pair: ["{method}+ACH", "{method}"]
    printed: {X: "1.7", Y: "1.5"}
  - rule: improvement_range
    place: Section 6
    says: range
    table: I
    methods: [X, Y]
    pair: ["{method}+ACH", "{method}"]
    printed: ["-0.1", "3"]
  - rule: bound
    place: Section 7
    says: above 60
    table: I
    methods: [X, Y]
    rows: ["{method}+ACH"]
    relation: ">"
    value: "60"
  - rule: repeated_values
    place: Section 8
    says: the same
    table: III
    other: I
    methods: [X]
    rows: ["{method}+LCR", "{method}+ACH"]
  - rule: same_for_datasets
    place: Section 9
    says: no matter
    table: III
    methods: [Z]
    rows: ["{method}"]
  - {rule: sum, place: Section 10, says: parts, parts: [149, 597], printed: 746}
  - rule: attainable_precision
    place: Section 11
    says: P@10
    queries: 40
    cutoff: 10
    printed: ["64.50"]
  - rule: attainable_precision
    place: Section 12
    says: AP@5
    queries: 16
    cutoff: 5
    of: average precision
    printed: ["60.13"]
  - rule: relative_gain
    place: Section 13
    says: gain over the second at 5
    table: IV
    row: U
    columns: [[A/top-5, A/top-5], [B/top-5, B/top-5]]
    printed: "30.6"
  - rule: relative_gain
    place: Section 14
    says: A over B
    table: IV
    row: V
    over: V
    columns: [[A/top-10, B/top-10]]
    printed: "150"
  - rule: trend
    place: Section 15
    says: lists lengthen
    table: IV
    methods: [U, V, W]
    direction: falls
  - rule: highest
    place: Section 16
    says: the second are V and W
    table: IV
    rows: [V, W]
    leaving_out: [U]
  - rule: comparison
    place: Section 17
    says: at 5
    table: IV
    cutoffs: [5]
    methods: [U]
    pairs: [["{method}", V]]
  - rule: comparison
    place: Section 18
    says: Y+ACH of one table against Y+LFR of another
    table: I
    other: III
    bits: [8]
    datasets: [B]
    methods: [Y+ACH]
    pairs: [["{method}", Y+LFR]]
  - {rule: ratio, place: Section 19, says: a tenth, parts: [139, 15], printed: [9, 1]}
  - {rule: equal, place: Section 20, says: lengths, values: {X: "64", Y: "64"}, printed: "64"}
  - {rule: undecidable, place: Section 21, says: it helps, why: no table is about it}
"""


def checks_of(text):
    return check_reported([ReportedPaper.model_validate(yaml.safe_load(text))])


def wrong(text):
    return [
        (each.rule, each.place, each.printed, each.recomputed)
        for each in checks_of(text)
        if each.follows is False
    ]


def test_the_made_up_paper_uses_every_rule_and_all_of_it_follows():
    checks = checks_of(PAPER)
    assert wrong(PAPER) == []
    assert {each.rule for each in checks} == set(RULES)
    assert Counter(each.rule for each in checks) == {
        **dict.fromkeys(RULES, 1),
        "arrows": 8,
        "proportions": 2,
        "significance_counts": 4,
        "pair_counts": 2,
        "comparison": 5,
        "average_improvements": 2,
        "improvement_range": 2,
        "attainable_precision": 2,
        "relative_gain": 2,
    }


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("↑0.25", "↑0.26", ("arrows", "Table I, X+ACH at A/8 bits", "↑0.26", "↑0.25")),
        ("↓0.10", "↑0.10", ("arrows", "Table I, X+ACH at A/16 bits", "↑0.10", "↓0.10")),
        ("X+ACH(3/4)", "X+ACH(4/4)", ("proportions", "Table I, X+ACH", "4/4", "3/4")),
        (
            "2/0/0 1/1/0 2/0/0",
            "2/0/0 1/0/1 2/0/0",
            ("significance_counts", "Table II, Summary(W/T/L) at A/16 bits", "1/0/1", "1/1/0"),
        ),
        (
            "5.000e-2",
            "5.001e-2",
            ("significance_counts", "Table II, Summary(W/T/L) at B/16 bits", "2/0/0", "1/1/0"),
        ),
        (
            "9.000e-1",
            "9.000e-3",
            ("significance_counts", "Table II, Summary(W/T/L) at A/16 bits", "1/1/0", "1/0/1"),
        ),
        (
            "(1/1/0)",
            "(2/0/0)",
            ("pair_counts", "Table III, Summary(W/T/L) at B/8 bits", "(2/0/0)", "1/1/0"),
        ),
        (
            '"{method}", Y+LFR',
            '"{method}", X+LFR',
            (
                "comparison",
                "Section 18",
                "higher in all",
                "higher in 0, equal in 0, lower in 1 of 1",
            ),
        ),
        ("[139, 15]", "[137, 17]", ("ratio", "Section 19", "9:1", "8.0588:1")),
        ('Y: "64"}', 'Y: "32"}', ("equal", "Section 20", "64 in all", "64 in 1 of 2")),
        (
            "holds: most",
            "holds: every",
            (
                "comparison",
                "Section 2",
                "higher in all",
                "higher in 3, equal in 0, lower in 1 of 4",
            ),
        ),
        (
            "than: [Y+ACH, Y]",
            "than: [X+ACH, X]",
            ("gain_comparison", "Section 4", "greater in all", "greater in 0 of 1"),
        ),
        ('X: "1.7"', 'X: "1.8"', ("average_improvements", "Section 5", "1.8", "1.7")),
        ('["-0.1", "3"]', '["0.2", "3"]', ("improvement_range", "Section 6", "0.2", "-0.1")),
        ('["-0.1", "3"]', '["-0.1", "4"]', ("improvement_range", "Section 6", "4", "3")),
        (
            'value: "60"',
            'value: "61"',
            ("bound", "Section 7", "> 61 in all", "> 61 in 7 of 8"),
        ),
        (
            "X+LCR: 70.25  83.00",
            "X+LCR: 70.35  83.00",
            ("repeated_values", "Section 8", "the same in all", "the same in 1 of 2"),
        ),
        (
            "Z:     50.00  50.00",
            "Z:     50.00  50.01",
            ("same_for_datasets", "Section 9", "the same in all", "the same in 0 of 1"),
        ),
        ("[149, 597]", "[149, 594]", ("sum", "Section 10", "746", "743")),
        (
            '"64.50"',
            '"64.60"',
            ("attainable_precision", "Section 11", "64.60", "64.5 (258 of 400 results)"),
        ),
        (
            '"60.13"',
            '"60.14"',
            ("attainable_precision", "Section 12", "60.14", "60.1458 (2887 of 4800 parts)"),
        ),
        ('"30.6"', '"30.5"', ("relative_gain", "Section 13", "30.5", "30.5556")),
        ('"150"', '"151"', ("relative_gain", "Section 14", "151", "150")),
        (
            "direction: falls",
            "direction: rises",
            ("trend", "Section 15", "rises in all", "rises in 0 of 6"),
        ),
        (
            "rows: [V, W]",
            "rows: [V]",
            ("highest", "Section 16", "highest in all", "highest in 2 of 4"),
        ),
        (
            "cutoffs: [5]",
            "cutoffs: [10]",
            (
                "comparison",
                "Section 17",
                "higher in all",
                "higher in 1, equal in 0, lower in 1 of 2",
            ),
        ),
    ],
)
def test_a_planted_mistake_is_found_and_named(old, new, found):
    assert PAPER.count(old) == 1
    assert wrong(PAPER.replace(old, new)) == [found]


def test_an_average_that_is_not_higher_is_found():
    values = "70.25(↑0.25)  71.40(↓0.10)  83.00(↑3.00)  80.90(↑0.40)"
    lower = "70.25(↑0.25)  71.40(↓0.10)  76.00(↓4.00)  80.90(↑0.40)"
    text = PAPER.replace(values, lower)
    assert (
        "comparison",
        "Section 3",
        "higher on average in all",
        "higher on average in 0 of 1",
    ) in (wrong(text))


def test_an_equal_value_is_no_win():
    found = wrong(PAPER.replace("80.90(↑0.40)", "80.50(↑0.00)"))
    # Two of four columns are not most of them, and two are not three.
    assert ("comparison", "Section 2", "higher in most") in [each[:3] for each in found]
    assert ("proportions", "Table I, X+ACH", "3/4", "2/4") in found


def test_without_directions_what_is_not_significant_is_lost():
    text = PAPER.replace("    directions_from: I\n", "")
    assert [each[2:] for each in wrong(text)] == [("1/1/0", "1/0/1")]


def test_exceptions_are_named():
    (check,) = [each for each in checks_of(PAPER) if each.place == "Section 2"]
    assert check.exceptions == ("X+ACH at A/16 bits: 71.40 against 71.50",)


@pytest.mark.parametrize(("printed", "explained"), [("1.8", True), ("1.9", False)])
def test_what_unprinted_digits_could_explain_is_said(printed, explained):
    # The average is 1.745 after the change: 1.8 is half a unit and a hundredth away at most.
    text = PAPER.replace("80.90(↑0.40)", "80.99(↑0.49)").replace('X: "1.7"', f'X: "{printed}"')
    (check,) = [
        each for each in checks_of(text) if each.rule == "average_improvements" and not each.follows
    ]
    assert check.recomputed == "1.745"
    assert ("unprinted digits" in check.note) == explained
    assert "over all columns 0.91" in check.note


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("methods: [Y]\n", "methods: [W]\n", "unknown row 'W+ACH'"),
        ("other: I\n", "other: V\n", "unknown table 'V'"),
        ("datasets: [B]\n    bits", "datasets: [C]\n    bits", "unknown dataset 'C'"),
        ("bits: [8]\n    methods: [X]", "bits: [24]\n    methods: [X]", "no column has 24 bits"),
        ("bits: [8]\n    methods: [X]", "measures: [map]\n    methods: [X]", "no column has map"),
        ("cutoffs: [5]\n", "cutoffs: [7]\n", "no column has top-7"),
        ("[[A/top-10, B/top-10]]", "[[A/top-10, B/top-9]]", "unknown column 'B/top-9'"),
    ],
)
def test_a_derivation_of_what_is_not_there_is_refused(old, new, said):
    assert PAPER.count(old) == 1
    with pytest.raises(MedhashError) as error:
        checks_of(PAPER.replace(old, new))
    assert said in str(error.value)
    assert "small" in str(error.value)


def test_text_and_json_say_the_same():
    checks = checks_of(PAPER.replace("[149, 597]", "[149, 594]"))
    text, content = check_text(checks), json.loads(check_json(checks))
    assert content["checked"] == len(content["checks"]) - 1 == len(checks) - 1
    assert content["not_following"] == 1
    before, rest = text.split("Checked, follows:")
    after, undecided = rest.split("No printed number decides:")
    assert undecided == "\n  small, Section 21: it helps: no table is about it"
    assert "small, Section 10: parts: 149 + 594: printed 746, recomputed 743" in before
    assert len(after.strip().splitlines()) == len(checks) - 2
    assert text.startswith(f"{len(checks) - 1} derived numbers and statements")


# The real papers.


@pytest.fixture(scope="module")
def papers():
    return load_reported(PROJECT / "config/papers/reported")


@pytest.fixture(scope="module")
def real(papers):
    return check_reported([papers["ach"]])


def test_what_osdh_says_of_its_tables(papers):
    checks = check_reported([papers["osdh"]])
    assert len(checks) == 11
    found = [(each.printed, each.recomputed) for each in checks if not each.follows]
    assert found == [
        ("higher in all", "higher in 16, equal in 0, lower in 8 of 24"),
        ("higher on average in all", "higher on average in 4 of 6"),
    ]
    gains = [each.recomputed for each in checks if each.rule == "improvement_range"]
    assert gains == ["0.0467", "0.1133"]
    values = reported_values(papers["osdh"])
    assert len(values) == 33
    assert {len(value.value) for value in values} == {len("0.1234")}


def test_what_the_tables_derive_follows(real):
    for rule, count in (("arrows", 48), ("proportions", 21), ("pair_counts", 4)):
        checks = [each for each in real if each.rule == rule]
        assert len(checks) == count
        assert all(each.follows for each in checks), rule


def test_what_does_not_follow_in_the_paper(real):
    found = [(each.place, each.printed, each.recomputed) for each in real if not each.follows]
    summary = "Table IV, Summary(W/T/L) at"
    assert found == [
        ("Section V-C", "higher in all", "higher in 47, equal in 0, lower in 1 of 48"),
        ("Abstract; Section V-C", "0.2", "-0.06"),
        ("Section V-C", "1.3", "1.245"),
        ("Section V-C", "0.7", "0.6475"),
        (f"{summary} COVID-19 Radiograph/8 bits", "5/0/1", "5/1/0"),
        (f"{summary} COVID-19 Radiograph/16 bits", "5/0/1", "5/1/0"),
        (f"{summary} COVID-CT-Dataset/16 bits", "6/0/0", "5/0/1"),
        ("Section V-C", "<= 0.05 in all", "<= 0.05 in 46 of 48"),
        ("Section V-C", "higher in all", "higher in 4, equal in 20, lower in 0 of 24"),
        ("Section V-C", "higher in all", "higher in 3, equal in 1, lower in 0 of 4"),
        ("Section V-D-1", "higher in all", "higher in 19, equal in 0, lower in 5 of 24"),
        ("Section V-D-1", "higher in all", "higher in 0, equal in 0, lower in 8 of 8"),
        ("Section V-D-1", "greater in all", "greater in 0 of 8"),
        ("Section V-D-1", "greater in all", "greater in 7 of 8"),
        ("Section V-A", "746", "743"),
        ("Section V-A", "3264", "3273"),
    ]


# The command.


@pytest.fixture
def run(monkeypatch):
    monkeypatch.chdir(PROJECT)
    return lambda *arguments: CliRunner().invoke(cli.app, ["reported", *arguments])


def test_csv_prints_every_value_as_printed(run):
    rows = list(csv.reader(io.StringIO(run("--csv").stdout)))
    assert rows[0] == ["paper", "table", "dataset", "method", "axis", "at", "metric", "value"]
    assert sum(row[0] == "ach" for row in rows) == 474
    assert ["osdh", "2", "NIH ChestX-ray14", "OSDH-R", "measure", "acg_at@100"] in [
        row[:6] for row in rows
    ]
    place = ["ach", "III", "COVID-19 Radiograph", "DSH+ACH", "bits", "8"]
    assert rows[1 + 3 * 8] == [*place, "mAP", "75.08"]
    only = run("--csv", "--table", "VIII").stdout.splitlines()
    assert only[1] == "ach,VIII,COVID-19 Radiograph,ACH,bits,8,FPS,77.52"
    assert len(only) == 7


def test_tables_print_rows_as_printed(run):
    text = run("--table", "VI").stdout
    row = next(line for line in text.splitlines() if line.startswith("CSQ+ACH w/ TL(5/8)"))
    assert row.split()[3:] == [
        *("57.61", "57.95", "58.51", "59.27"),
        *("52.41", "49.60", "54.23", "49.25"),
    ]
    assert "COVID-CT-Dataset → Brain Tumor" in text
    assert "Table III" not in text
    papers = load_reported().values()
    assert text.strip() in tables_text(papers)
    assert csv_text(papers) == run("--csv").stdout


def test_check_exits_with_one_only_when_strict(run):
    assert run("--check").exit_code == 0
    assert run("--check", "--strict").exit_code == 1
    assert run("--check", "--strict", "--table", "VII").exit_code == 0
    content = json.loads(run("--check", "--json").stdout)
    ach = [each for each in content["checks"] if each["paper"] == "ach"]
    assert sum(not each["follows"] for each in ach) == 16
    assert {each["table"] for each in ach} == {*("III", "IV", "V", "VI", "VII", "VIII", "")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--check", "--csv"), "--csv and --check exclude each other"),
        (("--json",), "--json and --strict belong to --check"),
        (("--table", "IX"), "--table: unknown table 'IX'"),
        (("--check", "--table", "IX"), "--table: unknown table 'IX'"),
    ],
)
def test_options_that_make_no_sense_are_refused(run, arguments, said):
    result = run(*arguments)
    assert isinstance(result.exception, MedhashError)
    assert said in str(result.exception)
