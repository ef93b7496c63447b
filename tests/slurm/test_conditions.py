"""What stands in the way of a run on Slurm: no accounting, no Slurm."""

import os
import subprocess
from pathlib import Path

import pytest
from one_node import PATIENCE, PROJECT

from medhash.errors import MedhashError
from medhash.running.slurm import check_cluster

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(2 * PATIENCE),
    pytest.mark.xdist_group("slurm"),
]


def test_sacct_without_accounting_is_refused(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    with pytest.raises(MedhashError, match="slurm-status-command: squeue"):
        check_cluster("sacct")
    check_cluster("squeue")


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
