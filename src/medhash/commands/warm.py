"""A process that has loaded the large packages, for jobs to begin in.

Loading torch, timm and pandas costs each job of a run seconds of a core, mostly more than its own
work on phantoms. A run on this machine therefore starts a server, which loads them once and forks:
a job's command asks it for a copy of itself, hands over its arguments, environment and open files,
passes signals on, and ends as the copy ended. Without a server, or with one of another Python, the
command does its work itself.

Only other people's packages are loaded before the fork: a job runs the code of medhash that lies
there when it begins, which is what its receipt says.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import BinaryIO

ADDRESS = "MEDHASH_WARM_PROCESS"
"""The environment variable that says where the server listens: Python's folder, then the socket.

Any other value, such as ``off``, lets commands do their work themselves, and starts no server."""

PACKAGES = (
    "markdown_it",
    "matplotlib.pyplot",
    "numba.core.registry",
    "pandas",
    "PIL.Image",
    "pydantic",
    "rich.progress",
    "safetensors.torch",
    "scipy.stats",
    "seaborn",
    "sklearn.manifold",
    "tabulate",
    "threadpoolctl",
    "timm.models.vision_transformer",
    "timm.optim",
    "torch",
    "typer",
    "yaml",
)
"""What the server loads."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_STANDARD_FILES = (0, 1, 2)
_PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_LONGEST_ADDRESS = 100


def start_server() -> bool:
    """Start a server for the jobs that this process starts; it ends when this process does.

    Returns:
        Whether one was started: not if the user turned it off, nor elsewhere than on Linux, where
        a process that has loaded such packages cannot be forked safely.
    """
    if ADDRESS in os.environ or sys.platform != "linux":
        return False
    folder = Path(tempfile.mkdtemp(prefix="medhash-"))
    path = folder / "socket"
    if len(os.fsencode(path)) > _LONGEST_ADDRESS:
        folder.rmdir()
        return False
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, str(path)],
        # Its other end is closed when this process ends, however it ends.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is for the jobs.
        start_new_session=True,
        # A process with several threads cannot be forked safely.
        env=os.environ | dict.fromkeys(_THREADS, "1"),
    )
    atexit.register(_stop_server, server, folder)
    os.environ[ADDRESS] = f"{sys.prefix}{os.pathsep}{path}"
    return True


def _stop_server(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.terminate()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def run_warm(arguments: list[str]) -> int | None:
    """Run a command of medhash in a copy of the server.

    Args:
        arguments: of the command, without its name.

    Returns:
        Its exit status; None if there is no server for this Python, or it is still loading.
    """
    prefix, _, path = os.environ.get(ADDRESS, "").rpartition(os.pathsep)
    if prefix != sys.prefix:
        return None
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
            socket.send_fds(connection, [b"\n"], _STANDARD_FILES)
            connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            return None
        return _wait_for(connection)


def _wait_for(connection: socket.socket) -> int:
    """Pass signals on until the work is done; its exit status."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(OSError):
            connection.sendall(bytes([number]))

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    with suppress(ConnectionResetError):
        if status := connection.recv(1):
            return status[0]
    sys.stderr.write("medhash: the process that did the work was killed\n")
    return 1


def serve(path: str) -> None:
    """Load the packages, then fork for each command that asks, until standard input ends.

    Args:
        path: of the socket, in a folder of its own; both are removed at the end.
    """
    copy = _Copy()
    for name in PACKAGES:
        import_module(name)
    # What numba does at its first call takes as long as loading it.
    sys.modules["numba.core.registry"].cpu_target.target_context.refresh()
    # Else the copies' garbage collections would copy the memory that they share.
    gc.freeze()
    # Nobody waits for the copies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        selectors.DefaultSelector() as selector,
    ):
        listener.bind(path)
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while not any(key.fileobj is sys.stdin for key, _ in selector.select()):
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
        else:
            shutil.rmtree(Path(path).parent, ignore_errors=True)
            return
    copy.work_for(connection)


class _Copy:
    """A forked copy of the server, which does the work of one command and then ends.

    It is made before anything is loaded, so that its end comes after all that the loaded packages
    do at exit.
    """

    def __init__(self) -> None:
        self._connection: socket.socket | None = None
        self._status = 1
        atexit.register(self._end)

    def work_for(self, connection: socket.socket) -> None:
        """Take the place of the command at the other end of a connection.

        Raises:
            SystemExit: as the command ends.
        """
        self._connection = connection
        _, files, _, _ = socket.recv_fds(connection, 1, len(_STANDARD_FILES))
        stream = connection.makefile("rb")
        request = json.loads(stream.readline())
        for file, number in zip(files, _STANDARD_FILES, strict=True):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv[:] = ["medhash", *request["arguments"]]
        _forget_the_server()
        threading.Thread(target=_follow, args=(stream,), daemon=True).start()
        self._run()

    def _run(self) -> None:
        from medhash.commands.app import main

        try:
            main()
        except SystemExit as end:
            code = end.code
            self._status = code if isinstance(code, int) else int(code is not None)
            raise
        except KeyboardInterrupt:
            self._status = 128 + signal.SIGINT
            raise
        self._status = 0

    def _end(self) -> None:
        if self._connection is None:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        with suppress(OSError):
            self._connection.sendall(bytes([self._status]))
        # Taking hundreds of loaded modules to pieces would take longer than many a job.
        os._exit(self._status)


def _forget_the_server() -> None:
    """Undo what a process has as its own that the environment would have decided."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    tempfile.tempdir = None
    threadpool_limits(int(os.environ.get(_THREADS[0], os.cpu_count() or 1)))


def _follow(stream: BinaryIO) -> None:
    """Raise here the signals that reach the command, and end when it was killed."""
    while number := stream.read(1):
        os.kill(os.getpid(), number[0])
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(sys.argv[1])
