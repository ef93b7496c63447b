"""The command ``medhash``, and ``python -m medhash``."""

from __future__ import annotations

import sys

from medhash.commands.warm import run_warm


def main() -> None:
    """Run a command: in a warm process where a run of Snakemake has started one, or else here."""
    status = run_warm(sys.argv[1:])
    if status is not None:
        sys.exit(status)
    from medhash.commands.app import main as run

    run()


if __name__ == "__main__":
    main()
