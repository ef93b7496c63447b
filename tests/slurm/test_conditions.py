"""What stands in the way of a run on Slurm: no room, no accounting, a limit, no Slurm."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from one_node import PATIENCE, PROJECT, TABLE, Project, end, wait_for

from medhash.errors import MedhashError
from medhash.running.slurm import cancel, check_cluster, partitions

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(2 * PATIENCE),
    pytest.mark.xdist_group("slurm"),
]

SLURM = ("--profile", "slurm", TABLE)


@pytest.fixture
def small_disk(tmp_path):
    """Gives a folder a file system of its own, of a given size."""
    mounted = []

    def mount(folder, size):
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_clear_error_and_room_is_enough_to_go_on(
    cluster, undisturbed, small_disk, tmp_path
):
    project = Project(tmp_path, ["csq"], source=undisturbed.root)
    project.take_backbone_of(undisturbed)
    project.set_up_profile({"retries": 0})
    cells = project.root / "results/demo/ach/cells"
    small_disk(cells, "100k")
    assert project.run(*SLURM, environment=cluster.environment) != 0
    assert "could not be written" in project.output()
    assert "make room and start again" in project.output()
    assert not [path for path in cells.rglob("*") if path.is_file()], "a half file stayed"

    small_disk(cells, "100m")
    assert project.run(*SLURM, environment=cluster.environment) == 0, project.output()
    assert project.cell("csq").codes() == undisturbed.cell("csq").codes()


def test_a_limit_on_jobs_is_refused_before_the_first_job(cluster, undisturbed, tmp_path):
    project = Project(tmp_path, source=undisturbed.root)
    project.take_backbone_of(undisturbed)
    project.set_up_profile()
    before = len(cluster.facts())
    assert project.run(*SLURM, "--jobs=2", environment=cluster.environment) != 0
    assert "medhash: --jobs 2 does not go with job arrays: of 4 jobs" in project.output()
    assert len(cluster.facts()) == before


def test_sacct_without_accounting_is_refused(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    with pytest.raises(MedhashError, match="slurm-status-command: squeue"):
        check_cluster("sacct")
    check_cluster("squeue")


def test_a_partition_that_cancels_what_it_preempts_is_named(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    update = ["scontrol", "update", "PartitionName=urgent"]
    assert not any(partition.cancels for partition in partitions().values())
    subprocess.run([*update, "PreemptMode=CANCEL"], check=True)
    try:
        cancelling = {name for name, partition in partitions().items() if partition.cancels}
        assert cancelling == {"urgent"}
        assert partitions()[""].name == "main"
    finally:
        subprocess.run([*update, "PreemptMode=OFF"], check=True)


def test_a_partition_that_gives_too_little_time_is_refused_before_the_first_job(cluster, tmp_path):
    project = Project(tmp_path)
    project.set_up_profile({"set-resources": {"train": {"runtime": "1000 * attempt"}}})
    before = len(cluster.facts())
    cluster.command("scontrol", "update", "PartitionName=main", "MaxTime=2-00:30:00")
    try:
        assert project.run(*SLURM, environment=cluster.environment) != 0
    finally:
        cluster.command("scontrol", "update", "PartitionName=main", "MaxTime=INFINITE")
    said = "medhash: train asks for 3000 minutes in attempt 3, and the partition 'main' gives no"
    assert said in project.output()
    assert "min(1000 * attempt, 2910)" in project.output()
    assert len(cluster.facts()) == before


def test_ctrl_c_ends_a_run_whose_array_waits(cluster, undisturbed, tmp_path):
    project = Project(tmp_path, source=undisturbed.root)
    project.take_backbone_of(undisturbed)
    project.set_up_profile()
    cluster.command("scontrol", "update", "nodename=one", "state=drain", "reason=test")
    run = project.start(*SLURM, environment=cluster.environment)
    try:
        wait_for("the array", lambda: any("_[1-4]" in job for job in cluster.unfinished()))
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=PATIENCE) != 0
        assert cluster.unfinished() == []
        assert project.run(*SLURM, "-n", environment=cluster.environment) == 0
    finally:
        end(run)
        cluster.command("scontrol", "update", "nodename=one", "state=resume")


def test_jobs_that_the_executor_does_not_know_of_are_cancelled_too(cluster, monkeypatch):
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    waits = ("sbatch", "--hold", "--output=/dev/null", "--wrap=true")
    cluster.command(*waits, "--job-name=of-this-run")
    cluster.command(*waits, "--job-name=of-another")
    ended = []
    executor = SimpleNamespace(
        _job_submission_executor=ThreadPoolExecutor(),
        run_uuid="of-this-run",
        shutdown=lambda: ended.append(True),
    )
    cancel(executor)
    (left,) = cluster.unfinished()
    assert cluster.facts(left)[0]["JobName"] == "of-another"
    cluster.command("scancel", left)
    assert ended == [True]


def test_no_slurm_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MedhashError, match="no Slurm here"):
        check_cluster("squeue")


@pytest.mark.usefixtures("installed")
def test_the_cluster_is_stopped_whole(tmp_path):
    """A cluster that runs nothing: started, seen, refused twice, stopped."""
    script = PROJECT / "tools" / "slurm_one_node.sh"

    def tool(action):
        command = ["bash", script, action, tmp_path]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert tool("start").returncode == 0
    try:
        status = tool("status")
        assert status.returncode == 0
        assert "gpu:6" in status.stdout
        pids = [int(path.read_text()) for path in (tmp_path / "run").glob("*.pid")]
        assert len(pids) == 3
        assert "already running" in tool("start").stderr
    finally:
        assert tool("stop").returncode == 0
    assert tool("status").returncode == 1
    assert not [pid for pid in pids if alive(pid)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
