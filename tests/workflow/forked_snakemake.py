"""Dry runs in copies of one process that has loaded Snakemake: that takes longer than to plan."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COPIES = multiprocessing.get_context("forkserver")
# Other people's packages alone: the copy of the project brings its own.
COPIES.set_forkserver_preload(["snakemake.cli", "snakemake.workflow", "pandas", "pydantic", "yaml"])


def dry_run(arguments, folder, variables, timeout):
    """What ``python -m snakemake`` with these arguments does; both streams in ``stdout``."""
    with tempfile.TemporaryDirectory() as beside:
        said = Path(beside) / "said"
        process = COPIES.Process(target=_work, args=(list(arguments), folder, variables, said))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, process.exitcode, said.read_text())


def _work(arguments, folder, variables, said):
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    with said.open("wb") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    sys.path.insert(0, variables["PYTHONPATH"])
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main(arguments)
