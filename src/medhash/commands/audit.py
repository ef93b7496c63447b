"""Whether every link from a printed number to its archive holds; accepting proved changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import RUN, Assignments, Device, Run, Scale, configuration_of

if TYPE_CHECKING:
    from medhash.audit.acceptance import Outcome, Proposal
    from medhash.audit.evidence import Encode, Retrain, Retrained
    from medhash.configuration.loading import Configuration
    from medhash.flow.steps import Step
    from medhash.retrieval.representation import Representation
    from medhash.schema.cell import Cell

app = typer.Typer()


@app.command(rich_help_panel=RUN)
def audit(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="A table or figure (file or name), any other file of a run, a cell, or a copy of "
            "a file from elsewhere; without it, the whole scale.",
        ),
    ] = None,
    row: Annotated[str | None, typer.Option(help="A row of the table, as printed.")] = None,
    column: Annotated[
        str | None, typer.Option(help="A column, such as 'COVID-CT-Dataset/8 bits'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the chain as an RO-Crate into a new folder."),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also prepare the data again and encode them again with the checkpoints."
        ),
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Also run every training behind it again, and compare."),
    ] = False,
    epochs: Annotated[
        int,
        typer.Option(
            min=0, help="With --retrain: run only so many epochs of each training; 0: all of them."
        ),
    ] = 0,
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
) -> None:
    """Follow a number back to its archive, and check every link.

    Files are hashed, metrics computed from the codes, tables and figures made and
    splits drawn again. Nothing is written but the export.

    Exit status: 0 if all that is here is verified, 1 if something is broken, 2 if
    there is nothing of that name, 3 if nothing was verified because nothing is here.
    """
    from medhash.audit.findings import State
    from medhash.audit.run import audit as follow
    from medhash.audit.targets import run_of
    from medhash.audit.text import as_text
    from medhash.configuration.runs import is_scale
    from medhash.errors import AbsentError, MedhashError

    if epochs and not retrain:
        raise MedhashError("medhash audit: --epochs belongs to --retrain")
    own, asked = run_of(target), run or scale
    if own and asked and own != asked:
        raise MedhashError(f"medhash audit {target}: is of the run '{own}', not '{asked}'")
    if own and is_scale(own):
        scale = own
    elif own:
        run = own
    configuration = configuration_of(scale, assignments, run)
    if export is not None:
        from medhash.audit.crate import check_folder

        check_folder(export)
    encode = _encoder(configuration) if deep else None
    trainer = _trainer(configuration, epochs) if retrain else None
    report = follow(configuration, target, row, column, encode, trainer)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1, sort_keys=True, ensure_ascii=False))
    else:
        typer.echo(as_text(report))
    if export is not None:
        from medhash.audit.crate import write_crate

        write_crate(report, configuration, export)
    if report.state == State.BROKEN:
        raise typer.Exit(1)
    if not report.counts[State.VERIFIED]:
        raise typer.Exit(AbsentError.status)


def _encoder(configuration: Configuration) -> Encode:
    """Encodes a cell's images again; torch is needed for nothing else."""
    from medhash.flow.steps import Steps
    from medhash.trained.cell import encode_again
    from medhash.training.task import CellInputs, Task

    steps = Steps(configuration)

    def encode(cell: Cell) -> Representation:
        folder = configuration.layout.cell(cell)
        inputs = CellInputs.of(steps.of("train", cell).inputs)
        return encode_again(Task(cell, configuration.settings_of(cell), inputs, folder))

    return encode


def _trainer(configuration: Configuration, epochs: int) -> Retrain:
    """Trains a step again, on the kind of device that its receipt names."""
    from medhash.audit.acceptance import Trial, difference
    from medhash.audit.evidence import Retrained
    from medhash.flow import receipts
    from medhash.training.devices import choose_device

    def retrain(step: Step) -> Retrained:
        trial = Trial(step, epochs if epochs < step.epochs else 0)
        kind = (receipts.read(step).get("device") or {}).get("type", "auto")
        found = difference(configuration, trial, kind)
        threads = step.kind.number_of_threads(configuration, *step.values)
        device = choose_device(kind, precision="float32", threads=threads)
        return Retrained(trial.extent, found, device.describe())

    return retrain


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
