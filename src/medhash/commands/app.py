"""The command line: ``medhash …``; each group of commands is a module of medhash.commands."""

from __future__ import annotations

import errno
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


# A disk that is full, a folder that may not be written: logs, locks and marks meet them, too.
_PLACES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def main() -> None:
    """Run the command line; what a person can mend is one message and its exit status."""
    try:
        app(prog_name="medhash")
    except MedhashError as error:
        _refuse(str(error), error.status)
    except OSError as error:
        if error.errno not in _PLACES:
            raise
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror}; make room, or the folder writable, and start again"
        _refuse(text, MedhashError.status)


def _refuse(text: str, status: int) -> None:
    sys.stderr.write(f"medhash: {text}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
