"""Verdicts of whole runs: from record files to claims.csv, claims.md and JSON."""

import csv
import io
import json
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medhash.analysis.numbers.context import Context, GridColumn, Place
from medhash.analysis.numbers.summaries import row_title
from medhash.commands import app as cli
from medhash.configuration.claimed import claim_inputs
from medhash.configuration.loading import load
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.papers.claims import load_printed
from medhash.papers.reported import load_reported
from medhash.verdicts.claims import PHANTOMS, decide_claims
from medhash.verdicts.run import load_runs
from medhash.verdicts.texts import csv_text, json_text, markdown

PROJECT = Path(__file__).resolve().parents[2]
METHODS = ("dsh", "hashnet", "adsh", "csq", "dbdh", "transhash")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the project's configuration and no results."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_record(project, record_values):
    """Writes a cell's record: ``write_record("ach/covid_ct/csq/ach/8/0", 0.7, scale="small")``.

    At the paper's scale a second seed has the same numbers.
    """

    def write(cell, ap, scale="paper", seconds=None, **options):
        place = cell.rpartition("/")[0]
        for own in (cell, f"{place}/1") if scale == "paper" else (cell,):
            content = record_values(own, ap, scale=scale, **options)
            content["training"]["seconds"] = seconds
            path = Layout(project / "results" / scale).record(own)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))

    return write


def decided(scale="paper", **overrides):
    """The verdicts. Of two seeds that are alike no interval has any width: they decide all."""
    seeds = {"seeds": [0, 1]} if scale == "paper" else {}
    runs = load_runs(load(overrides={"scale": scale} | seeds | overrides))
    return {decision.claim: decision for decision in decide_claims(runs)}


@pytest.fixture
def write_reported(project, write_record):
    """Writes records with the mAP values that the paper prints, in place of regenerated ones."""
    paper = load_printed("ach", PROJECT / "config/papers")
    reported = load_reported(PROJECT / "config/papers/reported")["ach"]
    context = Context(paper, "paper", "tie-aware", reported=reported)

    def write(*tables):
        for name in tables:
            spec = paper.tables[name]
            for cell in spec.cells():
                row = row_title(spec, Place.of(cell), context)
                origin = spec.origins[0] if cell.origin == "scratch" else cell.origin
                number = context.reported_number(
                    spec, row, GridColumn(cell.dataset, cell.bits, origin)
                )
                write_record(str(cell), float(number / 100))

    return write


def test_records_with_the_papers_numbers_get_the_papers_verdicts(write_reported):
    write_reported("table3", "table5", "table6", "table7")
    found = {name: decision.verdict for name, decision in decided().items()}
    reproduced = {name for name, verdict in found.items() if verdict == "reproduced"}
    refuted = {name for name, verdict in found.items() if verdict == "not reproduced"}
    # The curves of these records follow their mAP; the paper prints no numbers of its curves.
    curves = {f"precision_recall_{name}" for name in ("radiograph", "ct", "gains")}
    assert reproduced - curves == {
        *("ach_wins", "dbw_wins", "lcr_wins", "transfer_ach_wins", "lcr_wins_against_lfr"),
        *("dbw_helps", "lcr_helps", "ach_gain_greatest", "thermal_perfect", "transfer_helps"),
        *(f"ach_gain_{method}" for method in METHODS),
        *("lcr_beats_lfr", "dbw_improves_both", "ach_improves_ct", "dbw_helps_ct"),
    }
    # These records have four queries: other sizes than the paper's, and no significance.
    sizes = {"radiograph_queries", "ct_queries", "ct_database"}
    tests = {"ach_significant", "ach_significant_wins", "dbw_significant"}
    assert refuted - sizes - tests == {
        *("ach_improves", "ach_gain_least", "thermal_better", "thermal_dsh_hashnet"),
        *("transfer_ach", "transfer_pairwise_map", "transfer_pairwise_gain"),
        *("lcr_helps_ct", "transfer_pairwise_ach", "brain_tumor_queries", "brain_tumor_database"),
    }


def test_evidence_names_the_numbers_and_where_it_fails(write_reported):
    write_reported("table3")
    decision = decided()["ach_improves"]
    assert decision.evidence == (
        "higher in 47, equal in 0, lower in 1 of 48; differences -0.06 to 9.11 points; "
        "not in ADSH+ACH at COVID-CT-Dataset/16 bits: 80.55 against 80.61"
    )
    assert decision.data == (
        "COVID-19 Radiograph (8, 16, 24, 32 bits); COVID-CT-Dataset (8, 16, 24, 32 bits); "
        "seeds 0, 1"
    )
    assert (decision.missing, decision.partial, decision.note) == ("", "", "")
    assert (decision.scale, decision.tolerance) == ("paper", "±0 points")
    assert len(decision.cells) == 192
    assert "ach/covid_ct/adsh/ach/16/0" in decision.cells


def test_a_better_number_turns_a_verdict(write_reported, write_record):
    write_reported("table3")
    write_record("ach/covid_ct/adsh/ach/16/0", 0.8062)
    assert decided()["ach_improves"].verdict == "reproduced"
    write_record("ach/covid_ct/adsh/ach/16/0", 0.8061)
    assert decided()["ach_improves"].verdict == "not reproduced"


def test_one_record_less_and_nothing_is_decided(project, write_reported):
    write_reported("table3")
    Layout(project / "results/paper").record("ach/covid_ct/adsh/ach/32/0").unlink()
    decision = decided()["ach_improves"]
    assert (decision.verdict, decision.evidence) == ("not run", "")
    assert (
        decision.missing == "1 of 96 cells of covid_ct: ach/covid_ct/adsh/ach/32/0 (no record yet)"
    )
    assert decision.partial == (
        "higher in 46, equal in 0, lower in 1 of 47 that ran, of 48; "
        "differences -0.06 to 9.11 points; it can no longer hold"
    )
    assert decision.missing_cells == ("ach/covid_ct/adsh/ach/32/0",)


def write_pairs(write_record, bits=(8, 32), scale="small", gain=0.01, methods=METHODS):
    for method in methods:
        for length in bits:
            write_record(f"ach/covid_ct/{method}/none/{length}/0", 0.7, scale)
            write_record(f"ach/covid_ct/{method}/ach/{length}/0", 0.7 + gain, scale)


def test_columns_that_a_scale_leaves_out_are_missing(write_record):
    write_pairs(write_record)
    decision = decided("small")["ach_improves"]
    assert decision.verdict == "not run"
    assert decision.partial == (
        "higher in 12, equal in 0, lower in 0 of 12 that ran, of 48; differences 1 points; "
        "one seed has no interval; more seeds and what is missing decide"
    )
    assert decision.missing == (
        "covid_radiograph: all 48 cells (not part of this run); 24 of 48 cells of covid_ct: "
        "ach/covid_ct/{dsh,hashnet,adsh,csq,dbdh,transhash}/{ach,none}/{16,24}/0 "
        "(not part of this run)"
    )
    assert decision.data == "COVID-CT-Dataset (8, 32 bits); seed 0"


def test_cells_without_a_pattern_are_listed(write_record):
    write_pairs(write_record)
    write_record("ach/covid_ct/csq/lcr/8/0", 0.7, "small")
    missing = decided("small")["lcr_wins"].missing
    assert (
        "11 of 48 cells of covid_ct: ach/covid_ct/dsh/lcr/8/0, ach/covid_ct/dsh/lcr/32/0, "
        in missing
    )
    assert "and 5 more, which --json lists (no record yet)" in missing


def test_a_record_that_is_not_part_of_the_run_decides_nothing(write_record):
    write_pairs(write_record, bits=(8, 16, 24, 32))
    assert "of 12 that ran, of 48" in decided("small")["ach_improves"].partial


def test_a_claim_about_columns_that_all_ran_is_decided_at_a_small_scale(write_record):
    write_pairs(write_record, bits=(8,))
    decision = decided("small")["precision_recall_ct"]
    assert (decision.verdict, decision.scale) == ("undecided", "small")
    assert decision.reads == "at this scale so far undecided by 1 seed"
    for method in METHODS:
        write_record(f"ach/covid_ct/{method}/none/8/1", 0.71, "small")
        write_record(f"ach/covid_ct/{method}/ach/8/1", 0.72, "small")
    decision = decided("small", seeds=[0, 1])["precision_recall_ct"]
    assert decision.verdict == "holds so far"
    assert decision.reads == "at this scale so far it holds"
    assert decision.note.startswith(
        "scale small has other settings than the paper prints: network.image_size, network.width"
    )


def test_settings_that_are_the_papers_need_no_note(write_record):
    write_pairs(write_record, bits=(8,), scale="paper")
    assert decided("paper")["precision_recall_ct"].note == ""
    changed = decided("paper", settings={"hashing": {"epochs": 3}})["precision_recall_ct"]
    assert changed.note == "scale paper has other settings than the paper prints: hashing.epochs"


def test_every_seed_has_to_run(write_record):
    for method in METHODS:
        for seed, gain in ((0, 0.02), (1, 0.02)):
            write_record(f"ach/covid_ct/{method}/none/8/{seed}", 0.7, "small")
            write_record(f"ach/covid_ct/{method}/ach/8/{seed}", 0.7 + gain, "small")
    both = decided("small", seeds=[0, 1])["precision_recall_ct"]
    assert both.verdict == "holds so far"
    assert both.data.endswith("seeds 0, 1")
    three = decided("small", seeds=[0, 1, 2])["precision_recall_ct"]
    assert three.verdict == "not run"
    assert "ach/covid_ct/{dsh,hashnet,adsh,csq,dbdh,transhash}/{ach,none}/8/2" in three.missing
    one = decided("small", seeds=[1])["precision_recall_ct"]
    assert one.reads == "at this scale so far undecided by 1 seed"
    assert one.evidence.startswith("higher in 6, equal in 0, lower in 0 of 6; differences")


def test_a_test_is_made_query_by_query(write_record):
    generator = np.random.default_rng(0)
    for dataset in ("covid_radiograph", "covid_ct"):
        for method in METHODS:
            for bits in (8, 16, 24, 32):
                base = generator.uniform(0.4, 0.6, 40)
                lost = (dataset, method, bits) == ("covid_ct", "csq", 8)
                better = base + generator.uniform(0.0, 0.1, 40) * (-1 if lost else 1)
                write_record(f"ach/{dataset}/{method}/none/{bits}/0", base)
                write_record(f"ach/{dataset}/{method}/ach/{bits}/0", better)
    found = decided()
    assert found["ach_significant"].verdict == "reproduced"
    assert found["ach_significant_wins"].verdict == "reproduced"
    assert found["ach_significant_wins"].evidence.startswith(
        "p <= 0.05 in favour of the first: in 47 of 48; not in CSQ+ACH vs. CSQ at COVID-CT"
    )
    assert found["dbw_significant"].verdict == "not run"


def test_records_of_other_queries_cannot_be_compared(write_record):
    write_record("ach/covid_ct/csq/none/8/0", 0.7, "small", rows=[1, 2, 3, 4])
    write_record("ach/covid_ct/csq/ach/8/0", 0.7, "small", rows=[1, 2, 3, 5])
    with pytest.raises(MedhashError, match="csq/ach/8/0 and ach/covid_ct/csq/none/8/0 cannot be"):
        decided("small")


def test_a_record_of_another_scale_is_refused(project, write_record):
    write_record("ach/covid_ct/csq/none/8/0", 0.7, "paper")
    (project / "results/paper").rename(project / "results/small")
    with pytest.raises(MedhashError, match="scales never mix"):
        decided("small")


def speed(cell, fps, scale="paper"):
    paper, dataset, method, variant, bits, seed = cell.split("/")
    names = {"paper": paper, "dataset": dataset, "method": method, "variant": variant}
    return {
        "schema": 1,
        "scale": scale,
        "cell": {**names, "bits": int(bits), "seed": int(seed)},
        "database": 597,
        "query_pixels": {"median_width": 400.0, "median_height": 300.0},
        "network_pixels": 128,
        "single": {"queries": 9, "median_seconds": 1 / fps, "p95_seconds": 1 / fps, "fps": fps},
        "batched": {"batch_size": 64, "images_per_second": 900.0},
        "device": {"type": "cuda", "name": "A card"},
        "threads": 1,
        "cores": 4,
        "load_average": 1.0,
        "precision": "float32",
        "environment": {"torch": "2.11", "platform": "Linux"},
        "measured": "2026-01-02T03:04:05+00:00",
    }


def write_speeds(project, scale="paper", slowest=60.01):
    cells = [
        f"ach/{dataset}/adsh/ach/{bits}/0"
        for dataset in ("covid_radiograph", "covid_ct", "brain_tumor_mri")
        for bits in (8, 32)
    ]
    for cell in cells:
        fps = slowest if cell == cells[-1] else 77.5
        path = Layout(project / "results/paper").speed(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(speed(cell, fps, scale)))


def test_speed_is_decided_by_measurements_and_names_the_machine(project):
    write_speeds(project)
    decision = decided()["real_time"]
    assert decision.verdict == "reproduced"
    assert decision.evidence == "> 60: in 6 of 6; 60.01 to 77.5 FPS"
    assert decision.data.endswith("seed 0; timed on A card (float32)")
    write_speeds(project, slowest=60.0)
    decision = decided()["real_time"]
    assert decision.verdict == "not reproduced"
    assert decision.evidence.endswith("not in ADSH+ACH at Brain Tumor/32 bits: 60.00")


def test_a_measurement_of_another_scale_is_refused(project):
    write_speeds(project, scale="small")
    with pytest.raises(MedhashError, match=r"speed of cell .*scales never mix"):
        decided()


def search(cell, precision, change, **changes):
    latency = {"queries": 9, "median_seconds": 0.01, "p95_seconds": 0.02, "fps": 100.0}
    content = speed(cell, 100.0, "small") | {
        "protocol": "tie-aware",
        "depth": 10,
        "asked_per_class": 10,
        "patches": 20,
        "source": "found",
        "areas_sha256": "a" * 64,
        "covered": 0.1,
        "precision_at_10": {"patches": precision, "images": 0.7},
        "by_class": {},
        "relevant_share": 0.5,
        "runtime": {"patches": latency, "images": latency, "change": change},
    }
    return content | changes


def write_search(project, variant, *arguments, **changes):
    cell = f"ach/covid_ct/adsh/{variant}/8/0"
    path = Layout(project / "results/small").lesions(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(search(cell, *arguments, **changes)))


def test_lesion_patches_decide_by_their_searches(project):
    write_search(project, "none", 0.53, -0.02)
    write_search(project, "ach", 0.61, -0.0601)
    found = decided("small")
    assert found["lesion_precision_ct"].evidence == (
        "53 points (one seed has no interval), printed 52.00"
    )
    assert found["lesion_gain_ct"].evidence == (
        "8 points (one seed has no interval), printed 12.00"
    )
    assert found["lesion_runtime_ct"].evidence == "-6.01 %, printed -9"
    # What a search finds depends on how the network was trained, how long it takes does not.
    assert found["lesion_precision_ct"].verdict == found["lesion_gain_ct"].verdict == "undecided"
    assert found["lesion_runtime_ct"].verdict == "holds so far"
    for name in ("lesion_precision_ct", "lesion_gain_ct", "lesion_runtime_ct"):
        assert found[name].data.endswith(
            "seed 0; lesions: 20 patches, found by C2F-LP, not marked by a reader"
        )
    assert found["lesion_improves"].verdict == "not run"
    assert found["lesion_improves"].partial.startswith("higher in 1, equal in 0, lower in 0 of 1")
    write_search(project, "ach", 0.599, -0.0599)
    assert decided("small")["lesion_runtime_ct"].verdict == "does not hold so far"


def test_lesions_that_nobody_marked_are_missing(project):
    path = Layout(project / "results/small").lesions("ach/covid_ct/adsh/none/8/0")
    path.parent.mkdir(parents=True)
    names = {"paper": "ach", "dataset": "covid_ct", "method": "adsh", "variant": "none"}
    content = {"schema": 1, "scale": "small", "cell": {**names, "bits": 8, "seed": 0}}
    path.write_text(json.dumps(content | {"patches": 0, "reason": "no lesion is marked"}))
    missing = decided("small")["lesion_gain_ct"].missing
    assert "ach/covid_ct/adsh/none/8/0 (no lesion is marked)" in missing
    assert "ach/covid_ct/adsh/ach/8/0 (not measured yet)" in missing


@pytest.mark.parametrize(
    "changes", [{"areas_sha256": "b" * 64}, {"protocol": "stable"}, {"scale": "paper"}]
)
def test_other_patches_or_scores_are_not_compared(project, changes):
    write_search(project, "none", 0.53, -0.02)
    write_search(project, "ach", 0.61, -0.06, **changes)
    with pytest.raises(MedhashError, match=r"lesion patches of cell ach/covid_ct/adsh/ach/8/0"):
        decided("small")


def test_training_time_comes_from_the_records(write_record):
    for method in METHODS:
        for dataset in ("covid_radiograph", "covid_ct"):
            for bits in (8, 16, 24, 32):
                write_record(f"ach/{dataset}/{method}/none/{bits}/0", 0.7, seconds=10.0)
                write_record(f"ach/{dataset}/{method}/ach/{bits}/0", 0.7, seconds=10.5)
    assert decided()["training_takes_longer"].verdict == "reproduced"
    write_record("ach/covid_ct/csq/ach/8/0", 0.7, seconds=None)
    decision = decided()["training_takes_longer"]
    assert decision.missing == (
        "2 of 96 cells of covid_ct: ach/covid_ct/csq/ach/8/{0,1} (the record lacks the number)"
    )


def test_precision_without_the_cutoff_is_missing(write_record):
    write_pairs(write_record, bits=(8,))  # these records have P@1, P@10 and P@100 only
    decision = decided("small")["precision_ct"]
    assert decision.verdict == "not run"
    assert "covid_ct: all 12 cells (the record lacks the number)" in decision.missing


def test_phantoms_decide_nothing(project, write_record):
    write_pairs(write_record, bits=(8,), scale="demo")
    for decision in decided("demo").values():
        assert (decision.verdict, decision.missing) == ("not run", PHANTOMS)
        assert (decision.evidence, decision.partial, decision.data) == ("", "", "")
    assert claim_inputs(load(overrides={"scale": "demo"})) == []


def test_the_inputs_are_the_files_of_this_run(project):
    layout = Layout(Path("results/small"))
    paths = claim_inputs(load(overrides={"scale": "small"}))
    assert layout.record("ach/covid_ct/dsh/ach/8/0") in paths
    assert layout.record("ach/brain_tumor_mri@covid_ct/csq/ach/8/0") in paths
    assert layout.speed("ach/covid_ct/adsh/ach/8/0") in paths
    assert layout.record("ach/covid_ct/dsh/ach/16/0") not in paths
    assert len(paths) == len(set(paths))


def test_area_under_a_curve(record):
    curve = record("ach/covid_ct/csq/none/2/0", 0.5)
    points = {"radius": [0, 1, 2], "precision": [None, 0.8, 0.4], "recall": [0.0, 0.5, 1.0]}
    area = type(curve.metrics.pr_curve)(**points).area
    assert area == pytest.approx(0.5 * 0.8 + 0.5 * 0.6)


def test_the_command_writes_two_files_and_the_same_bytes_twice(project, write_record):
    write_pairs(write_record)
    paths = [project / "results/small" / name for name in ("claims.csv", "claims.md")]
    texts = []
    for _ in range(2):
        result = CliRunner().invoke(cli.app, ["claims", "--scale", "small"])
        assert result.exit_code == 0, result.output
        texts.append([path.read_bytes() for path in paths])
    assert texts[0] == texts[1]
    rows = list(csv.DictReader(io.StringIO(texts[0][0].decode())))
    assert f"Scale small: {len(rows)} claims" in result.output
    assert list(rows[0])[:12] == [
        *("paper", "claim", "place", "says", "verdict", "reads", "evidence", "missing"),
        *("partial", "scale", "data", "tolerance"),
    ]
    verdicts = {row["claim"]: row["verdict"] for row in rows}
    assert verdicts["precision_recall_ct"] == "undecided"
    assert set(verdicts.values()) == {"undecided", "does not hold so far", "not run"}
    page = texts[0][1].decode()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:3] == ["## Does not hold so far", "## Undecided", "## Not run"]
    assert "reproduced |" not in page
    assert "## What no regenerated number decides" in page
    assert all(line.count(" | ") == 4 for line in page.splitlines() if line.startswith("|"))


def test_csv_and_json_are_printed_and_nothing_is_written(project, write_record):
    write_pairs(write_record)
    runner = CliRunner()
    printed = runner.invoke(cli.app, ["claims", "--scale", "small", "--csv"]).output
    assert printed.splitlines()[0].startswith("paper,claim,place,says,verdict")
    content = json.loads(runner.invoke(cli.app, ["claims", "--scale", "small", "--json"]).output)
    assert sum(content["counts"].values()) == len(content["claims"])
    one = next(each for each in content["claims"] if each["claim"] == "ach_improves")
    assert len(one["cases"]) == 48
    assert (
        one["cases"].count(["DSH+ACH at COVID-CT-Dataset/8 bits: 71.00 against 70.00", "W?"]) == 1
    )
    assert len(one["missing_cells"]) == 72
    assert not (project / "results/small/claims.csv").exists()
    both = runner.invoke(cli.app, ["claims", "--csv", "--json"])
    assert isinstance(both.exception, MedhashError)


def test_the_order_of_cells_changes_nothing(project, write_record):
    write_pairs(write_record)
    runs = load_runs(load(overrides={"scale": "small"}))
    first = decide_claims(runs)
    other = [
        replace(run, facts={name: dict(reversed(own.items())) for name, own in run.facts.items()})
        for run in runs
    ]
    second = decide_claims(other)
    assert (csv_text(first), json_text(first)) == (csv_text(second), json_text(second))
    assert markdown(first, runs) == markdown(second, other)


def test_a_paper_without_claims_has_no_verdicts(project):
    (project / "config/papers/claims/ach.yaml").unlink()
    assert {decision.paper for decision in decided("small").values()} == {"mth", "osdh", "ynet"}


def test_the_digits_are_those_that_tables_print(write_record):
    write_record("ach/covid_ct/dsh/none/8/0", 0.770649)
    run = load_runs(load(overrides={"scale": "paper", "seeds": [0, 1]}))[0]
    claim = run.claimed.claims.claims["ach_improves"]
    grid = run.grid(claim)
    need = grid.need("none", grid.spots("dsh")[4])
    assert grid.numbers.value(need).amount == Decimal("77.06")
