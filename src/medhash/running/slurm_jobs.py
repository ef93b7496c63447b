"""The jobs of this folder that Slurm knows."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_FIELDS = ("%i", "%T", "%M", "%R", "%j", "%k", "%Z")
_SEPARATOR = "\x1f"
_SECONDS = 10
_RULE = re.compile(r"rule_(\w+?)(?:_wildcards_.*)?$")


@dataclass(frozen=True)
class SlurmJob:
    """A job in Slurm's queue.

    Attributes:
        number: as Slurm prints it, ``12_3`` for a task of an array.
        state: ``RUNNING``, ``PENDING``, ….
        time: how long it has been running, as Slurm prints it.
        place: its node, or in brackets why it waits.
        work: the rule that Snakemake submitted it for, or its name.
    """

    number: str
    state: str
    time: str
    place: str
    work: str


def slurm_jobs(folder: Path) -> list[SlurmJob] | None:
    """The user's jobs that were submitted from a folder.

    Returns:
        None where there is no Slurm, or it does not answer.
    """
    if shutil.which("squeue") is None:
        return None
    fields = _SEPARATOR.join(_FIELDS)
    command = ["squeue", "--me", "--noheader", "--array", f"--format={fields}"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(_SEPARATOR) for line in result.stdout.splitlines()]
    return [
        SlurmJob(number, state, time, place, _work(name, comment))
        for number, state, time, place, name, comment, started_in in rows
        if Path(started_in) == folder.resolve()
    ]


def count_states(jobs: list[SlurmJob]) -> dict[str, dict[str, int]]:
    """Work -> state -> number of jobs."""
    works = sorted({job.work for job in jobs})
    return {
        work: dict(sorted(Counter(job.state for job in jobs if job.work == work).items()))
        for work in works
    }


def _work(name: str, comment: str) -> str:
    """Snakemake's executor names the rule in the comment of a job."""
    found = _RULE.match(comment)
    return found[1] if found else name
