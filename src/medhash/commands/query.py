"""Scoring anybody's codes, and asking a trained cell about one image."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medhash.commands.options import CODES, Assignments, Device, Run, Scale, configuration_of
from medhash.errors import AbsentError, MedhashError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medhash.configuration.loading import Configuration
    from medhash.data.prepared import PreparedDataset
    from medhash.query.answer import CellDatabase
    from medhash.query.image import QueryImage
    from medhash.schema.cell import Cell

app = typer.Typer()

MOST_RESULTS = 200


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


def _lines_of_queries(metrics: dict[str, Any]) -> str:
    values = metrics["per_query_ap"]
    return "\n".join(f"query {number}: AP {value:.4f}" for number, value in enumerate(values))


@app.command(rich_help_panel=CODES)
def query(
    cell: Annotated[
        str,
        typer.Option(
            metavar="CELL", help="dataset/method/variant/bits/seed, such as covid_ct/csq/ach/8/0"
        ),
    ],
    image: Annotated[
        Path | None,
        typer.Argument(metavar="IMAGE", help="A BMP, GIF, JPEG, PNG, TIFF or WebP file."),
    ] = None,
    image_id: Annotated[
        str | None,
        typer.Option(help="Instead of a file: an image_id of the dataset, or its row from 0."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS", help="The image's class, if you know it; repeatable."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many results.", min=1, max=MOST_RESULTS)] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="The contact sheet; otherwise results/<run>/<paper>/queries/<cell>/<image>.png",
        ),
    ] = None,
    ties: Annotated[
        str,
        typer.Option(
            help="Which of equal distances come first: lot (drawn, the same for the same image) or "
            "database (as in Figure 9: mostly of one class, as databases are sorted by class)."
        ),
    ] = "lot",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    scale: Scale = None,
    assignments: Assignments = None,
    run: Run = None,
    device: Device = "auto",
) -> None:
    """Rank a cell's database for one image and draw the contact sheet.

    Results are marked right or wrong if the image's class is known: from
    --class, or because the dataset has an image of the same pixels.
    """
    _check_options(image, image_id, out)
    from medhash.configuration.known_cells import known_cell
    from medhash.query.answer import TIES, answer_data, answer_query
    from medhash.query.sheet import write_sheet
    from medhash.query.text import answer_text
    from medhash.retrieval.search import check_count
    from medhash.schema.validation import check_name

    check_name(ties, TIES, "order", "--ties")
    configuration = configuration_of(scale, assignments, run)
    coordinates = known_cell(configuration, cell)
    _check_files(configuration, coordinates)
    database = _database(configuration, coordinates)
    check_count(database.codes, top)
    asked = _asked(database.dataset, image, image_id, classes or [])
    code = _code_of(configuration, coordinates, asked.pixels, device)
    answer = answer_query(database, asked, code, top, "lot" if ties == "lot" else "database")
    sheet = out or _sheet(configuration, coordinates, asked.name)
    write_sheet(answer, sheet)
    if as_json:
        data = answer_data(answer, sheet)
        typer.echo(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        typer.echo(f"{answer_text(answer)}\n\nContact sheet: {sheet}")


def _check_options(image: Path | None, image_id: str | None, out: Path | None) -> None:
    if (image is None) == (image_id is None):
        raise MedhashError("medhash query: name either an image file or --image-id")
    if out is None:
        return
    if out.suffix.lower() != ".png" or out.is_dir():
        raise MedhashError(f"--out: {out}: must be the name of a .png file")
    if image and out.resolve() == image.resolve():
        raise MedhashError(f"--out: {out}: is the queried image itself; choose another name")


def _check_files(configuration: Configuration, cell: Cell) -> None:
    """Everything that a query needs, or one error that names all that is missing, or is another."""
    from medhash.data.prepared_files import FILES
    from medhash.flow.hashes import FileHashes
    from medhash.flow.receipts import require_receipted
    from medhash.flow.steps import Steps

    layout = configuration.layout
    data, folder = configuration.data_of(cell), layout.cell(cell)
    files = [data / name for name in FILES.values()]
    files += [configuration.split_of(cell), folder / "checkpoint.safetensors"]
    files += [layout.codes(cell), _receipt(configuration, cell)]
    missing = [file.as_posix() for file in files if not file.is_file()]
    if not missing:
        hashes = FileHashes()
        require_receipted(Steps(configuration), {file: hashes.of(file) for file in files})
    if missing:
        lines = "".join(f"\n  {file}" for file in missing)
        raise AbsentError(
            f"cell {cell}: a query needs files that are not here:{lines}\n"
            "`dvc pull FILE …` fetches those that are published, "
            f"`snakemake --config scale={configuration.scale} -- FILE …` makes them"
        )


def _receipt(configuration: Configuration, cell: Cell) -> Path:
    """What says that checkpoint and codes were written by the same training."""
    return configuration.layout.receipt("train", str(cell))


def _database(configuration: Configuration, cell: Cell) -> CellDatabase:
    from medhash.data.prepared import PreparedDataset
    from medhash.query.answer import CellDatabase
    from medhash.retrieval.reading import load

    title = configuration.papers[cell.paper].method_title(cell.method, cell.variant)
    dataset = PreparedDataset(configuration.data_of(cell))
    dataset.check()
    codes = load(configuration.layout.codes(cell))
    return CellDatabase(cell, title, configuration.scale, dataset, codes)


def _asked(
    dataset: PreparedDataset, image: Path | None, image_id: str | None, classes: list[str]
) -> QueryImage:
    from medhash.query.image import image_of_dataset, image_of_file, with_classes

    asked = image_of_file(image, dataset) if image else image_of_dataset(image_id or "", dataset)
    return with_classes(asked, classes, dataset)


def _code_of(
    configuration: Configuration, cell: Cell, pixels: NDArray[np.uint8], device: str
) -> NDArray[np.uint8]:
    from medhash.flow.steps import Steps
    from medhash.query.encoding import encode_image
    from medhash.training.task import CellInputs, Task

    inputs = CellInputs.of(Steps(configuration).of("train", cell).inputs)
    settings, folder = configuration.settings_of(cell), configuration.layout.cell(cell)
    task = Task(cell, settings, inputs, folder, device)
    return encode_image(task, _receipt(configuration, cell), pixels)


def _sheet(configuration: Configuration, cell: Cell, name: str) -> Path:
    """``COVID/scan 1.jpeg`` becomes ``COVID_scan_1.png``."""
    from medhash.data.archives.containers import is_image

    stem = str(PurePosixPath(name).with_suffix("")) if is_image(name) else name
    file = re.sub(r"[^\w.-]+", "_", stem) + ".png"
    return configuration.layout.queries(cell) / file
