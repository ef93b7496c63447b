"""Around Snakemake's executor for Slurm: what it needs before a run, and where its logs are.

The executor (snakemake-executor-plugin-slurm 2.8) waits for ever in three situations that can be
seen before the first job: job arrays under a limit on jobs (its issue 473), ``sacct`` on a cluster
that keeps no accounting, and a job that asks for more time than its partition gives. They are
refused here with what to do instead. Each task of an array looks for the files of the array's first
task when it has finished: see :func:`own_command`. And Ctrl-C takes up to three minutes, and leaves
some jobs in the queue: see :func:`cancel`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError

UNLIMITED = sys.maxsize
COMMANDS_OF_ARRAY = "--slurm-jobstep-array-execs"


def check_arrays(jobs: int, limits: Mapping[str, int | None]) -> None:
    """Refuse job arrays where something keeps Snakemake from submitting all ready jobs at once.

    An array is filled with the jobs of a rule that are ready together. Of those that a limit holds
    back, the executor loses some: Snakemake thinks that they run, Slurm never hears of them.

    Args:
        jobs: how many jobs the run has.
        limits: option -> how many jobs (or of a resource) it allows at a time; None: any number.

    Raises:
        MedhashError: a limit is below ``jobs``.
    """
    for option, limit in limits.items():
        if limit is not None and limit < jobs:
            raise MedhashError(
                f"{option} {limit} does not go with job arrays: of {jobs} jobs, some would never "
                "be submitted. Leave the limit to Slurm, or switch arrays off for this run: "
                "--slurm-array-jobs none"
            )


def check_cluster(status_command: str) -> None:
    """Ask Slurm whether it is there, and whether ``status_command`` can see its jobs.

    Args:
        status_command: ``sacct`` or ``squeue``: how Snakemake learns what became of a job.

    Raises:
        MedhashError: no Slurm answers, or it keeps no accounting for ``sacct`` to read.
    """
    accounting = _slurm_configuration().get("AccountingStorageType", "")
    if status_command == "sacct" and accounting in ("accounting_storage/none", "(null)", ""):
        raise MedhashError(
            "this Slurm keeps no accounting, and Snakemake would wait for ever for what sacct "
            "says of a job: put slurm-status-command: squeue into "
            "workflow/profiles/slurm/config.yaml"
        )


@dataclass(frozen=True)
class Partition:
    """What Slurm says of a partition.

    Attributes:
        name: its name.
        cancels: whether jobs that it preempts are cancelled instead of brought back. The executor
            leaves a preempted job to Slurm, and would wait for it for ever.
        minutes: how long a job may run.
    """

    name: str
    cancels: bool
    minutes: float


def partitions() -> dict[str, Partition]:
    """The cluster's partitions by name; the default one also by the empty name.

    Raises:
        MedhashError: no Slurm answers.
    """
    found: dict[str, Partition] = {}
    for line in _scontrol("show", "partition", "--oneliner").splitlines():
        told = dict(re.findall(r"(\S+?)=(\S*)", line))
        cancels, minutes = told["PreemptMode"] == "CANCEL", _minutes(told["MaxTime"])
        partition = Partition(told["PartitionName"], cancels, minutes)
        found |= {partition.name: partition} | ({"": partition} if told["Default"] == "YES" else {})
    return found


def check_time(partition: Partition, rule: str, minutes: Sequence[int]) -> None:
    """Refuse a job that would wait for ever, because its partition gives less time.

    Args:
        partition: where it goes.
        rule: its rule.
        minutes: what it asks for in its first attempt, in its second, ….

    Raises:
        MedhashError: the partition gives less in one of them.
    """
    for attempt, asked in enumerate(minutes, 1):
        if asked > partition.minutes:
            raise MedhashError(
                f"{rule} asks for {asked} minutes in attempt {attempt}, and the partition "
                f"'{partition.name}' gives no job more than {partition.minutes:g}: it would wait "
                "for ever. Ask for less under set-resources in workflow/profiles/slurm/config.yaml "
                f"(runtime: min({minutes[0]} * attempt, {partition.minutes:.0f})), or for another "
                "slurm_partition"
            )


async def doze(executor: Any) -> None:
    """Wait until it is time to ask for the state of jobs again, or the run ends.

    Args:
        executor: Snakemake's for Slurm, whose own ``sleep`` cannot be ended.
    """
    end = time.monotonic() + executor.next_seconds_between_status_checks
    while executor.wait and time.monotonic() < end:
        await asyncio.sleep(0.5)


def cancel(executor: Any) -> None:
    """Cancel all jobs of a run.

    The executor's own ``cancel`` knows nothing of jobs that are being submitted, or whose state is
    being asked for.

    Args:
        executor: Snakemake's for Slurm.
    """
    executor._job_submission_executor.shutdown(wait=True, cancel_futures=True)
    subprocess.run(["scancel", "--me", f"--name={executor.run_uuid}"], check=False)
    executor.shutdown()


def job_log(folder: Path, rule: str, outputs: Iterable[str]) -> Path | None:
    """The newest of Slurm's logs of one job of a rule, or None: a job that never started has none.

    The executor names the logs of an array by Slurm's numbers alone, so they are looked into: each
    begins with what Snakemake says of the job.

    Args:
        folder: ``slurm-logdir`` of the profile.
        rule: name of the rule.
        outputs: its output files, as Snakemake prints them.
    """
    logs = sorted((folder / f"rule_{rule}").rglob("*.log"), key=_newest_first)
    line = f"output: {', '.join(outputs)}\n"
    return next((log for log in logs if line in log.read_text(errors="replace")), None)


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The shell command of a task of a job array, if this process was started for another one.

    Slurm starts every task of an array with the command of the first, and the commands of the
    others as an argument. The executor runs the right one, and then looks whether the *first*
    task's files are there: where they are not yet, a task that did well counts as failed, and what
    it made is deleted. So a task should become its own command before that.

    Args:
        arguments: ``sys.argv`` of a Snakemake that Slurm started.
        environment: its variables.

    Returns:
        None outside of an array, in its first task, and where the command is its own already.
    """
    task = environment.get("SLURM_ARRAY_TASK_ID")
    if task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return None
    found = re.search(rf"{COMMANDS_OF_ARRAY}[= ](\S+)", " ".join(arguments))
    if found is None:
        return None
    commands: dict[str, str] = json.loads(base64.b64decode(found[1]))
    return zlib.decompress(bytes.fromhex(commands[task])).decode()


def _minutes(text: str) -> float:
    """Slurm's ``1-12:30:00``, ``UNLIMITED``."""
    days, _, clock = text.rpartition("-")
    try:
        hours, minutes, seconds = map(int, clock.split(":"))
    except ValueError:
        return math.inf
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60


def _newest_first(log: Path) -> tuple[float, str]:
    return -log.stat().st_mtime, str(log)


def _slurm_configuration() -> dict[str, str]:
    """What ``scontrol show config`` prints, key -> value."""
    text = _scontrol("show", "config")
    return dict(re.findall(r"^(\S+)\s*= ?(.*?)\s*$", text, flags=re.MULTILINE))


def _scontrol(*arguments: str) -> str:
    command = ["scontrol", *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise MedhashError(
            "no Slurm here (scontrol is not installed): run this on a machine that submits to the "
            "cluster, or use --profile small on this one"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MedhashError(f"Slurm did not answer within a minute ({' '.join(command)})") from error
    if answer.returncode != 0:
        raise MedhashError(f"Slurm does not answer: {answer.stderr.strip()}")
    return answer.stdout
