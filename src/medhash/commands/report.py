"""Everything about a run on one page."""

from __future__ import annotations

import typer

from medhash.commands.options import PAPERS, Assignments, Run, Scale, configuration_of

app = typer.Typer()


@app.command(rich_help_panel=PAPERS)
def report(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Write results/<run>/report.html: claims, tables, figures and where each number comes from.

    One file that opens offline. What is not made yet is said to be missing.
    """
    from medhash.flow.borrowing import working_on
    from medhash.flow.steps import Steps
    from medhash.report.page import write_report

    configuration = configuration_of(scale, assignments, run)
    steps = Steps(configuration)
    step = steps.report()
    with working_on(configuration, steps, step):
        write_report(configuration, steps, step.outputs["page"])
    typer.echo(step.outputs["page"])
