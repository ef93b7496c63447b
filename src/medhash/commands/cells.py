"""Which cells there are."""

from __future__ import annotations

import typer

from medhash.commands.options import RUN, Assignments, Run, Scale, configuration_of

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def cells(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """List the cells of the configured tables and figures, one a line."""
    for cell in configuration_of(scale, assignments, run).cells:
        typer.echo(str(cell))
