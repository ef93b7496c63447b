"""Receipts of a change that changes nothing: proved, not promised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import RUN, Assignments, Device, Scale, configuration_of

if TYPE_CHECKING:
    from medhash.audit.acceptance import Outcome, Proposal

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def accept(
    targets: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Files of the run; without any, all of it."),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="Run only so many epochs of each training; 0: all of them.")
    ] = 0,
    whole: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Trainings that are run themselves, and whole, such as 'ach/covid_ct/*/ach/8/0'. "
            "Repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be run, and how long it takes.")
    ] = False,
    scale: Scale = None,
    assignments: Assignments = None,
    device: Device = "auto",
) -> None:
    """After a change of code that should change no file: prove it, and keep the files.

    Runs outdated steps again in a folder of their own. Steps without epochs are all
    run; of trainings with the same code and the same parts plugged in, one stands for
    all. With --epochs the first epochs are compared by the losses and the hashes of
    the state that training kept. Where every byte is the same, the receipts get the
    version of today and say what was run as proof; the audit shows it.

    Exit status: 0 if all that is outdated was accepted, 1 if not.
    """
    from medhash.audit.acceptance import accept as accept_proposal
    from medhash.audit.acceptance import propose
    from medhash.errors import MedhashError
    from medhash.flow.receipts import Receipts
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    unknown = [path for path in targets or () if steps.making(path) is None]
    if unknown:
        raise MedhashError(f"{unknown[0]}: no step of this run makes it")
    wanted = steps.needed_for(*targets) if targets else steps.all()
    proposal = propose(steps, Receipts(steps), wanted, epochs, whole or ())
    _say_what_is_proposed(proposal)
    if dry_run or not proposal.proofs:
        raise typer.Exit(0 if dry_run or not proposal.left else 1)
    outcome = accept_proposal(configuration, steps, proposal, device, typer.echo)
    _say_what_came_of_it(outcome, proposal)
    if outcome.refused or proposal.left:
        raise typer.Exit(1)


def _say_what_is_proposed(proposal: Proposal) -> None:
    seconds = sum(trial.seconds for trial in proposal.trials)
    typer.echo(f"Outdated, and to be settled: {len(proposal.proofs)} steps")
    typer.echo(f"Run as proof, about {seconds / 60:.0f} min: {len(proposal.trials)}")
    for trial in proposal.trials:
        typer.echo(f"  {trial}  {trial.seconds:.0f} s")
    if proposal.not_run:
        typer.echo(f"Not run, others stand for them: {len(proposal.not_run)}")
    for step in proposal.not_run:
        typer.echo(f"  {step}  by {proposal.proofs[step]}")
    if proposal.left:
        typer.echo(f"Left as they are: {len(proposal.left)}")
    for step, reason in proposal.left.items():
        typer.echo(f"  {step}: {reason}")


def _say_what_came_of_it(outcome: Outcome, proposal: Proposal) -> None:
    typer.echo(
        f"Accepted: {len(outcome.accepted)} steps, {len(proposal.not_run)} of them not run "
        f"themselves. Refused: {len(outcome.refused)}."
    )
    for step, reason in outcome.refused.items():
        typer.echo(f"  {step}: {reason}")
