"""Train one cell, the way of its method's family: to codes or descriptors."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.configuration import relevant_settings
from medhash.files import sha256_of_file, sha256_of_value, write_json, write_text
from medhash.flow.code import fingerprint
from medhash.methods import family
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.training.encoding import encode_split
from medhash.training.pausing import Pause, never
from medhash.training.task import CHECKPOINT, CellInputs, Score, Task, Trained

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Train the cell of a step."""
    cell = Cell.parse(step.key)
    settings = configuration.settings_of(cell)
    train_cell(
        cell,
        settings,
        CellInputs.of(step.inputs),
        step.outputs["checkpoint"].parent,
        device=job.device,
        score=_map_of if settings.evaluation.selection == "best-query-map" else None,
        pause=job.pause,
    )


def train_cell(
    cell: Cell,
    settings: Settings,
    inputs: CellInputs,
    folder: Path,
    *,
    device: str = "auto",
    score: Score | None = None,
    pause: Pause = never,
) -> None:
    """Train a cell and write its folder.

    ``folder`` gets ``checkpoint.safetensors`` (all that encodes), ``codes.npz`` or
    ``descriptors.npz``, ``train.csv`` (loss terms an epoch, or the objective of each iteration)
    and, last, ``training.json``: what the step's receipt cannot know. A run that was interrupted
    goes on after its last finished epoch.

    Args:
        cell: what to train.
        settings: with what.
        inputs: from what.
        folder: the cell's folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        score: how good codes are; only the selection ``best-query-map`` asks for it, and it
            comes from outside so that training does not depend on the code of the metrics.
        pause: asked after each epoch whether to stop there.

    Raises:
        MedhashError: what the family refuses, see :mod:`medhash.training.families`.
        PausedError: ``pause`` said so.
    """
    files = inputs.files()
    hashes = {name: sha256_of_file(path) for name, path in files.items()}
    code = fingerprint("medhash.training.cells", *relevant_settings.modules_of(settings, cell))
    depends_on = relevant_settings.training(settings, cell)
    identity = sha256_of_value([str(cell), depends_on, hashes, code["fingerprint"]])
    trained: Trained = _family(cell).train(
        Task(cell, settings, inputs, folder, device, identity, score, pause)
    )
    vectors = encode_split(trained.encoder, inputs.data_folder, inputs.split)
    trained.encoder.save(folder / CHECKPOINT, {"cell": cell.coordinates})
    write_text(folder / "train.csv", trained.losses)
    vectors.save(folder / f"{vectors.NOUN}.npz")
    selection = {"selection": settings.evaluation.selection}
    write_json(folder / "training.json", trained.facts | selection)
    for path in trained.temporary:
        path.unlink(missing_ok=True)


def _family(cell: Cell) -> Any:
    """By its name: the code of other families decides nothing here."""
    return import_module(f"medhash.training.families.{family(cell.method)}")


def _map_of(vectors: Representation) -> float:
    """Loaded by its name: only where an epoch is chosen by it does training depend on its code."""
    metrics = import_module("medhash.retrieval.evaluation")
    score: float = metrics.evaluate(vectors).metrics["map"]
    return score
