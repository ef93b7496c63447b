"""Files that several steps read, by the names that steps call them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from medhash.data.prepared_files import FILES
from medhash.flow.kind import Files
from medhash.schema.cell import SCRATCH, Cell

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout

CELL_FILES = {
    "checkpoint": "checkpoint.safetensors",
    "losses": "train.csv",
    "facts": "training.json",
}
DATA = tuple(FILES)


def data_files(folder: Path, *names: str) -> Files:
    """Files of a prepared dataset."""
    return {name: folder / FILES[name] for name in names}


def cell_files(layout: Layout, cell: Cell, *names: str) -> Files:
    """Files of a trained cell; ``codes`` are descriptors where its method gives some."""
    folder = layout.cell(cell)
    return {n: layout.codes(cell) if n == "codes" else folder / CELL_FILES[n] for n in names}


def view_files(configuration: Configuration, paper: str, dataset: str, *names: str) -> Files:
    """Files of a dataset as a paper sees it, prepared at the paper's size, and its split."""
    files = data_files(configuration.data_for(paper, dataset), *names)
    return files | {"split": configuration.split_for(paper, dataset)}


def named(layout: Layout, paths: Iterable[Path]) -> Files:
    """Files of cells and datasets, named by where they lie."""
    return {path.relative_to(layout.root).as_posix(): path for path in paths}


def pretrained_weights(configuration: Configuration, cell: Cell) -> Path | None:
    """What the training of a cell starts from.

    Returns:
        The weights of its dataset's backbone, or of the classifier that its method shares with
        others; the checkpoint of its source for a cell with an origin; None for one that starts
        from random weights.
    """
    layout = configuration.layout
    if cell.source is not None:
        return cell_files(layout, cell.source, "checkpoint")["checkpoint"]
    start = configuration.start_of(cell)
    if cell.origin == SCRATCH or start == "scratch":
        return None
    shared = start == "classifier"
    stage = configuration.settings_of(cell).network.kind if shared else "classification"
    return layout.pretrained(cell.paper, cell.dataset, stage)
