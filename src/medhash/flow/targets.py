"""What a person may ask Snakemake for: a named target, or a file of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.flow.steps import Steps
from medhash.schema.validation import nearest


def check_targets(
    asked: Iterable[str], named: Collection[str], configuration: Configuration, steps: Steps
) -> None:
    """Refuse what no rule makes, before Snakemake says of it that rules are missing.

    Args:
        asked: targets of a command line.
        named: the targets that have a name.
        configuration: of the run.
        steps: of the run.

    Raises:
        MedhashError: names the nearest named target and lists all.
    """
    for target in asked:
        if target in named or steps.making(Path(target)) is not None:
            continue
        files = configuration.layout.root.as_posix()
        raise MedhashError(
            f"'{target}' is nothing that this run makes{nearest(target, named)}; named targets: "
            f"{', '.join(sorted(named))}; or a file below {files}, as docs/architecture.md lists "
            "them"
        )


def check_omitted(asked: Iterable[str], steps: Steps) -> None:
    """Refuse to leave out a file that Snakemake does not know: it would leave out nothing.

    Args:
        asked: what a command line names after ``--omit-from``.
        steps: of the run.

    Raises:
        MedhashError: names what to say instead.
    """
    for target in asked:
        maker = steps.making(Path(target))
        if maker is not None and Path(target) != maker.receipt:
            raise MedhashError(f"--omit-from {target}: name its receipt instead: {maker.receipt}")
