"""What the papers print, and whether a run reproduces what they claim."""

from __future__ import annotations

from typing import Annotated

import typer

from medhash.commands import steps
from medhash.commands.options import PAPERS, Assignments, Run, Scale, configuration_of
from medhash.errors import AbsentError, MedhashError

app = typer.Typer()


@app.command(rich_help_panel=PAPERS)
def reported(
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one printed value a line.")] = (
        False
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Recompute what a paper derives from its own numbers.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
    strict: Annotated[
        bool, typer.Option(help="With --check: exit status 1 if something does not follow.")
    ] = False,
    table: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Only this table, such as III.")
    ] = None,
) -> None:
    """Print the numbers that the papers report, or check the papers against themselves.

    CSV: paper,table,dataset,method,bits,metric,value, names and values as printed.

    A method goes without the count behind it (DSH+ACH, not DSH+ACH(8/8)), a
    value without its arrow: --check recomputes both. The row of wins, ties and
    losses is the method Summary(W/T/L). Table VIII of ACH names no method in
    its row; it is ACH.
    """
    from medhash.papers.reported import load_reported
    from medhash.verdicts.reported_check import check_json, check_reported, check_text
    from medhash.verdicts.reported_tables import csv_text, tables_text, with_table

    if check and as_csv:
        raise MedhashError("--csv and --check exclude each other")
    if not check and (as_json or strict):
        raise MedhashError("--json and --strict belong to --check")
    papers = load_reported()
    shown = with_table(papers, table) if table else list(papers.values())
    if check:
        checks = [each for each in check_reported(papers.values()) if table in (None, each.table)]
        if not checks:
            raise AbsentError(f"medhash reported --check: nothing is derived from Table {table}")
        typer.echo(check_json(checks) if as_json else check_text(checks))
        if strict and any(each.follows is False for each in checks):
            raise typer.Exit(1)
    elif as_csv:
        typer.echo(csv_text(shown), nl=False)
    else:
        typer.echo(tables_text(shown))


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
    """Give each claim of the papers a verdict, where the seeds decide one.

    Writes results/<run>/claims.csv and claims.md, from the records and
    measurements that are there. A claim is reproduced, or not, only at the
    papers' own scale, where everything that it is about has run and intervals
    over the seeds leave no other answer; phantoms decide none. Exit status 3, and nothing is
    written, if what was made is not here, or nothing has run.
    """
    from medhash.configuration.claimed import claimed_by
    from medhash.flow.running import check_inputs
    from medhash.flow.steps import Steps
    from medhash.verdicts.claims import decide_claims
    from medhash.verdicts.run import load_runs
    from medhash.verdicts.texts import csv_text, json_text

    if as_csv and as_json:
        raise MedhashError("--csv and --json exclude each other")
    configuration = configuration_of(scale, assignments, run)
    if not claimed_by(configuration):
        raise AbsentError("medhash claims: no paper of this run has a file of claims")
    if not as_csv and not as_json:
        steps.run(configuration, "claims")
        return
    own = Steps(configuration)
    check_inputs(configuration, own, own.of("claims"))
    decisions = decide_claims(load_runs(configuration))
    typer.echo(csv_text(decisions) if as_csv else json_text(decisions), nl=as_json)
