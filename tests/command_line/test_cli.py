"""The command line itself; the steps behind it have tests of their own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medhash.commands import app as cli
from medhash.configuration.loading import load
from medhash.retrieval.evaluation import evaluate_file

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(PROJECT)


@pytest.fixture
def codes(tmp_path):
    path = tmp_path / "codes.npz"
    draw = np.random.default_rng(0)
    np.savez(
        path,
        query_codes=draw.choice([-1, 1], (4, 8)),
        database_codes=draw.choice([-1, 1], (30, 8)),
        query_labels=np.array([0, 1, 0, 2]),
        database_labels=draw.integers(0, 2, 30),
    )
    return path


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def medhash(*arguments, folder=PROJECT):
    command = [sys.executable, "-m", "medhash.commands.app", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def output(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


COMMANDS = [
    *("prepare", "split", "leakage", "pretrain", "train", "record", "fps"),
    *("lesions", "table", "figure"),
    *("evaluate", "query", "archives", "cells", "show", "restore", "compare", "config"),
]


def test_help_names_every_command():
    text = output("--help")
    assert all(f" {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS[:10])
def test_help_of_a_step_says_what_it_writes(command):
    assert "Writes results/<run>/" in " ".join(output(command, "--help").split())


def test_start_up_imports_nothing_heavy():
    program = "import sys, medhash.commands.app; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"torch", "numpy", "pandas", "pydantic", "matplotlib"} & set(result.stdout.split())


def test_steps_without_torch_import_none():
    modules = ["medhash.records.scoring", "medhash.flow.steps", "medhash.analysis.tables.make"]
    program = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_an_error_is_one_message_without_traceback(tmp_path):
    result = medhash("cells", "--set", "bits=[0]")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "medhash: command line: bits.0: 0 must be at least 1\n"


def test_outside_of_the_project_it_says_where_to_go(tmp_path):
    result = medhash("cells", folder=tmp_path)
    assert result.returncode == 2
    assert "config/config.yaml: no such file; run this in the project's folder" in result.stderr


def test_evaluate_prints_the_keys_of_the_contract(codes):
    metrics = json.loads(output("evaluate", codes, "--json", "--at", 5, "--at", 10))
    keys = {"map", "map_at", "precision_at", "recall_at", "ndcg_at", "acg_at", "map_weighted"}
    assert keys | {"pr_curve", "tie_range", "queries_without_relevant"} <= set(metrics)
    assert "per_query_ap" not in metrics
    assert set(metrics["precision_at"]) == {"5", "10"}
    assert metrics["queries_without_relevant"] == 1
    assert metrics == evaluate_file(codes, "tie-aware", (5, 10))


def test_evaluate_knows_both_protocols_and_queries(codes):
    stable = ("evaluate", codes, "--json", "--protocol", "stable", "--per-query")
    metrics = json.loads(output(*stable))
    assert metrics == evaluate_file(codes, "stable", per_query=True)
    assert len(metrics["per_query_ap"]) == 4


def test_evaluate_for_people_shows_the_same_map(codes):
    text = output("evaluate", codes, "--per-query")
    assert f"mAP {evaluate_file(codes)['map']:.4f}" in text
    assert "query 3: AP 0.0000" in text
    assert "1 queries have no relevant item" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "stabel"], "protocol is one of tie-aware, stable, not 'stabel'"),
        (["--at", "0"], "a cutoff K is a whole number from 1, not 0"),
    ],
)
def test_evaluate_refuses_what_it_does_not_know(codes, arguments, message):
    result = run("evaluate", codes, *arguments)
    assert message in str(result.exception)


def test_evaluate_needs_no_project(codes, tmp_path):
    assert medhash("evaluate", codes, "--json", folder=tmp_path).returncode == 0


def test_cells_are_those_of_the_grid():
    options = ["--scale", "demo", "--set", "methods=[csq]", "--set", "bits=[8]"]
    lines = output("cells", *options, "--set", "datasets=[covid_ct]", "--run", "mine").split()
    variants = ("none", "dbw", "lcr", "ach")
    assert lines[:4] == [f"ach/phantom_covid_ct/csq/{variant}/8/0" for variant in variants]
    assert all(re.match(r"ach/phantom_covid_ct(\+clean|~[^/]+)?/csq/", line) for line in lines)
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "ach/covid_ct/cqs/ach/8/0"], "unknown method 'cqs'; did you mean 'csq'?"),
        (["train", "ach/covid_ct/csq/ahc/8/0"], "unknown variant 'ahc'; did you mean 'ach'?"),
        (
            ["record", "ach/covid_tc/csq/ach/8/0"],
            "unknown dataset 'covid_tc'; did you mean 'covid_ct'",
        ),
        (["train", "covid_ct"], "expected paper/dataset/method/variant/bits/seed"),
        (
            ["pretrain", "ach/covid_ct", "--stage", "mea"],
            "unknown stage 'mea'; did you mean 'mae'?",
        ),
        (["split", "ach/covid_tc"], "did you mean 'covid_ct'?"),
        (["table", "ach/table33"], "unknown table 'ach/table33'; did you mean 'ach/table3'?"),
        (["figure", "ach/fig77"], "unknown figure 'ach/fig77'; did you mean 'ach/fig7'?"),
        (["prepare", "phantom_covid_ct/64", "--scale", "small"], "this scale has no phantoms"),
        (["cells", "--set", "bits"], "expected KEY=VALUE"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(arguments, message):
    result = run(*arguments)
    assert message in str(result.exception)


def test_config_check_counts_what_would_run():
    text = output("config", "check", "--scale", "demo")
    demo = load(overrides={"scale": "demo"})
    counts = f"{len(demo.tables)} tables, {len(demo.figures)} figures, {len(demo.cells)} cells"
    assert text == f"The configuration is valid: scale demo, {counts}.\n"


def test_config_show_is_what_the_run_uses():
    text = output("config", "show", "--set", "settings.hashing.epochs=77", "--run", "mine")
    assert "epochs: 77" in text
    assert "ach/table3:" in text


def test_archives_are_listed_found_or_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDHASH_ARCHIVES", raising=False)
    choice = ["--set", f"archives={tmp_path}", "--set", "datasets=[covid_ct]"]
    text = output("archives", *choice, "--run", "mine")
    assert "missing archives" in text
    assert "waiting  ach/table3, ach/table4, " in text
    assert "generated" in output("archives", "--scale", "demo")


def test_show_marks_what_is_not_made_yet(tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(PROJECT / "config")
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "results/demo/ach/tables/table3.md"
    made.parent.mkdir(parents=True)
    made.write_text("")
    lines = output("show", "--scale", "demo").splitlines()
    table3, table4 = (next(line for line in lines if f"table{n}.md" in line) for n in (3, 4))
    assert "not made yet" not in table3
    assert "not made yet" in table4
