"""What runs again is decided by content: Snakemake is asked after every kind of change.

The tree that is asked was made by hand, command by command: Snakemake has to accept that too.
"""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from medhash.configuration.paths import Layout

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-content")]

RESULTS = Path("results/demo")
TABLE = RESULTS / "ach/tables/table3.csv"
FIGURE = RESULTS / "ach/figures/fig7.pdf"
DATASETS = ["phantom_covid_radiograph", "phantom_covid_ct"]
CELLS = {"train": 4, "record": 4, "table": 1, "figure": 1}
CELLS_OF_ONE_METHOD = {"train": 2, "record": 2, "table": 1, "figure": 1}
OF_ONE_SPLIT = CELLS_OF_ONE_METHOD | {"split": 1, "leakage": 1, "pretrain": 2}
STEPS = 2 * len(("phantom", "split", "leakage", "mae", "classification", "dsh", "csq")) + 7
ONE_CELL = f"ach/{DATASETS[1]}/csq/none/8/0"
FOLDER = Layout(RESULTS).cell(ONE_CELL)
AT_LAST = {"report": 1, "all": 1}


@pytest.fixture(scope="module")
def made(copy_project):
    """A finished tree: a table and a figure of four small cells. No test changes it."""
    tree = copy_project()
    tree.thin("covid_radiograph", "covid_ct")
    tree.make_by_hand("demo")
    return tree


def clone(tree, folder, *left_out):
    """What git would check out: other times, nothing of .snakemake or the cache."""
    names = shutil.ignore_patterns(".snakemake", ".cache", "logs", "__pycache__", *left_out)
    shutil.copytree(tree.root, folder, symlinks=True, ignore=names, copy_function=shutil.copyfile)
    copied = type(tree).__new__(type(tree))
    copied.root = folder
    return copied


def planned(tree, *targets, **settings):
    chosen = ["run=mine", f"settings={json.dumps(settings)}"] if settings else []
    options = ["--config", *chosen] if chosen else []
    return tree.planned("--profile", "demo", *options, "--", *map(str, targets or ["all"]))


def dry_run(tree):
    return tree.snakemake("--profile", "demo", "--dry-run", "all").stdout


def restore(tree):
    return tree.medhash("restore", "--scale", "demo")


def receipt(tree, name):
    return tree.path(RESULTS / "receipts" / f"{name}.json")


def test_a_run_by_hand_leaves_nothing_to_do(made):
    assert planned(made) == {}


def test_a_clone_with_pulled_files_is_restored_and_has_nothing_to_do(made, tmp_path):
    cloned = clone(made, tmp_path / "clone")
    # Inputs newer than outputs and a clock that goes ahead: no file's time is believed.
    for path in cloned.path(RESULTS / "data").rglob("*"):
        os.utime(path, (2e9, 2e9))
    result = restore(cloned)
    assert result.returncode == 0
    assert result.stdout == (
        f"Scale demo: {STEPS} of {STEPS} steps fit their receipts.\nNothing has to be made again.\n"
    )
    assert planned(cloned) == {}


def test_one_figure_in_a_clone_without_data_and_checkpoints(made, tmp_path):
    cloned = clone(made, tmp_path / "clone", "*.npy", "*.safetensors")
    restored = restore(cloned)
    assert restored.returncode == 0
    assert re.search(rf"^  2 images.npy: {RESULTS}/data/\w+/32/images.npy, ", restored.stdout, re.M)
    assert "  4 checkpoint.safetensors: " in restored.stdout
    before = cloned.path(FIGURE).read_bytes()
    cloned.path(FIGURE).unlink()
    used = children_seconds()
    result = cloned.snakemake("--profile", "demo", "all")
    # The processor's time, which others on the machine do not lengthen.
    assert children_seconds() - used < 20
    assert result.returncode == 0, result.stdout
    assert cloned.counts(result.stdout) == {"figure": 1, **AT_LAST}
    assert cloned.path(FIGURE).read_bytes() == before
    assert planned(cloned) == {}


def children_seconds():
    times = os.times()
    return times.children_user + times.children_system


def test_a_deleted_checkpoint_is_made_again_only_for_who_reads_it(tree):
    tree.path(FOLDER / "checkpoint.safetensors").unlink()
    tree.path(FIGURE).unlink()
    assert planned(tree) == {"figure": 1, **AT_LAST}
    # training.json tells times: what reads it is made again in the same run.
    asked = planned(tree, TABLE, FOLDER / "explanation.npz")
    assert asked == {"train": 1, "explain": 1, "record": 1, "table": 1}


def test_data_that_one_step_asks_for_set_off_no_other(tree):
    for name in DATASETS:
        shutil.rmtree(tree.path(RESULTS / "data" / name))
        tree.path(RESULTS / "ach/pretrain" / name / "mae.safetensors").unlink()
    asked = planned(tree, TABLE, FOLDER / "explanation.npz")
    assert asked == {"phantom": 1, "explain": 1}


def test_comments_and_formatting_run_nothing(tree):
    for path in tree.path("src/medhash").rglob("*.py"):
        spaced = path.read_text().replace("\n\n\n", "\n\n\n\n# a comment\n\n")
        path.write_text(f"{spaced}\n# the end\n")
    tree.edit("src/medhash/causal/dbw.py", '"""Debiased weighting', '"""Other words')
    assert planned(tree) == {}


def test_the_loss_of_a_method_runs_its_cells_and_what_is_made_of_them(tree):
    tree.edit("src/medhash/methods/dsh.py", "    def similarity_loss(", DIFFERENCE)
    text = dry_run(tree)
    assert tree.counts(text) == CELLS_OF_ONE_METHOD | AT_LAST
    made = [line for line in text.splitlines() if re.match(r" +wildcards: .*cell=", line)]
    assert len(made) == 4
    assert all("/dsh/none/8/0" in line for line in made)
    assert "changed code in medhash.methods.dsh" in restore(tree).stdout


DIFFERENCE = "    EXTRA = 1\n\n    def similarity_loss("


def test_a_step_that_is_made_again_with_the_same_bytes_trains_nothing(tree):
    path = tree.path("src/medhash/data/phantoms/canvas.py")
    path.write_text(f"{path.read_text()}\nNOTHING_READS_IT = 1\n")
    record, facts = FOLDER / "record.json", tree.path(FOLDER / "training.json")
    before = facts.read_bytes()
    result = tree.snakemake("--profile", "demo", "--", str(record))
    assert result.returncode == 0, result.stdout
    behind = {"split": 1, "pretrain": 2, "train": 1, "record": 1}
    assert tree.counts(result.stdout) == {"phantom": 1} | behind
    logs = [path.read_text() for path in tree.path("logs/demo").rglob("*.log")]
    assert sum(log.endswith(": fits its receipt by now; nothing was done\n") for log in logs) == 5
    assert facts.read_bytes() == before
    assert planned(tree, record) == {}
    forced = tree.snakemake("--profile", "demo", "--force", "--", str(record))
    assert forced.returncode == 0, forced.stdout
    assert "nothing was done" not in tree.path(f"logs/demo/record/{ONE_CELL}.log").read_text()


def test_a_hyperparameter_of_a_method_runs_its_cells(made):
    changes = planned(made, methods={"csq": {"quantisation": 0.5}})
    assert changes == CELLS_OF_ONE_METHOD | AT_LAST


def test_the_seed_of_a_split_runs_what_depends_on_it(tree):
    tree.edit_yaml("config/datasets.yaml", SEED_OF_ONE_SPLIT)
    assert planned(tree) == OF_ONE_SPLIT | AT_LAST


SEED_OF_ONE_SPLIT = {"covid_ct": {"split": {"seed": 5}}}


def test_settings_of_scoring_train_nothing(made):
    changes = planned(made, evaluation={"cutoffs": [3]})
    assert changes == {"record": 4, "table": 1, "figure": 1} | AT_LAST


def test_what_was_edited_or_has_no_valid_receipt_is_named_and_made_again(tree):
    record, edited = FOLDER / "record.json", RESULTS / "ach/tables/table3.md"
    text = tree.path(record).read_text()
    tree.path(record).write_text(text.replace('"bits": 8', '"bits": 9', 1))
    with tree.path(edited).open("a") as stream:
        stream.write("\n")
    receipt(tree, "leakage/ach/phantom_covid_ct/0").unlink()
    old = receipt(tree, "leakage/ach/phantom_covid_radiograph/0")
    old.write_text(old.read_text().replace('"schema": 1', '"schema": 0'))
    text = dry_run(tree)
    assert tree.counts(text) == {"record": 1, "leakage": 2, "table": 1, "figure": 1} | AT_LAST
    warning = text.split("These files are not accepted and are made again:\n")[1]
    assert re.search(rf"^  {record}: its SHA-256 is \w+…, not \w+…", warning, re.M)
    assert re.search(rf"^  {edited}: its SHA-256 is", warning, re.M)
    assert "leakage/phantom_covid_ct/0.csv: has no receipt" in warning
    restored = restore(tree)
    assert restored.returncode == 1
    assert f"  {record}: its SHA-256 is" in restored.stdout
    assert f"{old.relative_to(tree.root)}: is of schema 0, wanted is 1" in restored.stdout
    assert f"{STEPS - 6} of {STEPS} steps fit" in restored.stdout


def test_what_another_machine_made_is_accepted_if_it_was_made_of_the_same(tree, tmp_path):
    """Another machine trains a cell: its training took another time, which the record tells."""
    other = clone(tree, tmp_path / "other")
    shutil.rmtree(other.path(FOLDER))
    other.make_by_hand("demo", str(FOLDER / "record.json"))
    bring(other, tree, "record")
    assert planned(tree) == {"table": 1, "figure": 1} | AT_LAST
    bring(other, tree, "train")
    assert planned(tree) == {"table": 1, "figure": 1} | AT_LAST


def bring(other, tree, *rules):
    """Copy a cell's record, or its whole folder, with receipts."""
    for rule in rules:
        shutil.copy(receipt(other, f"{rule}/{ONE_CELL}"), receipt(tree, f"{rule}/{ONE_CELL}"))
    for path in other.path(FOLDER).iterdir():
        if "train" in rules or path.stem == "record":
            shutil.copy(path, tree.path(FOLDER / path.name))


def test_forced_steps_run_with_what_is_made_of_them(made):
    forced = made.planned("--profile", "demo", "--forcerun", "record", "--", "all")
    assert forced == {"record": 4, "table": 1, "figure": 1} | AT_LAST
    everything = made.planned("--profile", "demo", "--forceall", "all")
    before = {"phantom": 2, "split": 2, "leakage": 2, "pretrain": 4} | AT_LAST
    assert everything == CELLS | before


def test_a_killed_run_leaves_no_half_file_and_the_next_one_goes_on(tree):
    setting = "settings={hashing: {epochs: 100}}"
    folder = Layout(Path("results/long")).cell(ONE_CELL)
    options = ["--profile", "demo", "--config", "run=long", setting]
    options += ["--", str(folder / "record.json")]
    kill_when_there(tree.start(*options), tree.path(folder / ".resume.safetensors"))
    # A file is whole or not there.
    assert not [path for path in tree.path(folder).iterdir() if path.name[0] != "."]
    assert not tree.path(f"results/long/receipts/train/{ONE_CELL}.json").exists()
    blocked = tree.snakemake(*options)
    assert blocked.returncode != 0
    assert "--unlock" in blocked.stdout
    assert tree.snakemake("--profile", "demo", "--unlock").returncode == 0
    result = tree.snakemake(*options)
    assert result.returncode == 0, result.stdout
    assert tree.counts(result.stdout) == {"train": 1, "record": 1}
    assert len(tree.path(folder / "train.csv").read_text().splitlines()) == 101
    assert not list(tree.path(folder).glob(".resume*"))


def kill_when_there(process, path):
    """Kill Snakemake and its jobs, as a crash of the machine does, once a file is there."""
    try:
        end = time.monotonic() + 300
        while not path.exists():
            assert process.poll() is None, "Snakemake has ended"
            assert time.monotonic() < end, f"{path} did not appear"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
