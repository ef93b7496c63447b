"""Commands that do their work in a copy of a process that has loaded the packages."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tiny_project import CELLS, environment, make_project, until

from medhash.commands.warm import ADDRESS
from medhash.configuration.paths import Layout
from medhash.schema.cell import Cell
from remembered import find_out

HOLD_A_SERVER = """
import os, sys
from medhash.commands.warm import ADDRESS, start_server
print(start_server(), os.environ.get(ADDRESS), flush=True)
sys.stdin.read()
"""
LOAD = """
import sys
from importlib import import_module
from medhash.commands import warm
for name in warm.PACKAGES:
    import_module(name)
print(*(name for name in sys.modules if name.startswith("medhash")))
"""

FORGET = """
import os, signal, tempfile
import numpy, torch
from threadpoolctl import threadpool_info
from medhash.commands.warm import _forget_the_server
tempfile.tempdir = "/nowhere"
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.environ["OMP_NUM_THREADS"] = "2"
_forget_the_server()
print({pool["num_threads"] for pool in threadpool_info()}, torch.get_num_threads())
print(tempfile.gettempdir() == os.environ["TMPDIR"])
print(signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL)
"""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="servers are started on Linux only"),
    # They share a server, which takes seconds to load.
    pytest.mark.xdist_group("warm"),
]


def heed_ctrl_c():
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Holder:
    """A process that has started a server, and the server."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD_A_SERVER],
            env=environment(MEDHASH_ARCHIVES="/folder/of/the/server", OMP_NUM_THREADS="2"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Tests that run in the background were started with SIGINT ignored.
            preexec_fn=heed_ctrl_c,
        )
        said, self.address = self.process.stdout.readline().split()
        assert said == "True"
        self.socket = Path(self.address.rpartition(os.pathsep)[2])
        self.server = psutil.Process(self.process.pid).children()[0]
        until(self.socket.exists)

    def command(self, *arguments, folder, **variables):
        """The command medhash, told of the server."""
        ordinary = environment()
        ordinary.pop("MEDHASH_ARCHIVES", None)
        return subprocess.Popen(
            [sys.executable, "-m", "medhash", *arguments],
            cwd=folder,
            env=ordinary | {ADDRESS: self.address} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def copy(self):
        """The one copy of the server that is at work."""
        until(self.server.children)
        return self.server.children()[0]


@pytest.fixture(scope="module")
def holder():
    holder = Holder()
    yield holder
    holder.process.kill()
    holder.process.wait()


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """A project whose processes need no torch to read its configuration."""
    folder = make_project(tmp_path_factory.mktemp("knowing") / "project")
    find_out(folder, "tiny")
    return folder


@pytest.fixture
def project(knowing, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(knowing, folder, symlinks=True)
    return folder


def run(process):
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, output, errors


def watching(holder, folder):
    """A command that goes on until it is told to end, once it has begun."""
    command = holder.command(
        "status", "--scale", "tiny", "--watch", "--every", "60s", folder=folder
    )
    assert command.stdout.readline().startswith("Scale tiny")
    return command


def loads_torch(process):
    return any("libtorch" in file.path for file in process.memory_maps())


def test_the_server_has_one_thread_whatever_the_environment_says(holder):
    assert holder.server.num_threads() == 1


def test_nothing_of_this_package_is_loaded():
    command = [sys.executable, "-c", LOAD]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["medhash", "medhash.commands", "medhash.commands.warm"]


def test_a_copy_has_the_threads_and_the_folder_that_its_environment_asks_for(tmp_path):
    variables = environment(OPENBLAS_NUM_THREADS="1", TMPDIR=str(tmp_path))
    command = [sys.executable, "-c", FORGET]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["{2} 2", "True", "True"]


def test_the_commands_variables_are_those_of_its_work(holder, project, tmp_path):
    named = tmp_path / "archives"
    named.mkdir()
    warm = run(holder.command("archives", folder=project, MEDHASH_ARCHIVES=str(named)))
    assert str(named) in "".join(warm[1].split())
    status, output, _ = run(holder.command("archives", folder=project))
    assert status == 0
    assert "/folder/of/the/server" not in output


def test_a_command_says_and_returns_the_same(holder, project):
    asked = ["status", "--scale", "tiny"], ["split", "nowhere", "--scale", "tiny"], ["nonsense"]
    for arguments in asked:
        warm = run(holder.command(*arguments, folder=project))
        assert warm == run(holder.command(*arguments, folder=project, **{ADDRESS: "off"}))
        assert warm[0] == (0 if arguments[0] == "status" else 2)


def test_the_work_is_done_in_a_copy_with_the_commands_environment(holder, project):
    command = watching(holder, project)
    copy = holder.copy()
    assert copy.cwd() == str(project)
    assert holder.server.cwd() != str(project)
    assert loads_torch(holder.server)
    assert not loads_torch(psutil.Process(command.pid))
    command.send_signal(signal.SIGINT)
    assert run(command)[0] == 0
    until(lambda: not copy.is_running())


def test_training_gives_the_same_bytes(holder, project):
    codes = project / Layout(Path("results/tiny")).codes(Cell.parse(CELLS[0]))
    found = []
    for address in (holder.address, "off"):
        for arguments in (
            ["prepare", "phantom_covid_ct"],
            ["split", "phantom_covid_ct"],
            ["pretrain", "phantom_covid_ct", "--stage", "mae"],
            ["pretrain", "phantom_covid_ct", "--stage", "classification"],
            ["train", CELLS[0]],
        ):
            variables = {ADDRESS: address, "MKL_NUM_THREADS": "1"}
            command = holder.command(*arguments, "--scale", "tiny", folder=project, **variables)
            status, _, errors = run(command)
            assert status == 0, errors
        found.append(codes.read_bytes())
        (project / "results").rename(project / f"results of {address.rpartition('/')[2]}")
    assert found[0] == found[1]


def test_a_signal_reaches_the_work(holder, project):
    command = watching(holder, project)
    copy = holder.copy()
    command.send_signal(signal.SIGTERM)
    status, _, errors = run(command)
    assert status == 1
    assert "the process that did the work was killed" in errors
    until(lambda: not copy.is_running())


def test_the_work_ends_when_its_command_is_killed(holder, project):
    command = watching(holder, project)
    copy = holder.copy()
    command.kill()
    until(lambda: not copy.is_running())
    run(command)


def test_a_command_whose_work_is_killed_says_so(holder, project):
    command = watching(holder, project)
    holder.copy().kill()
    status, _, errors = run(command)
    assert status == 1
    assert "the process that did the work was killed" in errors


@pytest.mark.parametrize("address", ["off", "{prefix}:/nowhere/socket", "/another/python:{socket}"])
def test_without_a_server_that_fits_a_command_works_itself(holder, project, address):
    address = address.format(prefix=sys.prefix, socket=holder.socket)
    command = holder.command("status", "--scale", "tiny", folder=project, **{ADDRESS: address})
    seen = []
    while command.poll() is None:
        seen += holder.server.children()
        time.sleep(0.005)
    assert run(command)[0] == 0
    assert not seen


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_the_process_that_started_it(number):
    holder = Holder()
    holder.process.send_signal(number)
    holder.process.wait()
    until(lambda: not holder.server.is_running())
    until(lambda: not holder.socket.parent.exists())


def test_the_server_ends_when_the_run_does():
    holder = Holder()
    holder.process.communicate("")
    assert not holder.server.is_running()
    assert not holder.socket.parent.exists()


def test_who_turned_it_off_gets_none():
    command = [sys.executable, "-c", HOLD_A_SERVER]
    result = subprocess.run(
        command, env=environment(**{ADDRESS: "off"}), input="", capture_output=True, text=True
    )
    assert result.stdout.split() == ["False", "off"]
