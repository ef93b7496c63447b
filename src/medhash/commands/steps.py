"""The steps of the flow as commands; Snakemake runs the same ones.

Each leaves a receipt behind, whoever typed it: see :mod:`medhash.flow.receipts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from medhash.commands.options import (
    STEPS,
    Assignments,
    CellName,
    DatasetName,
    Device,
    PreparedName,
    Scale,
    configuration_of,
)

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.steps import Step, Steps
    from medhash.papers.specs import ArtefactSpec, FigureSpec, TableSpec
    from medhash.schema.cell import Cell
    from medhash.training.task import CellInputs

app = typer.Typer()


@app.command(rich_help_panel=STEPS)
def prepare(dataset: PreparedName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Read a dataset's archives (download them if need be), or generate a phantom.

    Writes results/<scale>/data/<dataset>/<size>/.
    """
    from medhash.configuration.known_cells import known_size
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    _run(configuration, steps, steps.prepare(*known_size(configuration, dataset)))


@app.command(rich_help_panel=STEPS)
def gist(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Describe a prepared dataset's images by GIST, which fitted methods stand on.

    Writes results/<scale>/data/<dataset>/<size>/gist.npy.
    """
    from medhash.configuration.known_cells import known_size
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    _run(configuration, steps, steps.gist(*known_size(configuration, dataset)))


@app.command(rich_help_panel=STEPS)
def split(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Draw which images are query, database and training images.

    Writes results/<scale>/<paper>/splits/<dataset>/<seed>.csv and .json.
    """
    from medhash.configuration.known_cells import known_view
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    _run(configuration, steps, steps.split(*known_view(configuration, dataset)))


@app.command(rich_help_panel=STEPS)
def leakage(dataset: DatasetName, scale: Scale = None, assignments: Assignments = None) -> None:
    """List images and patients that are in the query set and in the database.

    Writes results/<scale>/<paper>/leakage/<dataset>/<seed>.csv, .md and .json.
    """
    from medhash.configuration.known_cells import known_view
    from medhash.data.leakage import write_leakage
    from medhash.flow.receipts import recorded
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    step = steps.leakage(*known_view(configuration, dataset))
    with recorded(steps, step):
        stem = step.outputs["csv"].with_suffix("")
        write_leakage(step.inputs["index"].parent, step.inputs["split"], stem)


@app.command(rich_help_panel=STEPS)
def pretrain(
    dataset: DatasetName,
    stage: Annotated[
        str, typer.Option(help="mae, then classification; or a network that methods share.")
    ],
    scale: Scale = None,
    assignments: Assignments = None,
    device: Device = "auto",
) -> None:
    """Pretrain the backbone on a dataset's training images.

    Writes results/<scale>/<paper>/pretrain/<dataset>/<stage>.safetensors, .csv and .json.
    """
    from medhash.configuration.known_cells import known_view
    from medhash.flow.steps import Steps, stages
    from medhash.schema.validation import check_name

    check_name(stage, stages(), "stage", "--stage")
    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    view = known_view(configuration, dataset)
    _run(configuration, steps, steps.pretrain(*view, stage), device)


@app.command(rich_help_panel=STEPS)
def train(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Train a cell and write its codes; goes on from the last epoch after an interruption.

    Writes results/<scale>/<paper>/cells/<cell>/checkpoint.safetensors, codes.npz, train.csv and
    training.json.
    """
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    _run(configuration, steps, steps.train(known_cell(configuration, cell)), device)


@app.command(rich_help_panel=STEPS)
def record(cell: CellName, scale: Scale = None, assignments: Assignments = None) -> None:
    """Score a cell's codes and write its record: numbers and where they come from.

    Writes results/<scale>/<paper>/cells/<cell>/record.json.
    """
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    steps = Steps(configuration)
    _run(configuration, steps, steps.record(known_cell(configuration, cell)))


@app.command(rich_help_panel=STEPS)
def explain(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Write where a trained cell looks, what it takes for lesions, and its features.

    Writes results/<scale>/<paper>/cells/<cell>/explanation.npz.
    """
    configuration = configuration_of(scale, assignments)
    coordinates = known_cell(configuration, cell)
    from medhash.flow.receipts import recorded
    from medhash.flow.steps import Steps
    from medhash.trained.explanation import explain_cell

    steps = Steps(configuration)
    with recorded(steps, steps.explain(coordinates)):
        explain_cell(
            coordinates,
            configuration.settings_of(coordinates),
            configuration.explanation,
            cell_inputs(configuration, coordinates),
            configuration.layout.cell(coordinates),
            device=device,
        )


@app.command(rich_help_panel=STEPS)
def fps(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Measure how fast a cell answers queries; run it alone on the machine.

    Writes results/<scale>/<paper>/cells/<cell>/speed.json.
    """
    configuration = configuration_of(scale, assignments)
    coordinates = known_cell(configuration, cell)
    layout = configuration.layout
    from medhash.flow.receipts import recorded
    from medhash.flow.steps import Steps
    from medhash.trained.speed import measure_speed

    steps = Steps(configuration)
    with recorded(steps, steps.fps(coordinates)):
        measure_speed(
            coordinates,
            configuration.settings_of(coordinates),
            configuration.data_of(coordinates),
            configuration.split_of(coordinates),
            layout.cell(coordinates),
            scale=configuration.scale,
            device=device,
        )


@app.command(rich_help_panel=STEPS)
def lesions(
    cell: CellName, scale: Scale = None, assignments: Assignments = None, device: Device = "auto"
) -> None:
    """Search a cell's database with lesion patches, and time it; run it alone on the machine.

    Patches are boxes in config/lesions/<dataset>.csv, or a phantom's masks. Writes
    results/<scale>/<paper>/cells/<cell>/lesions.json and lesions.npz.
    """
    configuration = configuration_of(scale, assignments)
    coordinates = known_cell(configuration, cell)
    from medhash.flow.receipts import recorded
    from medhash.flow.steps import Steps
    from medhash.retrieval.precision import precision_at_ten
    from medhash.trained.lesions import Finder, search_lesions

    layout, settings = configuration.layout, configuration.settings_of(coordinates)
    finder = configuration.finder_of(coordinates)
    steps = Steps(configuration)
    with recorded(steps, steps.lesions(coordinates)):
        search_lesions(
            coordinates,
            settings,
            configuration.lesions,
            cell_inputs(configuration, coordinates),
            layout.cell(coordinates),
            boxes=configuration.lesion_boxes(coordinates.dataset),
            scale=configuration.scale,
            score=partial(precision_at_ten, protocol=settings.evaluation.protocol),
            finder=Finder(finder, configuration.settings_of(finder), layout.cell(finder)),
            device=device,
        )


@app.command(rich_help_panel=STEPS)
def table(
    name: Annotated[str, typer.Argument(help="Such as ach/table3.")],
    scale: Scale = None,
    assignments: Assignments = None,
) -> None:
    """Make a table from the records (for speed: the measurements) that are there.

    Writes results/<scale>/<paper>/tables/<name>.csv, .md and .tex.
    """
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    _check_artefact(configuration.tables, name, "table")
    steps = Steps(configuration)
    _make(configuration, configuration.tables[name], steps, steps.table(name))


@app.command(rich_help_panel=STEPS)
def figure(
    name: Annotated[str, typer.Argument(help="Such as ach/fig7.")],
    scale: Scale = None,
    assignments: Assignments = None,
) -> None:
    """Draw a figure from the records that are there.

    Writes results/<scale>/<paper>/figures/<name>.pdf, .png and .csv (the points).
    """
    from medhash.flow.steps import Steps

    configuration = configuration_of(scale, assignments)
    _check_artefact(configuration.figures, name, "figure")
    steps = Steps(configuration)
    _make(configuration, configuration.figures[name], steps, steps.figure(name))


def known_cell(configuration: Configuration, text: str) -> Cell:
    """See :func:`medhash.configuration.known_cells.known_cell`."""
    from medhash.configuration.known_cells import known_cell as look_up

    return look_up(configuration, text)


def cell_inputs(configuration: Configuration, cell: Cell) -> CellInputs:
    """The files that a cell is trained from."""
    from medhash.flow.steps import Steps
    from medhash.training.task import CellInputs

    return CellInputs.of(Steps(configuration).train(cell).inputs)


def _run(configuration: Configuration, steps: Steps, step: Step, device: str = "auto") -> None:
    from medhash.commands.execution import execute_alone

    execute_alone(configuration, steps, step, device)


def _check_artefact(specs: Mapping[str, ArtefactSpec], name: str, what: str) -> None:
    from medhash.schema.validation import check_name

    check_name(name, specs, what, f"medhash {what}")


def _make(
    configuration: Configuration, spec: TableSpec | FigureSpec, steps: Steps, step: Step
) -> None:
    """Make a table or figure and leave its receipt."""
    from medhash.analysis.artefacts import make_artefact
    from medhash.flow.receipts import recorded

    with recorded(steps, step):
        make_artefact(configuration, spec, step.outputs["csv"].with_suffix(""))
