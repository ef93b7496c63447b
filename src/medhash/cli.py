"""The command line: ``medhash …``. Each command is one step; Snakemake runs the same commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medhash.errors import MedhashError

# Everything else is imported by the command that needs it: `medhash --help` and the steps that
# need no torch must start quickly.
if TYPE_CHECKING:
    from medhash.configuration.grid import Cell
    from medhash.configuration.loading import Configuration
    from medhash.configuration.papers import ArtefactSpec
    from medhash.retrieval.codes import Codes
    from medhash.training.cells import CellInputs

app = typer.Typer(
    help="Regenerates, number by number, papers on hashing for medical image retrieval.\n\n"
    "The whole flow is run by Snakemake, for example `snakemake --profile demo all`. Each command "
    "here is one step of it; run the steps by hand in the order in which they are listed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)

STEPS = "Steps, in their order"
CODES = "Anybody's codes"
RUN = "About a run"
PAPERS = "About the papers"

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
        "--set 'methods=[csq]' --set settings.hashing.epochs=3",
    ),
]
DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="A name in the configuration.")]
CellName = Annotated[
    str,
    typer.Argument(
        metavar="CELL", help="dataset/method/variant/bits/seed, such as covid_ct/csq/ach/8/0"
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def main() -> None:
    """Run the command line; a :class:`MedhashError` is one message and exit status 2."""
    try:
        app()
    except MedhashError as error:
        sys.stderr.write(f"medhash: {error}\n")
        sys.exit(2)


@app.command(rich_help_panel=STEPS)
def prepare(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Read a dataset's archives (download them if need be), or generate a phantom.

    Writes results/<scale>/data/<dataset>/.
    """
    configuration = _configuration(scale, assignments)
    card = _card(configuration, dataset)
    folder = configuration.layout.data(dataset)
    image_size = configuration.settings_for(dataset).network.image_size
    if card.synthetic:
        from medhash.data.confounded import confounding_of
        from medhash.data.phantoms import generate

        phantoms = configuration.required_phantoms()
        confounding = confounding_of(dataset)
        generate(card, folder, image_size, phantoms.images, phantoms.seed, confounding)
    else:
        from medhash.data.preparation import prepare as prepare_dataset

        download_folder = configuration.archives if configuration.download else None
        prepare_dataset(
            card,
            configuration.archive_folders,
            folder,
            image_size,
            download_folder=download_folder,
        )


@app.command(rich_help_panel=STEPS)
def split(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Draw which images are query, database and training images.

    Writes results/<scale>/splits/<dataset>/<seed>.csv and .json.
    """
    from medhash.data.splits import write_split

    configuration = _configuration(scale, assignments)
    card = _card(configuration, dataset)
    seed = configuration.split_seed(dataset)
    layout = configuration.layout
    write_split(
        layout.data(dataset), card.split, seed, layout.split(dataset, seed), card.reported_counts
    )


@app.command(rich_help_panel=STEPS)
def leakage(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """List images and patients that are in the query set and in the database.

    Writes results/<scale>/leakage/<dataset>/<seed>.csv, .md and .json.
    """
    from medhash.data.leakage import write_leakage

    configuration = _configuration(scale, assignments)
    _card(configuration, dataset)
    seed = configuration.split_seed(dataset)
    layout = configuration.layout
    write_leakage(layout.data(dataset), layout.split(dataset, seed), layout.leakage(dataset, seed))


@app.command(rich_help_panel=STEPS)
def pretrain(
    dataset: DatasetName,
    stage: Annotated[str, typer.Option(help="mae, then classification.")],
    scale: Scale = None,
    assignments: Assignments = None,
    device: Device = "auto",
) -> None:
    """Pretrain the backbone on a dataset's training images.

    Writes results/<scale>/pretrain/<dataset>/<stage>.safetensors, .csv and .json.
    """
    from medhash.configuration.validation import check_name

    check_name(stage, ["mae", "classification"], "stage", "--stage")
    configuration = _configuration(scale, assignments)
    _card(configuration, dataset)
    layout = configuration.layout
    from medhash.training.pretraining import pretrain as run_stage

    run_stage(
        "mae" if stage == "mae" else "classification",
        configuration.settings_for(dataset),
        layout.data(dataset),
        layout.split(dataset, configuration.split_seed(dataset)),
        layout.pretrained(dataset, stage),
        previous=None if stage == "mae" else layout.pretrained(dataset, "mae"),
        device=device,
    )


@app.command(rich_help_panel=STEPS)
def train(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Train a cell and write its codes; goes on from the last epoch after an interruption.

    Writes results/<scale>/cells/<cell>/checkpoint.safetensors, codes.npz, train.csv and
    training.json.
    """
    configuration = _configuration(scale, assignments)
    coordinates = _cell(configuration, cell)
    layout = configuration.layout
    from medhash.training.cells import train_cell

    inputs = _cell_inputs(configuration, coordinates)
    settings = configuration.settings_of(coordinates)
    folder = layout.cell(coordinates)
    score = _map_of if settings.evaluation.selection == "best-query-map" else None
    train_cell(coordinates, settings, inputs, folder, device=device, score=score)


@app.command(rich_help_panel=STEPS)
def record(cell: CellName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Score a cell's codes and write its record: numbers and where they come from.

    Writes results/<scale>/cells/<cell>/record.json.
    """
    from medhash.provenance.records import write_record

    configuration = _configuration(scale, assignments)
    coordinates = _cell(configuration, cell)
    write_record(
        configuration.layout,
        coordinates,
        configuration.settings_of(coordinates),
        scale=configuration.scale,
        method_title=configuration.paper_for(coordinates.dataset).method_title(coordinates.method),
    )


@app.command(rich_help_panel=STEPS)
def explain(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Write where a trained cell looks, what it takes for lesions, and its features.

    Writes results/<scale>/cells/<cell>/explanation.npz.
    """
    configuration = _configuration(scale, assignments)
    coordinates = _cell(configuration, cell)
    from medhash.training.explanation import explain_cell

    explain_cell(
        coordinates,
        configuration.settings_of(coordinates),
        configuration.explanation,
        _cell_inputs(configuration, coordinates),
        configuration.layout.cell(coordinates),
        device=device,
    )


@app.command(rich_help_panel=STEPS)
def fps(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Measure how fast a cell answers queries; run it alone on the machine.

    Writes results/<scale>/cells/<cell>/speed.json.
    """
    configuration = _configuration(scale, assignments)
    coordinates = _cell(configuration, cell)
    layout, dataset = configuration.layout, coordinates.dataset
    from medhash.training.speed import measure_speed

    measure_speed(
        coordinates,
        configuration.settings_for(dataset),
        layout.data(dataset),
        layout.split(dataset, configuration.split_seed(dataset)),
        layout.cell(coordinates),
        scale=configuration.scale,
        device=device,
    )


@app.command(rich_help_panel=STEPS)
def table(
    name: Annotated[str, typer.Argument(help="Such as ach_table3.")],
    scale: Scale = None,
    assignments: Assignments = None,
) -> None:
    """Make a table from the records (for speed: the measurements) that are there.

    Writes results/<scale>/tables/<name>.csv, .md and .tex.
    """
    from medhash.analysis.speed_table import load_measurements
    from medhash.analysis.tables import make_speed_table, make_table

    configuration = _configuration(scale, assignments)
    spec = _artefact(configuration.tables, name, "table")
    stem = configuration.layout.table(spec.paper, spec.name)
    if spec.kind == "fps":
        context, paths = _context(configuration, spec), configuration.inputs_of(spec)
        make_speed_table(spec, load_measurements(paths), context, stem)
        return
    records, context = _records(configuration, spec)
    make_table(spec, records, context, stem)


@app.command(rich_help_panel=STEPS)
def figure(
    name: Annotated[str, typer.Argument(help="Such as ach_fig7.")],
    scale: Scale = None,
    assignments: Assignments = None,
) -> None:
    """Draw a figure from the records that are there.

    Writes results/<scale>/figures/<name>.pdf, .png and .csv (the points).
    """
    configuration = _configuration(scale, assignments)
    spec = _artefact(configuration.figures, name, "figure")
    records, context = _records(configuration, spec)
    layout = configuration.layout
    stem = layout.figure(spec.paper, spec.name)
    if spec.is_picture:
        from medhash.analysis.pictures import make_picture

        make_picture(spec, records, layout, context, stem)
    else:
        from medhash.analysis.figures import make_figure

        make_figure(spec, records, context, stem)


@app.command(rich_help_panel=CODES)
def evaluate(
    codes: Annotated[
        Path,
        typer.Argument(
            metavar="CODES.npz",
            help="Arrays query_codes, query_labels, database_codes, database_labels. Codes: -1/+1, "
            "0/1, bool, floats to be signed, or packed bytes with a scalar `bits`. Labels: class "
            "ids or a 0/1 matrix.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    protocol: Annotated[
        str, typer.Option(help="tie-aware (any order of ties) or stable (database order).")
    ] = "tie-aware",
    per_query: Annotated[
        bool, typer.Option("--per-query", help="Add the average precision of every query.")
    ] = False,
    at: Annotated[
        list[int] | None, typer.Option("--at", metavar="K", help="A cutoff K; repeatable.")
    ] = None,
) -> None:
    """Score anybody's codes: mAP, P@K, recall, NDCG, ACG, the precision-recall curve.

    A query without a relevant item in the database counts as 0; how many there were is printed.
    """
    from medhash.retrieval.evaluation import DEFAULT_CUTOFFS, evaluate_file, summary_text

    # The protocol is checked there; its type is a Literal, which typer's options are not.
    metrics = evaluate_file(codes, protocol, at or DEFAULT_CUTOFFS, per_query)  # type: ignore[arg-type]
    if as_json:
        text = json.dumps(metrics, indent=1, sort_keys=True, allow_nan=False)
    else:
        text = summary_text(metrics)
        text += "\n" + _lines_of_queries(metrics) if per_query else ""
    typer.echo(text)


@app.command(rich_help_panel=RUN)
def archives(scale: Scale = None, assignments: Assignments = None) -> None:
    """Say which archives are found and which are missing, and how to get those."""
    from medhash.data.archives import find_archives, missing_report

    configuration = _configuration(scale, assignments)
    folders = configuration.archive_folders
    cards = {name: configuration.cards[name] for name in configuration.datasets}
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
def cells(scale: Scale = None, assignments: Assignments = None) -> None:
    """List the cells of the configured tables and figures, one a line."""
    for cell in _configuration(scale, assignments).cells:
        typer.echo(str(cell))


@app.command(rich_help_panel=RUN)
def show(scale: Scale = None, assignments: Assignments = None) -> None:
    """Name the files to look at after a run."""
    from medhash.configuration.results import results_text

    typer.echo(results_text(_configuration(scale, assignments)))


@app.command(rich_help_panel=PAPERS)
def reported(
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one printed value a line.")] = (
        False
    ),
    check: Annotated[
        bool,
        typer.Option("--check", help="Recompute what a paper derives from its own numbers."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
    strict: Annotated[
        bool, typer.Option(help="With --check: exit status 1 if something does not follow.")
    ] = False,
    table: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Only this table, such as III.")
    ] = None,
) -> None:
    """Print the numbers that the papers report, or check the papers against themselves.

    CSV: paper,table,dataset,method,bits,metric,value, names and values as printed.

    A method goes without the count behind it (DSH+ACH, not DSH+ACH(8/8)), a
    value without its arrow: --check recomputes both. The row of wins, ties and
    losses is the method Summary(W/T/L). Table VIII of ACH names no method in
    its row; it is ACH.
    """
    from medhash.analysis.reported_check import check_json, check_reported, check_text
    from medhash.analysis.reported_tables import csv_text, tables_text, with_table
    from medhash.configuration.reported import load_reported

    if check and as_csv:
        raise MedhashError("--csv and --check exclude each other")
    if not check and (as_json or strict):
        raise MedhashError("--json and --strict belong to --check")
    papers = load_reported()
    shown = with_table(papers, table) if table else list(papers.values())
    if check:
        checks = [each for each in check_reported(papers.values()) if table in (None, each.table)]
        typer.echo(check_json(checks) if as_json else check_text(checks))
        if strict and not all(each.follows for each in checks):
            raise typer.Exit(1)
    elif as_csv:
        typer.echo(csv_text(shown), nl=False)
    else:
        typer.echo(tables_text(shown))


@config_app.command("check")
def config_check(scale: Scale = None, assignments: Assignments = None) -> None:
    """Validate the configuration, the methods' hyperparameters too."""
    from medhash.configuration.loading import check_experiments, check_method_settings

    configuration = _configuration(scale, assignments)
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

    configuration = _configuration(scale, assignments)
    content = {
        "scale": configuration.scale,
        "datasets": list(configuration.datasets),
        "artefacts": {
            stem: spec.model_dump(mode="json") for stem, spec in configuration.artefacts.items()
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
    from medhash.configuration.schema import write_schemas

    for path in write_schemas():
        typer.echo(str(path))


app.add_typer(config_app, name="config", rich_help_panel=RUN)


def _configuration(scale: str | None, assignments: list[str] | None) -> Configuration:
    from medhash.configuration.assignments import parse_assignments
    from medhash.configuration.loading import load

    overrides = parse_assignments(assignments or [])
    return load(overrides=overrides | ({"scale": scale} if scale else {}))


def _card(configuration: Configuration, dataset: str) -> Any:
    return configuration.card(dataset)


def _map_of(codes: Codes) -> float:
    from medhash.retrieval.evaluation import evaluate as score_codes

    score: float = score_codes(codes).metrics["map"]
    return score


def _cell(configuration: Configuration, text: str) -> Cell:
    """A cell whose names exist; it need not be part of a table."""
    from medhash import methods
    from medhash.configuration.ablations import known_variants
    from medhash.configuration.grid import SCRATCH, Cell
    from medhash.configuration.validation import check_name
    from medhash.data.confounded import SEPARATOR

    cell = Cell.parse(text)
    if SEPARATOR in cell.dataset:
        configuration.card(cell.dataset)
    else:
        check_name(cell.dataset, configuration.cards, "dataset", f"cell {text}")
    check_name(cell.method, methods.names(), "method", f"cell {text}")
    ablations = configuration.paper_for(cell.dataset).ablations
    check_name(cell.variant, known_variants(ablations), "variant", f"cell {text}")
    if cell.source:
        check_name(cell.origin, [SCRATCH, *configuration.cards], "dataset", f"cell {text}")
    return cell


def _cell_inputs(configuration: Configuration, cell: Cell) -> CellInputs:
    from medhash.training.cells import CellInputs

    layout, dataset = configuration.layout, cell.dataset
    return CellInputs(
        data_folder=layout.data(dataset),
        split=configuration.split_of(cell),
        pretrained=configuration.pretrained_of(cell),
    )


def _artefact(specs: dict[str, Any], name: str, what: str) -> Any:
    from medhash.configuration.validation import check_name

    check_name(name, specs, what, f"medhash {what}")
    return specs[name]


def _records(configuration: Configuration, spec: ArtefactSpec) -> Any:
    """The records of a table's cells that are there, and what it has to know beside them."""
    from medhash.analysis.records import load_records

    paths = [configuration.layout.record(cell) for cell in spec.cells()]
    records = load_records(path for path in paths if path.is_file())
    return records, _context(configuration, spec)


def _context(configuration: Configuration, spec: ArtefactSpec) -> Any:
    from medhash.analysis.context import Context
    from medhash.configuration.reported import find_reported

    return Context(
        configuration.papers[spec.paper],
        configuration.scale,
        configuration.settings[spec.paper].evaluation.protocol,
        reported=find_reported(spec.paper),
    )


def _lines_of_queries(metrics: dict[str, Any]) -> str:
    values = metrics["per_query_ap"]
    return "\n".join(f"query {number}: AP {value:.4f}" for number, value in enumerate(values))


if __name__ == "__main__":
    main()
