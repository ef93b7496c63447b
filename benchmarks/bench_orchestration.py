"""What orchestration costs: wall time of a run of Snakemake minus the steps' own work, per job.

Run after a run has finished: python benchmarks/bench_orchestration.py [LOG]

LOG is a log of Snakemake's; if none is named, the newest in .snakemake/log of a run with jobs. It
says when jobs began and ended and on how many cores; the receipts of the jobs' steps say how long
their own work took, from the first input that is read to the last output that is written. The rest
is orchestration:

- start-up: a job's process until its own work begins, and from its end until Snakemake notices
  (interpreter, imports, configuration, fingerprints, the receipt itself);
- the DAG: from the start of Snakemake to the first job, and after the last one;
- idle cores: jobs that wait for others, or too few jobs left.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tabulate import tabulate

from medhash.errors import MedhashError

_BLOCK = re.compile(
    r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]\n(.*?)(?=^\[|\Z)", re.M | re.S
)
_STAMP = "%a %b %d %H:%M:%S %Y"


@dataclass(frozen=True)
class Job:
    """A job that ran; times in seconds.

    Attributes:
        rule: its rule.
        wall: from its start to its end, as Snakemake saw them (in whole seconds).
        own: the step's own work, from its receipt.
        threads: cores that it held.
    """

    rule: str
    wall: float
    own: float
    threads: int


@dataclass(frozen=True)
class Run:
    """A run of Snakemake; seconds.

    Attributes:
        wall: from its start to its end.
        cores: as provided.
        before: until the first job began.
        jobs: those that ran.
    """

    wall: float
    cores: int
    before: float
    jobs: list[Job]


def read_run(log: Path) -> Run:
    """A run from its log and from the receipts that it wrote.

    Raises:
        MedhashError: the run did not end, or its receipts were written again since.
    """
    text = log.read_text(encoding="utf-8")
    elapsed = re.search(r"^Elapsed time: (?:(\d+) days?, )?(\d+):(\d+):([\d.]+)$", text, re.M)
    cores = re.search(r"^Provided cores: (\d+)", text, re.M)
    begun = re.search(r"^  Date: (.+)$", text, re.M)
    if not elapsed or not cores or not begun:
        raise MedhashError(f"{log}: is not of a run that has ended")
    days, hours, minutes, seconds = elapsed.groups(default="0")
    wall = timedelta(int(days), float(seconds), minutes=int(minutes), hours=int(hours))
    jobs, first = _jobs(log, text)
    before = first - datetime.fromisoformat(begun[1])
    return Run(wall.total_seconds(), int(cores[1]), before.total_seconds(), jobs)


def table(run: Run) -> str:
    """Where the time of a run went, by rule and in all."""
    by_rule: dict[str, list[Job]] = defaultdict(list)
    for job in run.jobs:
        by_rule[job.rule].append(job)
    rows = [_row(rule, jobs) for rule, jobs in by_rule.items()]
    rows.append(_row("all", run.jobs))
    headers = ["rule", "jobs", "own work (s)", "start-up a job (s)"]
    lines = [tabulate(rows, headers, floatfmt=".2f"), ""]
    own = sum(job.own * job.threads for job in run.jobs)
    held = sum(job.wall * job.threads for job in run.jobs)
    capacity = run.wall * run.cores
    facts = {
        "wall time": f"{run.wall:.1f} s on {run.cores} cores ({capacity:.1f} core seconds)",
        "own work of the steps": f"{own:.1f} core seconds",
        "start-up of jobs": f"{held - own:.1f} core seconds",
        "DAG, before the first job": f"{run.before:.1f} s",
        "idle cores, DAG among them": f"{capacity - held:.1f} core seconds",
        "overhead a job": f"{(capacity - own) / len(run.jobs):.2f} core seconds",
    }
    return "\n".join([*lines, tabulate(list(facts.items()), tablefmt="plain")])


def _row(rule: str, jobs: list[Job]) -> list[object]:
    own = sum(job.own for job in jobs)
    return [rule, len(jobs), own, (sum(job.wall for job in jobs) - own) / len(jobs)]


def _jobs(log: Path, text: str) -> tuple[list[Job], datetime]:
    """The jobs with a receipt, and when the first one began."""
    begun: dict[str, tuple[datetime, str]] = {}
    jobs, starts = [], []
    for stamp, block in _BLOCK.findall(text):
        time = datetime.strptime(stamp, _STAMP)
        number = re.search(r"jobid: (\d+)", block)
        if number and re.match(r"(local)?rule \w+:", block):
            begun[number[1]] = time, block
            starts.append(time)
        elif number and block.startswith("Finished") and number[1] in begun:
            job = _job(log, *begun[number[1]], time)
            jobs += [job] if job else []
    if not jobs:
        raise MedhashError(f"{log}: no job of a step has finished")
    return jobs, min(starts)


def _job(log: Path, start: datetime, block: str, end: datetime) -> Job | None:
    receipt = re.search(r"^    output: .*?(\S+/receipts/\S+\.json)", block, re.M)
    if not receipt:
        return None
    path = log.absolute().parents[2] / receipt[1]
    said = json.loads(path.read_text(encoding="utf-8"))
    made = datetime.fromisoformat(said["started"]).astimezone().replace(tzinfo=None)
    if not start - timedelta(seconds=1) <= made <= end:
        raise MedhashError(f"{path}: was written by another run than {log}")
    threads = re.search(r"^    threads: (\d+)", block, re.M)
    rule = re.match(r"(?:local)?rule (\w+)", block)
    wall = (end - start).total_seconds()
    return Job(rule[1] if rule else "", wall, said["seconds"], int(threads[1]) if threads else 1)


def _logs_with_jobs() -> list[Path]:
    logs = sorted(Path(".snakemake/log").glob("*.log"))
    return [log for log in logs if "Finished jobid" in log.read_text(encoding="utf-8")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", nargs="?", type=Path, help="the newest in .snakemake/log")
    log = parser.parse_args().log
    try:
        logs = [log] if log else _logs_with_jobs()
        if not logs:
            raise MedhashError(".snakemake/log: holds no log of a run with jobs")
        print(table(read_run(logs[-1])))
    except MedhashError as error:
        sys.exit(f"medhash: {error}")


if __name__ == "__main__":
    main()
