"""Two runs side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from medhash.commands.options import RUN

app = typer.Typer()

RunName = Annotated[str, typer.Argument(help="A scale, or a run with a name of its own.")]


@app.command(rich_help_panel=RUN)
def compare(
    first: RunName,
    second: RunName,
    table: Annotated[str | None, typer.Option(help="This table only, such as ach/table3.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the values as CSV.")] = False,
) -> None:
    """Set two runs side by side: what they choose differently, and their tables' values.

    Reads the tables that both have made; writes nothing.
    """
    from medhash.configuration.runs import configuration_of_run
    from medhash.verdicts.side_by_side import comparison_csv, comparison_text, value_pairs

    runs = configuration_of_run(first), configuration_of_run(second)
    pairs = value_pairs(*runs, table)
    typer.echo(comparison_csv(pairs) if as_csv else comparison_text(*runs, pairs), nl=not as_csv)
