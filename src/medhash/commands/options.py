"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

# Everything else is imported by the command that needs it: `medhash --help` and the steps that
# need no torch must start quickly.
if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration

STEPS = "Steps, in their order"
CODES = "Anybody's codes"
RUN = "About a run"
PAPERS = "About the papers"
VERSIONS = "For DVC"

Scale = Annotated[
    str | None,
    typer.Option("--scale", help="A file in config/scales; otherwise that of config/config.yaml."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a key of config/config.yaml for this command; VALUE is YAML. Repeatable: "
        "--set 'methods=\\[csq]' --set settings.hashing.epochs=3",
    ),
]
PreparedName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET[/SIZE]",
        help="Such as covid_ct/64; the size may be left out where the run has only one.",
    ),
]
DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="[PAPER/]DATASET",
        help="Such as ach/covid_ct; the paper may be left out where the run has only one.",
    ),
]
CellName = Annotated[
    str,
    typer.Argument(
        metavar="CELL",
        help="paper/dataset/method/variant/bits/seed, such as ach/covid_ct/csq/ach/8/0",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def configuration_of(scale: str | None, assignments: list[str] | None) -> Configuration:
    """The configuration that a command sees.

    Raises:
        MedhashError: every refused key or value.
    """
    from medhash.configuration.assignments import parse_assignments
    from medhash.configuration.loading import load

    overrides = parse_assignments(assignments or [])
    return load(overrides=overrides | ({"scale": scale} if scale else {}))
