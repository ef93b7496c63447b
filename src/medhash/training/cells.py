"""Train one cell, the way of its method's family: to codes or descriptors."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from medhash.configuration import relevant_settings
from medhash.files import sha256_of_file, sha256_of_value, write_json, write_text
from medhash.flow.code import fingerprint
from medhash.methods import family
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.training.encoding import encode_split
from medhash.training.facts import Stopwatch, training_facts
from medhash.training.pausing import Pause, never
from medhash.training.task import CHECKPOINT, CellInputs, Score, Task, Trained


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
    and, last, ``training.json`` (what went in, with what, for how long). A run that was
    interrupted goes on after its last finished epoch.

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
    watch = Stopwatch()
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
    facts = dict(trained.facts)
    started = training_facts(settings, files, hashes, facts.pop("device"), watch, code)
    own = {"cell": asdict(cell), "selection": settings.evaluation.selection}
    outputs = _outputs(folder, vectors.NOUN)
    write_json(folder / "training.json", started | facts | own | {"outputs": outputs})
    for path in trained.temporary:
        path.unlink(missing_ok=True)


def _family(cell: Cell) -> Any:
    """By its name: the code of other families decides nothing here."""
    return import_module(f"medhash.training.families.{family(cell.method)}")


def _outputs(folder: Path, noun: str) -> dict[str, dict[str, str]]:
    names = {"checkpoint": CHECKPOINT, noun: f"{noun}.npz", "losses": "train.csv"}
    return {
        name: {"path": file, "sha256": sha256_of_file(folder / file)}
        for name, file in names.items()
    }
