"""Real trainings that are interrupted: no byte is another, and one epoch at most is lost."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open
from tiny_project import CELLS, DATASET, environment, make_project, medhash, start, until

from remembered import find_out

pytestmark = pytest.mark.xdist_group("interruption")

CSQ = CELLS[0]
FILES = ("checkpoint.safetensors", "codes.npz", "train.csv")
TABLE = "results/tiny/ach/tables/table3.csv"
SECONDS = "seconds-undisturbed"
EPOCHS = 600


def snakemake(folder, *before):
    """A run of Snakemake, perhaps under another command."""
    command = [*before, sys.executable, "-m", "snakemake", "--profile", "default"]
    return subprocess.run(
        [*command, "--config", "scale=tiny", "--cores", "2", "--", TABLE],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def files_of(folder, cells=CELLS):
    """The bytes that must not depend on how often a run was interrupted."""
    folders = {cell: state_of(folder, cell).parent for cell in cells}
    return {f"{cell}/{n}": (folders[cell] / n).read_bytes() for cell in cells for n in FILES}


def project_with(folder, epochs):
    """A project whose cells have so many epochs; all that comes before them is done."""
    hashing = {"epochs": epochs, "batch_size": 16, "learning_rate": 1e-3}
    make_project(folder, hashing=hashing)
    stages = [("pretrain", DATASET, "--stage", stage) for stage in ("mae", "classification")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (("prepare", DATASET), ("split", DATASET), *stages):
            result = medhash(*command, "--scale", "tiny")
            assert result.exit_code == 0, result.output
    find_out(folder, "tiny")
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return project_with(tmp_path_factory.mktemp("prepared") / "project", EPOCHS)


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """All cells, trained without an interruption."""
    folder = tmp_path_factory.mktemp("undisturbed") / "project"
    shutil.copytree(prepared, folder, symlinks=True)
    began = time.monotonic()
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / SECONDS).write_text(f"{time.monotonic() - began}")
    return folder


@pytest.fixture
def project(prepared, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    shutil.copytree(prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def state_of(folder, cell=CSQ):
    paper, _, coordinates = cell.partition("/")
    return folder / "results/tiny" / paper / "cells" / coordinates / ".resume.safetensors"


def epochs_done(folder, cell=CSQ):
    with safe_open(state_of(folder, cell), framework="numpy") as stream:
        return len(json.loads(stream.metadata()["medhash"])["history"])


def begun(folder, cell=CSQ):
    """A process that has finished an epoch of a cell."""
    process = start("train", cell, "--scale", "tiny", "--device", "cpu", folder=folder)
    until(lambda: state_of(folder, cell).exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_finishes_its_epoch_and_goes_on_from_there(project, undisturbed, number):
    process = begun(project)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    done = epochs_done(project)
    assert f"{number.name}: stopping after this epoch; once more to stop at once" in errors
    assert f"train {CSQ}: stopped after epoch {done} of {EPOCHS}; the next start goes on" in errors
    assert 0 < done < EPOCHS
    assert not list((project / "results").rglob("*.part*"))
    assert not (project / f"results/tiny/receipts/train/{CSQ}.json").exists()
    result = medhash("train", CSQ, "--scale", "tiny", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert not state_of(project).exists()
    assert files_of(project, [CSQ]) == files_of(undisturbed, [CSQ])
    lines = state_of(project).with_name("train.csv").read_text().splitlines()
    assert len(lines) == 1 + EPOCHS


def test_a_killed_process_leaves_a_cell_that_goes_on(project, undisturbed):
    first = begun(project)
    first.kill()
    first.communicate()
    assert epochs_done(project) > 0
    result = medhash("train", CSQ, "--scale", "tiny", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert files_of(project, [CSQ]) == files_of(undisturbed, [CSQ])


def test_a_cell_that_is_being_trained_is_refused(project):
    first = begun(project)
    result = medhash("train", CSQ, "--scale", "tiny", "--device", "cpu")
    assert f"train {CSQ} is being trained by process {first.pid} on" in str(result.exception)
    assert "stop it, and start again" in str(result.exception)
    first.kill()
    first.communicate()


@pytest.mark.parametrize("warm", [True, False], ids=["forked", "own-process"])
def test_a_short_allocation_loses_at_most_an_epoch_a_job(
    project, prepared, undisturbed, warm, monkeypatch
):
    if not warm:
        monkeypatch.setenv("MEDHASH_WARM_PROCESS", "off")
    seconds = float((undisturbed / SECONDS).read_text())
    # Longer than a start takes, and too short for all of it; less where the machine became faster.
    for share in (0.6, 0.4, 0.25):
        if seen := epochs_of_stops(project, share * seconds):
            break
        shutil.rmtree(project)
        shutil.copytree(prepared, project, symlinks=True)
        monkeypatch.chdir(project)
    assert seen, "no run was interrupted while it trained"
    assert (project / TABLE).read_bytes() == (undisturbed / TABLE).read_bytes()
    assert files_of(project) == files_of(undisturbed)


def epochs_of_stops(project, allocation):
    """After which epochs trainings were stopped until all was done, in allocations of seconds."""
    seen = []
    for _ in range(40):
        began = time.monotonic()
        result = snakemake(project, "timeout", "--signal=INT", f"{allocation:.1f}s")
        said = result.stdout + result.stderr
        # Whatever was begun has ended with the run.
        assert time.monotonic() - began < allocation + 40, said
        logs = "".join(path.read_text() for path in (project / "logs/tiny/train").rglob("*.log"))
        seen += re.findall(rf"stopped after epoch (\d+) of {EPOCHS}", logs)
        if result.returncode == 0:
            return seen
    return pytest.fail(said)
