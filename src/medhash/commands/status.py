"""How far a run is."""

from __future__ import annotations

import json
import sys
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import RUN, Assignments, Run, Scale, configuration_of
from medhash.errors import MedhashError

if TYPE_CHECKING:
    from collections.abc import Callable

    from medhash.running.status import Status

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def status(
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[str, typer.Option(metavar="TIME", help="With --watch: how often.")] = "5s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the cells of each paper, table and figure that are done, running, failed, outstanding.

    Done is what Snakemake would not run again; a run with a name of its own borrows from its scale
    first, as a dry run does. Also printed: what is running where, what failed
    and why, the jobs that Slurm knows, the time used, and an estimate of what is left.
    """
    from medhash.flow.borrowing import borrow
    from medhash.flow.receipts import Receipts
    from medhash.flow.steps import Steps
    from medhash.running.durations import parse_duration
    from medhash.running.slurm_jobs import slurm_jobs
    from medhash.running.status import project_folder, read_status

    pause = parse_duration(every, "--every")
    if watch and as_json:
        raise MedhashError("--watch and --json exclude each other")
    configuration = configuration_of(scale, assignments, run)
    steps = Steps(configuration)
    borrow(steps, Receipts(steps), (step.receipt for step in steps.asked()))

    def look() -> Status:
        return read_status(configuration, steps, slurm_jobs(project_folder()))

    if as_json:
        typer.echo(json.dumps(look().as_json(), indent=1, sort_keys=True, ensure_ascii=False))
    elif watch:
        _watch(look, pause)
    else:
        _print(look())


def _print(found: Status) -> None:
    from rich.console import Console

    from medhash.running.status_text import status_tables, status_text

    if sys.stdout.isatty():
        Console().print(status_tables(found))
    else:
        typer.echo(status_text(found))


def _watch(look: Callable[[], Status], seconds: float) -> None:
    """In a terminal in place; else one status below the other."""
    from rich.live import Live

    from medhash.running.status_text import status_tables

    try:
        if not sys.stdout.isatty():
            while True:
                _print(look())
                typer.echo("")
                sys.stdout.flush()
                sleep(seconds)
        with Live(status_tables(look()), auto_refresh=False, screen=True) as live:
            while True:
                sleep(seconds)
                live.update(status_tables(look()), refresh=True)
    except KeyboardInterrupt:
        return
