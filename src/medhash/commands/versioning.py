"""What DVC needs: its stages, and what they depend on and show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medhash.commands.options import VERSIONS, Scale, configuration_of

app = typer.Typer()


@app.command(rich_help_panel=VERSIONS)
def dvc(
    scale: Scale = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("dvc.yaml"),
) -> None:
    """Write dvc.yaml: the stages of a scale, for `dvc repro`, `push` and `pull`.

    What to run is read from config/config.yaml, since DVC repeats these commands.
    """
    from medhash.flow.dvc import write_stages

    typer.echo(str(write_stages(configuration_of(scale, None), out)))


@app.command(rich_help_panel=VERSIONS)
def versions(scale: Scale = None) -> None:
    """Write what DVC's stages depend on beside files: hashes of code and settings.

    Writes results/<run>/versions.json.
    """
    from medhash.flow.dvc import write_versions

    typer.echo(str(write_versions(configuration_of(scale, None))))


@app.command(rich_help_panel=VERSIONS)
def metrics(scale: Scale = None) -> None:
    """Write the numbers of all records as one tree, for `dvc metrics show` and `diff`.

    Writes results/<run>/metrics.json.
    """
    from medhash.flow.dvc import write_metrics

    typer.echo(str(write_metrics(configuration_of(scale, None))))
