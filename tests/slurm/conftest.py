"""One Slurm for all tests of this folder, and the run that nothing disturbs."""

import os
from contextlib import suppress

import psutil
import pytest
from one_node import METHODS, TABLE, Cluster, Project, missing_programs

REQUIRED = "MEDHASH_REQUIRE_SLURM"


@pytest.fixture(scope="session")
def installed():
    """Where Slurm is not installed: skipped with the reason, or failed if it may not be."""
    missing = missing_programs()
    if missing:
        reason = f"{', '.join(missing)} not installed (tools/install_slurm.sh installs Slurm)"
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster(installed, tmp_path_factory):
    """A running one-node cluster; its jobs and daemons are ended afterwards."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        started = cluster.tool("start")
        assert started.returncode == 0, started.stdout
        yield cluster
    finally:
        cluster.tool("stop")
        end_what_is_left(tmp_path_factory.getbasetemp())


def end_what_is_left(folder):
    """End the processes of jobs: a daemon that was killed no longer does."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in argument for argument in process.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture(scope="session")
def undisturbed(cluster, tmp_path_factory):
    """A project whose cells were trained here, without Slurm, one after the other."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    status = project.run("--profile", "demo", "--cores", "2", TABLE)
    assert status == 0, project.output()
    assert all(project.cell(method).codes() for method in METHODS)
    return project
