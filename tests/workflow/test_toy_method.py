"""A method in one file gets into the table, and what makes its steps run again.

One small run on phantoms is shared by all tests here; each then asks Snakemake what it would do.
"""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from medhash.commands.warm import ADDRESS

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-run")]

PROJECT = Path(__file__).resolve().parents[2]
TABLE = "results/toy/ach/tables/table3.csv"
VARIANTS = ["none", "dbw", "lcr", "ach", "lfr", "dbw+lfr"]
METHOD = "src/medhash/methods/toy.py"
CHOICE = [
    "papers=[ach]",
    "methods=[toy]",
    f"variants=[{','.join(VARIANTS)}]",
    "bits=[8]",
    "datasets=[covid_ct]",
    "run=toy",
]
ALL_CELLS = {"train": 6, "record": 6, "table": 1}


@pytest.fixture(scope="module")
def run(copy_project):
    """The tree after `snakemake --profile demo` made Table III of the toy method."""
    tree = copy_project()
    shutil.copy(PROJECT / "examples/toy_method.py", tree.path(METHOD))
    stage = {"epochs": 1}
    settings = {"mae": stage, "classification": stage, "hashing": stage}
    smaller = {"phantoms": {"images": 48}, "settings": settings}
    tree.edit_yaml("config/scales/demo.yaml", smaller)
    result = tree.snakemake("--profile", "demo", "--config", *CHOICE, "--", TABLE)
    assert result.returncode == 0, result.stdout
    return tree


@pytest.fixture
def changed(run):
    """Edit a file of the tree for one test."""
    before = {}

    def edit(name, old, new):
        before.setdefault(name, run.path(name).read_text())
        run.edit(name, old, new)

    yield edit
    for name, text in before.items():
        run.path(name).write_text(text)


def planned(tree, *settings):
    chosen = {setting.split("=")[0]: setting for setting in [*CHOICE, *settings]}
    return tree.planned("--profile", "demo", "--config", *chosen.values(), "--", TABLE)


def test_the_table_has_the_method_with_all_six_variants(run):
    rows = pd.read_csv(run.path(TABLE), dtype=str)
    assert set(rows["variant"]) == set(VARIANTS)
    assert set(rows["method"]) == {"toy"}
    ran = rows[rows["dataset"] == "phantom_covid_ct"]
    assert ran["map_percent"].astype(float).between(0, 100).all()
    text = run.path(TABLE).with_suffix(".md").read_text()
    assert all(name in text for name in ("toy+ACH", "toy+DBW+LFR", "Synthetic phantoms"))


def test_what_orchestration_cost_is_read_from_log_and_receipts(run):
    result = run.python(str(PROJECT / "benchmarks/bench_orchestration.py"))
    assert result.returncode == 0, result.stdout
    jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+) ", result.stdout, re.M)}
    assert jobs == ALL_CELLS | {"phantom": 1, "split": 1, "pretrain": 2, "all": 17}
    overhead, own, wall, cores = (
        float(re.search(rf"^{fact} +([\d.]+)", result.stdout, re.M)[1])
        for fact in ("overhead a job", "own work of the steps", "wall time", "wall time.* on")
    )
    assert own > 0
    assert overhead == pytest.approx((wall * cores - own) / 17, abs=0.05)


def test_a_finished_run_has_nothing_to_do(run):
    assert planned(run) == {}


def test_the_tables_code_and_another_methods_make_the_table_again(run, changed):
    changed("src/medhash/methods/csq.py", "pow(2)", "pow(4)")
    changed("src/medhash/analysis/tables/rendering.py", "\nimport", "\nEXTRA = 1\nimport")
    assert planned(run) == {"table": 1}


def test_the_methods_own_setting_runs_the_cells_again(run):
    assert planned(run, "settings={methods: {toy: {sharpness: 2.0}}}") == ALL_CELLS


def test_a_longer_list_runs_only_what_is_new(run):
    assert planned(run, "bits=[8,16]") == ALL_CELLS
    assert planned(run, "variants=[none,ach]") == {"table": 1}


def test_jobs_begin_in_copies_where_it_pays(run, monkeypatch):
    options = ["--profile", "demo", "--forcerun", "record", "--config", *CHOICE]
    said = "Jobs begin in copies of a process that has loaded torch"
    assert said not in run.snakemake(*options, "--dry-run", "--", TABLE).stdout
    assert said not in run.snakemake(*options, "--forcerun", "table", "--", TABLE).stdout
    several = run.snakemake(*options, "--", TABLE)
    assert several.returncode == 0, several.stdout
    assert said in several.stdout
    monkeypatch.setenv(ADDRESS, "off")
    assert said not in run.snakemake(*options, "--", TABLE).stdout


def test_a_cell_that_fails_is_named_with_its_log_and_stops_no_other(run):
    broken = run.path("src/medhash/methods/broken.py")
    text = run.path(METHOD).read_text()
    broken.write_text(
        text.replace("return (products - target)", "return (products * 1e40 - target)")
    )
    choice = ["methods=[broken,toy]", "variants=[none]", *CHOICE[2:]]
    try:
        result = run.snakemake("--profile", "demo", "--config", *choice, "--", TABLE)
    finally:
        broken.unlink()
    log = "logs/toy/train/ach/phantom_covid_ct/broken/none/8/0.log"
    assert result.returncode != 0
    assert f"train ach/phantom_covid_ct/broken/none/8/0  {log}" in result.stdout
    assert "epoch" in run.path(log).read_text()
    assert "Traceback" not in run.path(log).read_text()
