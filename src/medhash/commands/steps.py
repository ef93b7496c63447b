"""The steps of the flow as commands, made from their descriptions; Snakemake runs the same ones.

Each leaves a receipt behind, whoever typed it: see :mod:`medhash.flow.receipts`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medhash.commands.options import (
    Assignments,
    Device,
    IfOutdated,
    Run,
    Scale,
    configuration_of,
)
from medhash.commands.stopping import Stopping
from medhash.errors import PausedError
from medhash.progress import say

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.kind import StepKind

OWN_COMMANDS = ("claims",)
"""Those that can do more than run their step."""


def add_commands(app: typer.Typer) -> None:
    """Give a command line one command for each rule, in the order of the flow."""
    from medhash.flow.kinds import kinds

    for kind in kinds():
        if not kind.command and kind.rule not in OWN_COMMANDS:
            app.command(kind.rule, rich_help_panel=kind.panel, help=inspect.getdoc(kind))(
                _command(kind)
            )


def run(configuration: Configuration, name: str, *coordinates: str, **how: Any) -> None:
    """Run a step by its command's name and arguments; Ctrl-C stops a training after its epoch.

    Args:
        configuration: what is run.
        name: of the command.
        coordinates: its arguments.
        how: ``device`` and ``if_outdated`` of :class:`~medhash.flow.running.Job`.

    Raises:
        MedhashError: the configuration has no such step; or see the step's own module.
        Exit: it was stopped; with the signal's status.
    """
    from medhash.flow.running import Job, run_step
    from medhash.flow.steps import Steps

    steps = Steps(configuration)
    step = steps.of(name, *coordinates)
    stopping = Stopping()
    try:
        with stopping.listening() if step.kind.trains else nullcontext():
            told = run_step(configuration, steps, step, Job(pause=stopping.requested, **how))
    except PausedError as error:
        say(str(error))
        raise typer.Exit(stopping.status) from None
    if told:
        typer.echo(told)


def _command(kind: StepKind) -> Callable[..., None]:
    """A function with the signature that the description names."""

    def command(**values: Any) -> None:
        how = {name: values.pop(name) for name in ("device", "if_outdated") if name in values}
        chosen = (values.pop(name) for name in ("scale", "assignments", "run"))
        configuration = configuration_of(*chosen)
        run(configuration, kind.rule, *values.values(), **how)

    parameters = _parameters(kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _parameters(kind: StepKind) -> list[inspect.Parameter]:
    typed = [wildcard for wildcard in kind.wildcards if wildcard.given != "no"]
    given: dict[str, tuple[Any, Any]] = {}
    if kind.form:
        argument = typer.Argument(metavar=kind.form, help=kind.help)
        given["argument"] = Annotated[str, argument], inspect.Parameter.empty
    for each in typed:
        if each.given == "option":
            option = typer.Option(f"--{each.name}", help=each.help)
            given[each.name] = Annotated[str, option], inspect.Parameter.empty
    given |= {"scale": (Scale, None), "assignments": (Assignments, None), "run": (Run, None)}
    if kind.on_device:
        given["device"] = Device, "auto"
    if not kind.gathers:
        given["if_outdated"] = IfOutdated, False
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind_)
        for name, (kind_, default) in given.items()
    ]
