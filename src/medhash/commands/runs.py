"""What a run consists of, and where its files are."""

from __future__ import annotations

import typer

from medhash.commands.options import RUN, Assignments, Scale, configuration_of

app = typer.Typer()
config_app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)


@app.command(rich_help_panel=RUN)
def archives(scale: Scale = None, assignments: Assignments = None) -> None:
    """Say which archives are found and which are missing, and how to get those."""
    from medhash.data.archives.finding import find_archives, missing_report

    configuration = configuration_of(scale, assignments)
    folders = configuration.archive_folders
    cards = {name: configuration.cards[name] for _, name in configuration.views}
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
def show(scale: Scale = None, assignments: Assignments = None) -> None:
    """Name the files to look at after a run."""
    from medhash.configuration.results import results_text

    typer.echo(results_text(configuration_of(scale, assignments)))


@config_app.command("check")
def config_check(scale: Scale = None, assignments: Assignments = None) -> None:
    """Validate the configuration, the methods' hyperparameters too."""
    from medhash.configuration.loading import check_experiments, check_method_settings

    configuration = configuration_of(scale, assignments)
    check_method_settings(configuration)
    check_experiments(configuration)
    counts = f"{len(configuration.tables)} tables, {len(configuration.figures)} figures"
    typer.echo(
        f"The configuration is valid: scale {configuration.scale}, {counts}, "
        f"{len(configuration.cells)} cells."
    )


@config_app.command("show")
def config_show(scale: Scale = None, assignments: Assignments = None) -> None:
    """Print the merged configuration as YAML: grid and settings as this run uses them."""
    import yaml

    configuration = configuration_of(scale, assignments)
    content = {
        "scale": configuration.scale,
        "datasets": {paper: list(own) for paper, own in configuration.datasets.items()},
        "artefacts": {
            key: spec.model_dump(mode="json") for key, spec in configuration.artefacts.items()
        },
        "settings": {
            paper: settings.model_dump(mode="json")
            for paper, settings in configuration.settings.items()
        },
    }
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """Write the JSON schemas of the configuration files, for editors."""
    from medhash.configuration.editors import write_schemas

    for path in write_schemas():
        typer.echo(str(path))


app.add_typer(config_app, name="config", rich_help_panel=RUN)
