"""Cells: which there are, and running those that are outstanding."""

from __future__ import annotations

import math
import os
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import RUN, Assignments, Device, Run, Scale, configuration_of
from medhash.errors import MedhashError

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.running.limits import Budget
    from medhash.schema.cell import Cell

app = typer.Typer()
cells_app = typer.Typer()
app.add_typer(cells_app, name="cells", rich_help_panel=RUN)


@cells_app.callback(invoke_without_command=True)
def cells(
    context: typer.Context, scale: Scale = None, assignments: Assignments = None, run: Run = None
) -> None:
    """List the cells of the configured tables and figures, one a line; or run them."""
    if context.invoked_subcommand is not None:
        if scale or assignments:
            raise MedhashError(f"options belong behind '{context.invoked_subcommand}'")
        return
    for cell in configuration_of(scale, assignments, run).cells:
        typer.echo(str(cell))


@cells_app.command()
def run(
    pending: Annotated[
        bool, typer.Option("--pending", help="Every cell that is not finished.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Be done after this time: 25m, 1h30m. Default: no limit."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB", help="Of the unfinished cells only these: 'covid_ct/*/ach/*'."
        ),
    ] = None,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="Be done this long after SIGTERM or Ctrl-C.")
    ] = "20s",
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
    device: Device = "auto",
) -> None:
    """Train as many unfinished cells as fit into a time, longest first, and score them.

    What they need is made first: data, splits, pretrained backbones, the cells that they start
    from. What does not fit is paused after an epoch and goes on next time. Any number of these may
    run at once, also on several machines that share the folder; none takes what another is
    working on. Snakemake then finds done what they did. Logs: logs/<scale>/<step>/<cell>.log.

    Exit status: 0, also with work left; 1 if a step failed.
    """
    from medhash.running.durations import parse_duration
    from medhash.running.limits import Budget, seconds_since_start

    seconds = parse_duration(budget, "--budget") if budget is not None else math.inf
    limit = Budget(seconds, used=seconds_since_start())
    patience = parse_duration(grace, "--grace")
    if not pending and only is None:
        raise MedhashError("say which cells: --pending for all unfinished ones, or --only GLOB")
    configuration = configuration_of(scale, assignments, run)
    succeeded = _run(configuration, _selected(configuration, only or "*"), limit, patience, device)
    _leave(0 if succeeded else 1)


def _leave(status: int) -> None:
    """End this process at once, where it is one of its own.

    To take torch apart is a second of work, many seconds on a busy machine, and the budget ends
    with the process. Files are closed and leases given back by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.stdout is sys.__stdout__:
        os._exit(status)
    raise typer.Exit(status)


def _run(
    configuration: Configuration, chosen: list[Cell], budget: Budget, grace: float, device: str
) -> bool:
    """Whether nothing failed."""
    from medhash.commands.execution import execute
    from medhash.configuration.loading import check_method_settings
    from medhash.flow.steps import Steps
    from medhash.running.devices import device_here
    from medhash.running.leases import Leases
    from medhash.running.limits import Stopping
    from medhash.running.outcome_text import outcome_text
    from medhash.running.runner import Runner

    check_method_settings(configuration)
    steps = Steps(configuration)
    stopping = Stopping(budget, grace)
    runner = Runner(
        configuration,
        steps,
        lambda step, pause: execute(configuration, steps, step, device, pause),
        budget=budget,
        stopping=stopping,
        leases=Leases(configuration.layout),
        device=device_here(device),
    )
    with stopping.listening():
        outcome = runner.run(chosen)
    typer.echo(outcome_text(outcome, runner.estimates))
    return not outcome.failed


def _selected(configuration: Configuration, pattern: str) -> list[Cell]:
    chosen = [cell for cell in configuration.cells if fnmatchcase(str(cell), pattern)]
    if not chosen:
        raise MedhashError(
            f"--only {pattern!r}: no cell of the scale {configuration.scale} is called so; "
            "`medhash cells` lists them"
        )
    return chosen
