"""Where a printed number comes from, and whether every link of the way holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import RUN, Assignments, Run, Scale, configuration_of

if TYPE_CHECKING:
    from medhash.audit.evidence import Encode
    from medhash.configuration.loading import Configuration
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
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
) -> None:
    """Follow a number back to its archive, and check every link.

    Files are hashed, metrics computed from the codes, tables and figures made and
    splits drawn again. Nothing is written but the export.

    Exit status: 0 if all that is here is verified, 1 if something is broken, 2 if
    there is nothing of that name.
    """
    from medhash.audit.findings import State
    from medhash.audit.run import audit as follow
    from medhash.audit.targets import run_of
    from medhash.audit.text import as_text
    from medhash.configuration.runs import is_scale
    from medhash.errors import MedhashError

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
    report = follow(configuration, target, row, column, _encoder(configuration) if deep else None)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1, sort_keys=True, ensure_ascii=False))
    else:
        typer.echo(as_text(report))
    if export is not None:
        from medhash.audit.crate import write_crate

        write_crate(report, configuration, export)
    if report.state == State.BROKEN:
        raise typer.Exit(1)


def _encoder(configuration: Configuration) -> Encode:
    """Encodes a cell's images again; torch is needed for nothing else."""
    from medhash.flow.steps import Steps
    from medhash.trained.cell import encode_again
    from medhash.training.task import CellInputs

    steps = Steps(configuration)

    def encode(cell: Cell) -> Representation:
        folder = configuration.layout.cell(cell)
        inputs = CellInputs.of(steps.of("train", cell).inputs)
        return encode_again(cell, configuration.settings_of(cell), inputs, folder)

    return encode
