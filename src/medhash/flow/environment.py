"""What a step ran in: Python, libraries, machine, and the state of the repository."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medhash.files import sha256_of_file

LIBRARIES = ("torch", "timm", "numpy")
# Results that a run writes must not make the code that wrote them look changed.
CODE_PATHS = ("src", "config", "workflow", "Snakefile", "pyproject.toml", "requirements.lock")

_PROJECT = Path(__file__).resolve().parents[3]


def describe() -> dict[str, Any]:
    """Versions of Python and of the libraries that decide results, and the platform.

    Returns:
        ``python``, ``torch``, ``timm``, ``numpy``, ``platform``, ``lock_sha256``; a library or
        lock file that is not there is ``None``. Torch is not imported.
    """
    lock = _PROJECT / "requirements.lock"
    return {
        "python": platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
        "platform": platform.platform(),
        "lock_sha256": sha256_of_file(lock) if lock.is_file() else None,
    }


def slurm_job() -> dict[str, str] | None:
    """The Slurm job that this process is part of: ``id``, ``array_task``, ``node``, ``restarts``.

    Returns:
        Only what Slurm says; ``None`` outside of a job.
    """
    names = {
        "id": "SLURM_JOB_ID",
        "array_task": "SLURM_ARRAY_TASK_ID",
        "node": "SLURMD_NODENAME",
        "restarts": "SLURM_RESTART_COUNT",
    }
    job = {name: os.environ[key] for name, key in names.items() if key in os.environ}
    return job if "id" in job else None


@cache
def git_state() -> dict[str, Any]:
    """The commit that is checked out, and whether code or configuration differ from it.

    Returns:
        ``commit`` and ``dirty``; both ``None`` outside of a git repository.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", *CODE_PATHS)
    known = commit is not None and changes is not None
    return {"commit": commit if known else None, "dirty": bool(changes) if known else None}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_PROJECT), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
