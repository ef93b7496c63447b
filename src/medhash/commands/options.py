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
Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        help="The run's own name, for choices other than the scale's; alone, a run that there is.",
    ),
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
CellName = Annotated[
    str,
    typer.Argument(
        metavar="CELL",
        help="paper/dataset/method/variant/bits/seed, such as ach/covid_ct/csq/ach/8/0",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
IfOutdated = Annotated[
    bool,
    typer.Option("--if-outdated", help="Do nothing where all files are here and fit the receipt."),
]


def configuration_of(
    scale: str | None, assignments: list[str] | None, run: str | None = None
) -> Configuration:
    """The configuration that a command sees; a run's name alone says what it was.

    Raises:
        MedhashError: every refused key or value; choices that are not the scale's, without a name.
    """
    from medhash.configuration.assignments import parse_assignments
    from medhash.configuration.loading import check_is_named, load
    from medhash.configuration.runs import with_remembered

    given = parse_assignments(assignments or [])
    given |= ({"scale": scale} if scale else {}) | ({"run": run} if run else {})
    configuration = load(overrides=with_remembered(given))
    check_is_named(configuration)
    return configuration
