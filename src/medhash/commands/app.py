"""The command line: ``medhash …``; each group of commands is a module of medhash.commands."""

from __future__ import annotations

import sys

import typer

from medhash.commands import audit, papers, query, runs, status, steps, versioning
from medhash.errors import MedhashError

app = typer.Typer(
    help="Regenerates, number by number, papers on hashing for medical image retrieval.\n\n"
    "The whole flow is run by Snakemake, for example `snakemake --profile demo all`. Each step of "
    "it is a command here; run the steps by hand in the order in which they are listed.\n\n"
    "Exit status: 0: done. 1: done, and something is not as it should be. 2: refused; nothing was "
    "done. 3: nothing of what was asked could be done, because what it needs is not here. 128 + a "
    "signal's number: stopped by it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
steps.add_commands(app)
for group in (query, runs, audit, status, papers, versioning):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; a :class:`MedhashError` is one message and its exit status."""
    try:
        app(prog_name="medhash")
    except MedhashError as error:
        sys.stderr.write(f"medhash: {error}\n")
        sys.exit(error.status)


if __name__ == "__main__":
    main()
