"""After a clone: is what is here what its receipts say?"""

from __future__ import annotations

import typer

from medhash.commands.options import RUN, Assignments, Run, Scale, configuration_of

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def restore(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Check what git and `dvc pull` brought against its receipts; the next run accepts it.

    Names every file that is refused and why, what is outdated, and what is
    not here. Exit status 1 if a run would have something to do.
    """
    from medhash.flow.receipts import Receipts
    from medhash.flow.restoration import restoration
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments, run)
    steps = Steps(configuration)
    found = restoration(configuration.label, steps, Receipts(steps))
    typer.echo(found.text())
    if not found.complete:
        raise typer.Exit(1)
