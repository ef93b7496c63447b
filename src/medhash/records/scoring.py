"""Scores a cell's codes and writes its record."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medhash.configuration import relevant_settings
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.records.record import GradedScores, Record
from medhash.retrieval.chance import chance
from medhash.retrieval.counting import most_shared
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.metrics import QueryScores
from medhash.retrieval.reading import load
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings


def write_record(
    layout: Layout,
    cell: Cell,
    settings: Settings,
    description: Path,
    *,
    scale: str,
    method_title: str,
) -> Path:
    """Score a cell's codes and write ``record.json`` beside them.

    Args:
        layout: where the cell's files lie.
        cell: which cell.
        settings: those that the cell must have been trained with, and how it is scored.
        description: ``dataset.json`` of the cell's dataset.
        scale: name of the scale.
        method_title: the method as printed.

    Returns:
        The record's path.

    Raises:
        MedhashError: a file is missing, or the codes are not those that ``training.json``
            describes: another cell, other settings, other bytes of codes or inputs.
    """
    training = _read_json(layout.training(cell))
    _check_training(training, layout, cell, settings)
    codes = load(layout.codes(cell))
    if codes.length != cell.bits:
        raise MedhashError(
            f"{layout.codes(cell)}: holds {codes.NOUN} of length {codes.length}, not {cell.bits}"
        )
    dataset = _read_json(description)
    scoring = settings.evaluation
    evaluation = evaluate(codes, scoring.protocol, scoring.cutoffs, scoring.map_at)
    stable = evaluate(codes, "stable", ()) if scoring.protocol != "stable" else evaluation
    record = Record(
        schema=1,
        scale=scale,
        cell=cell,
        synthetic=dataset["synthetic"],
        dataset_title=dataset["title"],
        method_title=method_title,
        metrics=evaluation.metrics,
        stable={"map": stable.metrics["map"]},
        chance=chance(codes.query_labels, codes.database_labels, scoring.cutoffs, scoring.map_at),
        per_query_ap=evaluation.per_query_ap.tolist(),
        per_query=_graded(evaluation.scores) if most_shared(codes) > 1 else None,
        query_rows=codes.query_rows.tolist(),
        training={"selection": training["selection"], "seconds": training.get("seconds")},
    )
    write_json(layout.record(cell), record.model_dump(mode="json", by_alias=True))
    return layout.record(cell)


def _graded(scores: QueryScores) -> GradedScores:
    """With one label an image these repeat the average precision, and are not written."""
    return GradedScores(
        map_weighted=scores.weighted_average_precision.tolist(),
        ndcg_at={k: values.tolist() for k, values in scores.ndcg_at.items()},
        acg_at={k: values.tolist() for k, values in scores.acg_at.items()},
    )


def _check_training(
    training: dict[str, Any], layout: Layout, cell: Cell, settings: Settings
) -> None:
    path = layout.training(cell)
    if training.get("cell") != asdict(cell):
        raise MedhashError(f"{path}: describes the cell {training.get('cell')}, not {cell}")
    trained = relevant_settings.training(Settings.model_validate(training["settings"]), cell)
    wanted = relevant_settings.training(settings, cell)
    different = [key for key in wanted if trained[key] != wanted[key]]
    if different:
        changes = ", ".join(f"{key} was {trained[key]}, is {wanted[key]}" for key in different)
        raise MedhashError(f"{path}: trained with other settings ({changes}); train it again")
    for name, file in training.get("outputs", {}).items():
        _check_file(path, name, layout.cell(cell) / file["path"], file["sha256"])
    for name, file in training.get("inputs", {}).items():
        _check_file(path, name, Path(file["path"]), file["sha256"])
    if not layout.codes(cell).is_file():
        raise MedhashError(f"{layout.codes(cell)}: no such file; train the cell again")


def _check_file(described_in: Path, name: str, path: Path, sha256: str) -> None:
    """A file that is there must be the one described; data and weights may be elsewhere."""
    if path.is_file() and sha256_of_file(path) != sha256:
        raise MedhashError(
            f"{path}: is not the file that {described_in} describes as '{name}' "
            f"(SHA-256 {sha256}); train the cell again"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MedhashError(f"{path}: no such file; run the steps before this one") from None
    except ValueError as error:
        raise MedhashError(f"{path}: not valid JSON ({error}); make it again") from None
    return content
