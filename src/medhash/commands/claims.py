"""Whether a run reproduces what the papers claim."""

from __future__ import annotations

from typing import Annotated

import typer

from medhash.commands.options import PAPERS, Assignments, Run, Scale, configuration_of
from medhash.errors import MedhashError

app = typer.Typer()


@app.command(rich_help_panel=PAPERS)
def claims(
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV; write nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with every case and cell; write nothing.")
    ] = False,
) -> None:
    """Give each claim of the papers a verdict: reproduced, not reproduced, or not run.

    Writes results/<run>/claims.csv and claims.md, from the records and
    measurements that are there. A claim is decided only where everything that
    it is about has run; phantoms decide none.
    """
    from medhash.flow.borrowing import borrow
    from medhash.flow.receipts import recorded
    from medhash.flow.steps import Steps
    from medhash.verdicts.claims import decide_claims
    from medhash.verdicts.run import load_runs
    from medhash.verdicts.texts import csv_text, json_text, summary_text, write_claims

    if as_csv and as_json:
        raise MedhashError("--csv and --json exclude each other")
    configuration = configuration_of(scale, assignments, run)
    steps = Steps(configuration)
    borrow(configuration, steps, steps.claims().inputs.values())
    runs = load_runs(configuration)
    decisions = decide_claims(runs)
    if as_csv:
        typer.echo(csv_text(decisions), nl=False)
    elif as_json:
        typer.echo(json_text(decisions))
    else:
        typer.echo(summary_text(decisions))
        with recorded(steps, steps.claims()):
            paths = write_claims(decisions, runs, configuration.layout.root)
        typer.echo("\n".join(map(str, paths)))
