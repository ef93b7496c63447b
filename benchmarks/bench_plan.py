"""What a plan costs: `snakemake -n` on every seed of the scale `paper`, and our own part of it.

    python benchmarks/bench_plan.py --seeds 20

plans a run of some 16,000 jobs of which none is done, in a folder of its own, and prints processor
seconds and memory: of the whole, and of what is not Snakemake's (configuration, steps, receipts,
what each job waits for), which is done once more in this process. On a busy machine processor time
is the one to trust.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from medhash.configuration.loading import load
from medhash.flow.borrowing import borrow
from medhash.flow.plan import Plan
from medhash.flow.receipts import Receipts
from medhash.flow.steps import Steps

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "workflow", "config", "default", "docs", "environment.yml", "src")
RUN = "plan"


def whole(seeds: list[int]) -> tuple[float, float, float]:
    """A dry run: wall time and processor time in seconds, memory in MB."""
    chosen = ["scale=paper", f"run={RUN}", f"seeds={seeds}"]
    command = ["snakemake", "-n", "--quiet", "--config", *chosen, "--", "all"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: failed")
    wall = time.perf_counter() - start
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def own_part(seeds: list[int]) -> tuple[int, float]:
    """Jobs of the same run, and the processor time of what our code does for its plan."""
    start = time.process_time()
    configuration = load(overrides={"scale": "paper", "run": RUN, "seeds": seeds})
    steps = Steps(configuration)
    wanted = [file for step in steps.asked() for file in step.outputs.values()]
    receipts = Receipts(steps)
    borrow(steps, receipts, wanted)
    plan = Plan(steps, receipts, wanted)
    for step in plan.running:
        plan.inputs(step)
    return len(plan.running), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="800 jobs each")
    seeds = list(range(parser.parse_args().seeds))
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            (Path(folder) / part).symlink_to(PROJECT / part)
        os.chdir(folder)
        whole([0])  # fills .cache, as every run but the first finds it
        wall, processor, memory = whole(seeds)
        jobs, own = own_part(seeds)
        os.chdir(PROJECT)
    facts = {
        "jobs": jobs,
        "whole dry run": f"{processor:.1f} processor seconds, {wall:.1f} s of wall time",
        "a job": f"{1000 * processor / jobs:.2f} ms",
        "our part": f"{own:.1f} processor seconds, {own / processor:.0%} of it",
        "memory": f"{memory:.0f} MB",
    }
    print(tabulate(list(facts.items()), tablefmt="plain"))


if __name__ == "__main__":
    main()
