"""What a run consists of, where its files are, and whether they are what they should be."""

from __future__ import annotations

from typing import Annotated

import typer

from medhash.commands.options import RUN, Assignments, Run, Scale, configuration_of
from medhash.errors import AbsentError

app = typer.Typer()
config_app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)

RunName = Annotated[str, typer.Argument(help="A scale, or a run with a name of its own.")]


@app.command(rich_help_panel=RUN)
def archives(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Say which archives are found and which are missing, and how to get those."""
    from medhash.data.upstream import find_archives, missing_report
    from medhash.schema.datasets import without_split

    configuration = configuration_of(scale, assignments, run)
    folders = configuration.archive_folders
    names = (without_split(dataset) for _, dataset in configuration.views)
    cards = {name: configuration.cards[name] for name in names}
    for name, card in cards.items():
        found = None if card.synthetic else find_archives(card, folders)
        if found is None:
            typer.echo(f"{name}: generated")
        elif found.complete:
            places = ", ".join(str(container.path) for container in found.containers)
            typer.echo(f"{name}: {places}")
    report = missing_report(cards, folders, configuration.artefacts_waiting(cards))
    if report:
        typer.echo(report)


@app.command(rich_help_panel=RUN)
def show(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Name the files to look at after a run."""
    from medhash.configuration.results import results_text

    typer.echo(results_text(configuration_of(scale, assignments, run)))


@app.command(rich_help_panel=RUN)
def cells(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """List the cells of the configured tables and figures, one a line."""
    for cell in configuration_of(scale, assignments, run).cells:
        typer.echo(str(cell))


@app.command(rich_help_panel=RUN)
def compare(
    first: RunName,
    second: RunName,
    table: Annotated[str | None, typer.Option(help="This table only, such as ach/table3.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the values as CSV.")] = False,
) -> None:
    """Set two runs side by side: what they choose differently, and their tables' values.

    Reads the tables that both have made; writes nothing. Exit status 3 if they have no value in
    common.
    """
    from medhash.configuration.runs import configuration_of_run
    from medhash.verdicts.side_by_side import comparison_csv, comparison_text, value_pairs

    runs = configuration_of_run(first), configuration_of_run(second)
    pairs = value_pairs(*runs, table)
    if not any(pair.difference for pair in pairs):
        raise AbsentError(
            f"medhash compare: no place of a table has a value in both {first} and {second}; make "
            "the tables of cells that have run in both"
        )
    typer.echo(comparison_csv(pairs) if as_csv else comparison_text(*runs, pairs), nl=not as_csv)


@app.command(rich_help_panel=RUN)
def restore(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Check what git and `dvc pull` brought against its receipts; the next run accepts it.

    Names every file that is refused and why, what is outdated, and what is
    not here. Exit status 1 if a run would have something to do. A run with a name of its own
    borrows from its scale first, as a dry run does.
    """
    from medhash.flow.borrowing import borrow
    from medhash.flow.receipts import Receipts
    from medhash.flow.restoration import restoration
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments, run)
    steps = Steps(configuration)
    receipts = Receipts(steps)
    borrow(steps, receipts, (step.receipt for step in steps.asked()))
    found = restoration(configuration.label, steps, receipts)
    typer.echo(found.text())
    if not found.complete:
        raise typer.Exit(1)


@config_app.command("check")
def config_check(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Validate the configuration, the methods' hyperparameters too."""
    from medhash.configuration.loading import check_experiments, check_method_settings

    configuration = configuration_of(scale, assignments, run)
    check_method_settings(configuration)
    check_experiments(configuration)
    counts = f"{len(configuration.tables)} tables, {len(configuration.figures)} figures"
    typer.echo(
        f"The configuration is valid: scale {configuration.label}, {counts}, "
        f"{len(configuration.cells)} cells."
    )


@config_app.command("show")
def config_show(scale: Scale = None, assignments: Assignments = None, run: Run = None) -> None:
    """Print the merged configuration as YAML: grid and settings as this run uses them."""
    import yaml
    from pydantic_core import to_jsonable_python

    configuration = configuration_of(scale, assignments, run)
    content = {
        "scale": configuration.scale,
        "run": configuration.run,
        "datasets": {paper: list(own) for paper, own in configuration.datasets.items()},
        "artefacts": {
            key: spec.model_dump(mode="json") for key, spec in configuration.artefacts.items()
        },
        "settings": to_jsonable_python(configuration.settings),
    }
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """Write the JSON schemas of the configuration files, for editors."""
    from medhash.configuration.editors import write_schemas

    for path in write_schemas():
        typer.echo(str(path))


app.add_typer(config_app, name="config", rich_help_panel=RUN)
