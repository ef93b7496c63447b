"""The jobs that Snakemake plans, and what it refuses before any of them."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from medhash import methods
from medhash.configuration.loading import load
from medhash.data.cards import load_cards
from medhash.schema.datasets import without_split

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-dag")]

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(copy_project):
    """A copy that no test edits."""
    return copy_project()


def configured(project, **overrides):
    """The configuration of the copy, read without Snakemake."""
    return load(project.path("config/config.yaml"), overrides)


def expected_jobs(configuration):
    """Rule -> number of jobs, counted from the configuration alone."""
    images = "phantom" if configuration.phantoms else "prepare"
    sources = {cell.source for cell in configuration.cells if cell.source}
    trained = sources | set(configuration.cells)
    pretrained = {cell.dataset for cell in trained if not cell.origin}
    prepared = {cell.dataset for cell in trained} | {dataset for _, dataset in configuration.views}
    every_dataset = {images: len(set(map(without_split, prepared))), "split": len(prepared)}
    every_dataset["leakage"] = len(configuration.views)
    of_kind = {"fps": "fps", "lesion_retrieval": "lesions", "pointing": "pointing"}
    cells = {rule: set() for rule in ("record", "fps", "lesions", "pointing")}
    for spec in configuration.artefacts.values():
        cells[of_kind.get(spec.kind, "record")] |= set(spec.cells())
        if getattr(spec, "queries", "") == "lesions":
            cells["lesions"] |= set(spec.cells())
    every_cell = {"train": len(trained)} | {rule: len(own) for rule, own in cells.items()}
    artefacts = {"table": len(configuration.tables), "figure": len(configuration.figures)}
    pictures = [figure for figure in configuration.figures.values() if figure.shows_images]
    artefacts |= {"claims": 1, "report": 1}
    artefacts["explain"] = len({cell for figure in pictures for cell in figure.cells()})
    return Counter(
        every_dataset | every_cell | artefacts | {"pretrain": 2 * len(pretrained), "all": 1}
    )


@pytest.fixture(scope="module")
def demo_plan(project):
    result = project.snakemake("--profile", "demo", "--dry-run", "all")
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_the_demo_plans_what_the_configuration_lists(project, demo_plan):
    jobs = re.findall(r"^(?:local)?rule (\w+):$", demo_plan, re.M)
    assert Counter(jobs) == expected_jobs(configured(project, scale="demo"))


def test_every_job_says_what_it_needs_and_where_it_logs(demo_plan):
    blocks = re.split(r"^(?:local)?rule ", demo_plan, flags=re.M)[1:]
    steps = [block for block in blocks if not block.startswith("all")]
    assert len(steps) > 50
    for block in steps:
        needs = re.search(r"^    resources: (.*)$", block, re.M)[1]
        assert all(f"{name}=" in needs for name in ("gpu", "mem_mb", "runtime")), block
        assert re.search(r"^    log: logs/demo/\w+/", block, re.M), block


def test_training_asks_for_a_gpu_and_small_steps_do_not(demo_plan):
    blocks = re.split(r"^(?:local)?rule ", demo_plan, flags=re.M)[1:]
    asking = {block.split(":")[0] for block in blocks if "gpu=1" in block}
    assert {"pretrain", "train"} <= asking
    assert (
        not {"phantom", "split", "leakage", "record", "table", "figure", "claims", "report"}
        & asking
    )


def test_the_papers_grid_is_planned_without_archives(project):
    counts = project.planned("--config", "scale=paper", "--", "all")
    paper = configured(project, scale="paper")
    assert counts == expected_jobs(paper)
    assert counts["train"] >= len(paper.tables["ach/table3"].cells()) == 2 * 6 * 4 * 4


def test_one_table_plans_nothing_that_it_does_not_need(project):
    configuration = configured(project, scale="demo")
    cells = configuration.tables["ach/table4"].cells()
    counts = project.planned("--profile", "demo", "results/demo/ach/tables/table4.csv")
    assert counts["train"] == counts["record"] == len(cells) < len(configuration.cells)
    assert counts["table"] == 1
    assert not counts["figure"]
    assert not counts["leakage"]


def test_a_restricted_run_plans_only_its_datasets(project):
    choice = ["datasets=[covid_ct]", "bits=[12]"]
    arguments = ["--profile", "demo", "--config", "run=mine", *choice, "--"]
    counts = project.planned(*arguments, "all")
    asked = configured(project, scale="demo", datasets=["covid_ct"], bits=[12])
    assert counts == expected_jobs(asked)
    phantoms = {without_split(cell.dataset).split("~")[0] for cell in asked.cells}
    assert phantoms == {"phantom_covid_ct"}
    assert counts["leakage"] == 2  # of the paper's split and of the clean one


def test_two_papers_on_one_dataset_are_planned_side_by_side(copy_project):
    project = copy_project()
    project.thin("covid_ct")
    paper = yaml.safe_load(project.path("config/papers/ach.yaml").read_text())
    scale = yaml.safe_load(project.path("config/scales/demo.yaml").read_text())
    own = scale["settings"].pop("network")
    scale["grid"]["papers"] = ["ach", "other"]
    project.path("config/scales/demo.yaml").write_text(yaml.safe_dump(scale))
    for name, size in (("ach", 32), ("other", 64)):
        paper |= {"paper": name, "ablations": {}}
        paper["settings"]["network"] = own | {"image_size": size}
        project.path(f"config/papers/{name}.yaml").write_text(yaml.safe_dump(paper))
    paper["splits"] = {"covid_ct": {"rule": "random", "query": 0.5}}
    counts = project.planned("--profile", "demo", "all")
    each = {"phantom": 2, "split": 2, "leakage": 2, "pretrain": 4, "train": 4, "record": 4}
    assert counts == each | {"table": 2, "figure": 2, "report": 1, "all": 1}


def test_no_rule_spells_out_what_the_configuration_lists():
    rules = [PROJECT / "Snakefile", *(PROJECT / "workflow/rules").glob("*.smk")]
    text = "\n".join(path.read_text() for path in rules)
    names = [*methods.names(), *load_cards(PROJECT / "config/datasets.yaml"), "dbw", "lcr", "lfr"]
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
    assert not re.search(
        r"\b(8|12|16|24|32)\b", re.sub(r"(threads:|workflow.cores or).*", "", text)
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("methods=[hashnett]", "methods: unknown method 'hashnett'; did you mean 'hashnet'?"),
        ("bits=[8,7.5]", "bits.1: 7.5 must be a whole number"),
        ("settings={hashing: {epochs: -1}}", "settings.hashing.epochs: -1 must be at least 1"),
        (
            "settings={methods: {adsh: {quantization: 1}}}",
            "unknown key 'settings.methods.adsh.quantization'; did you mean 'quantisation'?",
        ),
    ],
)
def test_a_bad_setting_on_the_command_line_is_one_message(project, setting, message):
    result = project.snakemake("--profile", "demo", "--config", setting, "--", "all")
    assert result.returncode != 0
    assert f"{message}" in result.stdout
    assert "Traceback" not in result.stdout
    assert "pydantic" not in result.stdout
    assert "Job stats" not in result.stdout


def test_a_bad_setting_in_a_file_is_one_message(copy_project):
    own_project = copy_project()
    own_project.edit("config/scales/demo.yaml", "seeds: [0]", "seeds: [0, 0]")
    result = own_project.snakemake("--profile", "demo", "all")
    assert result.returncode != 0
    message = "medhash: config/scales/demo.yaml: seeds: 0 is listed twice"
    assert result.stdout.splitlines()[-1] == message
    assert len(result.stdout.splitlines()) <= 3


def test_a_scale_whose_name_a_shell_would_run_is_one_message(copy_project):
    own_project = copy_project()
    name = "d;id>x;"
    shutil.copy(
        own_project.path("config/scales/demo.yaml"), own_project.path(f"config/scales/{name}.yaml")
    )
    result = own_project.snakemake("--profile", "default", "--config", f"scale={name}", "--", "all")
    assert result.returncode != 0
    assert f"scale: {name!r} has characters that a name cannot have" in result.stdout
    assert len(result.stdout.splitlines()) <= 3
    assert not own_project.path("x").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("all_tabels", "'all_tabels' is nothing that this run makes; did you mean 'all_tables'?"),
        ("results/demo/ach/tables/table33.md", "table33.md' is nothing that this run makes"),
        ("results/other/ach/tables/table3.md", "or a file below results/demo, as"),
    ],
)
def test_a_wrong_target_is_one_message_with_the_right_ones(project, target, message):
    result = project.snakemake("--profile", "demo", "-n", "--", target)
    assert result.returncode != 0
    assert message in result.stdout
    named = "named targets: all, all_figures, all_leakage, all_tables, claims, report"
    assert named in result.stdout
    assert "MissingRule" not in result.stdout
    assert "Traceback" not in result.stdout


def test_files_are_named_as_what_they_are_wherever_a_target_is_asked_for(project):
    """Snakemake itself knows of each step its receipt alone."""
    table = "results/demo/ach/tables/table4.csv"
    cell = "results/demo/ach/cells/phantom_covid_ct/csq/none/8/0"
    named = ["--until", f"./{cell}/codes.npz", "--prioritize", f"{cell}/codes.npz", "--"]
    counts = project.planned("--profile", "demo", *named, table)
    assert counts == {"phantom": 1, "split": 1, "pretrain": 2, "train": 1}
    counts = project.planned("--profile", "demo", "--forcerun", f"{cell}/record.json", "--", table)
    assert counts["record"] == counts["train"] > counts["table"] == 1
    omitted = project.snakemake("--profile", "demo", "-n", "--omit-from", table, "--", table)
    assert omitted.returncode != 0
    receipt = "results/demo/receipts/table/ach/table4.json"
    assert f"--omit-from {table}: name its receipt instead: {receipt}" in omitted.stdout


def test_the_name_of_a_run_of_another_scale_is_one_message(project):
    for scale in ("demo", "small"):
        settings = ["run=twice", "datasets=[covid_ct]", "bits=[8]"]
        result = project.snakemake("--profile", scale, "--config", *settings, "-n", "--", "all")
    assert result.returncode != 0
    message = "medhash: results/twice: is a run of the scale 'demo', not of 'small'; choose"
    assert message in result.stdout
    assert "Traceback" not in result.stdout
    assert "rule leakage" not in result.stdout


def test_missing_archives_are_reported_before_any_job(project):
    settings = ["download=false", "run=here", "datasets=[covid_ct]"]
    result = project.snakemake("--profile", "small", "--config", *settings, "--", "all")
    assert result.returncode != 0
    assert "missing archives (looked in data/archives)" in result.stdout
    assert "https://github.com/UCSD-AI4H/COVID-CT" in result.stdout
    assert "waiting  ach/table3, ach/table4, " in result.stdout
    assert "No job was started" in result.stdout
    assert "rule prepare" not in result.stdout
    assert "brain_tumor_mri" not in result.stdout
