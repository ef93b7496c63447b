"""``medhash cells run`` with real training, real processes, real kills."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_project import CELLS, DATASET, environment, make_project, medhash, start, until

from medhash.configuration.paths import Layout
from medhash.running.failures import error_in

pytestmark = pytest.mark.xdist_group("running-cells")

CSQ = CELLS[0]
FILES = ("checkpoint.safetensors", "codes.npz", "train.csv")
PENDING = ("cells", "run", "--pending", "--scale", "tiny", "--device", "cpu")


def files_of(folder, cells=CELLS):
    """The bytes that must not depend on how often a run was interrupted."""
    at = Layout(folder / "results/tiny").cell
    return {f"{cell}/{name}": (at(cell) / name).read_bytes() for cell in cells for name in FILES}


def run(*arguments):
    result = medhash(*PENDING, *arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """All cells, trained by one process that nothing interrupted."""
    folder = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run("--budget", "10m")
    assert result.exit_code == 0, result.output
    return folder


def test_everything_is_trained_and_said(undisturbed):
    receipts = undisturbed / "results/tiny/receipts"
    assert all(
        (receipts / rule / f"{cell}.json").is_file()
        for rule in ("train", "record")
        for cell in CELLS
    )
    assert not list((undisturbed / "results").rglob("*.lease"))
    log = undisturbed / f"logs/tiny/train/{CSQ}.log"
    assert f"train {CSQ}: 4 of 4 epochs" in log.read_text()


def test_snakemake_finds_done_what_was_done(undisturbed):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--config",
        "scale=tiny",
        "--dry-run",
        "--cores",
        "1",
    ]
    targets = [f"results/tiny/ach/tables/table3.{suffix}" for suffix in ("csv", "md", "tex")]
    result = subprocess.run(
        [*command, "--", *targets],
        cwd=undisturbed,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):$", result.stdout + result.stderr, re.M)
    assert jobs == ["table"]


def test_interrupted_epoch_after_epoch_the_bytes_are_the_same(undisturbed, project, monkeypatch):
    """Each run gets time for about one epoch of a clock that every look puts forward."""
    outputs = []
    monkeypatch.setattr("medhash.running.limits._CLOSING_SHARE", 0.0)
    for _ in range(60):
        jumping = iter(range(10_000))
        monkeypatch.setattr(
            "medhash.running.runner.Runner._asks_to_pause",
            lambda self, step, timer, jumping=jumping: timer.epoch_done() or next(jumping) >= 0,
        )
        result = run("--budget", "5m")
        outputs.append(result.output)
        if "nothing is left" in result.output:
            break
    else:
        pytest.fail("never finished")
    assert len(outputs) > 4
    assert any("after epoch 2 of 4" in output for output in outputs)
    assert files_of(project) == files_of(undisturbed)


def test_two_processes_share_the_cells_and_none_is_trained_twice(undisturbed, project):
    both = [start(*PENDING, "--budget", "5m", folder=project) for _ in range(2)]
    ends = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    begun = re.findall(r"^train (\S+): begun", "".join(error for _, error in ends), re.M)
    done = re.findall(r"^train (\S+): done", "".join(error for _, error in ends), re.M)
    assert sorted(begun) == sorted(done) == sorted(CELLS)
    prepared = re.findall(
        r"^(?:phantom|split|pretrain) \S+: begun", "".join(e for _, e in ends), re.M
    )
    assert len(prepared) == 4
    assert files_of(project) == files_of(undisturbed)


def wait_for(path: Path, process):
    until(lambda: path.exists() or process.poll() is not None)
    assert path.exists(), process.communicate()


@pytest.fixture(scope="module")
def many_epochs(tmp_path_factory):
    """A project whose cells have very many epochs; all that comes before them is done."""
    hashing = {"epochs": 5000, "batch_size": 16, "learning_rate": 1e-3}
    folder = make_project(tmp_path_factory.mktemp("slow") / "project", hashing=hashing)
    stages = [("pretrain", DATASET, "--stage", stage) for stage in ("mae", "classification")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (("prepare", DATASET), ("split", DATASET), *stages):
            result = medhash(*command, "--scale", "tiny")
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def slow(many_epochs, tmp_path, monkeypatch):
    """A copy of it."""
    folder = tmp_path / "slow"
    shutil.copytree(many_epochs, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def begun(folder, cell=CSQ, **variables):
    """A process that has finished an epoch of a cell."""
    process = start(*PENDING, "--only", cell, folder=folder, **variables)
    wait_for(folder / f"results/tiny/running/train/{cell}.json", process)
    return process


def epochs_done(folder, cell=CSQ):
    return json.loads((folder / f"results/tiny/running/train/{cell}.json").read_text())["done"]


def test_a_killed_process_is_followed_from_its_last_epoch(slow):
    first = begun(slow)
    first.kill()
    first.communicate()
    assert (slow / f"results/tiny/running/train/{CSQ}.lease").exists()
    done = epochs_done(slow)
    second = start(*PENDING, "--only", CSQ, "--grace", "60s", folder=slow)
    for line in second.stderr:
        if "goes on after epoch" in line:
            break
    assert int(re.search(r"after epoch (\d+) of 5000", line)[1]) in (done, done + 1)
    # It is asked to stop, and does so after an epoch.
    while epochs_done(slow) < done + 3:
        time.sleep(0.02)
    second.send_signal(signal.SIGTERM)
    output, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert "SIGTERM: stopping after this epoch" in errors
    assert (
        f"paused, goes on next time: 1\n  train {CSQ}  after epoch {epochs_done(slow)} of 5000"
        in output
    )
    assert not (slow / f"results/tiny/running/train/{CSQ}.lease").exists()


def test_snakemakes_command_refuses_a_cell_that_is_being_trained(slow):
    first = begun(slow, MEDHASH_LEASE_SECONDS="4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDHASH_LEASE_SECONDS", "4")
        result = medhash("train", CSQ, "--scale", "tiny", "--device", "cpu")
    assert f"train {CSQ} is being worked on by process {first.pid} on" in str(result.exception)
    first.kill()
    first.communicate()


def test_a_budget_ends_a_process_that_would_run_for_long(slow):
    began = time.monotonic()
    process = start(*PENDING, "--only", CSQ, "--budget", "30s", folder=slow)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert re.search(r"paused, goes on next time: 1\n  train \S+  after epoch \d+ of 5000", output)
    assert re.search(r"^left: 1 cell, 2 steps in all", output, re.M)
    # The trained part alone would take many minutes; a busy machine ends late.
    assert time.monotonic() - began < 90


def test_a_step_of_its_own_gives_its_lease_back_when_it_is_ended(slow):
    process = start("train", CSQ, "--scale", "tiny", "--device", "cpu", folder=slow)
    wait_for(slow / f"results/tiny/running/train/{CSQ}.json", process)
    assert (slow / f"results/tiny/running/train/{CSQ}.lease").exists()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not (slow / f"results/tiny/running/train/{CSQ}.lease").exists()
    assert not list((slow / "results").rglob("*.part*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pending", "--budget", "25"), "--budget '25': expected a time with its unit"),
        (("--pending", "--budget", "0m"), "--budget '0m': no time"),
        (("--pending", "--budget", ""), "--budget '': expected"),
        (("--pending", "--grace", "soon"), "--grace 'soon': expected"),
        ((), "--pending for all unfinished ones"),
        (("--only", "covid_*"), "--only 'covid_.': no cell of the scale tiny"),
    ],
)
def test_bad_options_are_refused_before_anything(project, arguments, message):
    result = medhash("cells", "run", *arguments, "--scale", "tiny")
    assert re.search(message, str(result.exception))
    assert not (project / "results").exists()


def test_cells_are_still_listed(project):
    result = medhash("cells", "--scale", "tiny")
    assert sorted(result.output.split()) == sorted(CELLS)
    refused = medhash("cells", "--scale", "tiny", "run", "--pending")
    assert "options belong behind 'run'" in str(refused.exception)


def test_a_failing_cell_is_named_with_its_log(project):
    """Steps so large that the loss is no number: the cells fail, and the run says so."""
    result = medhash(*PENDING, "--set", "settings.hashing.learning_rate=1e30")
    assert result.exit_code == 1
    assert f"  train {CSQ}  logs/tiny/train/{CSQ}.log" in result.output
    assert error_in(Path(f"logs/tiny/train/{CSQ}.log"))
