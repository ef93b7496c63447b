"""Scores a cell's codes and writes its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.configuration import relevant_settings
from medhash.data.prepared import read_description
from medhash.errors import MedhashError
from medhash.files import write_json
from medhash.flow.account import described, require_same
from medhash.records.attributes import attribute_scores
from medhash.records.record import GradedScores, Record, TrainingFacts
from medhash.retrieval.chance import chance
from medhash.retrieval.counting import most_shared
from medhash.retrieval.evaluation import Evaluation, evaluate
from medhash.retrieval.reading import load
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.schema.settings import EvaluationSettings, Settings
from medhash.stored import read_model

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Score the cell of a step."""
    cell = Cell.parse(step.key)
    write_record(
        step.outputs["record"],
        cell,
        configuration.settings_of(cell),
        step.inputs,
        configuration.layout.receipt("train", step.key),
        scale=configuration.scale,
        method_title=step.settings["method_title"],
    )


def write_record(
    path: Path,
    cell: Cell,
    settings: Settings,
    files: Mapping[str, Path],
    receipt: Path,
    *,
    scale: str,
    method_title: str,
) -> None:
    """Score a cell's codes and write its record.

    Args:
        path: where it goes.
        cell: which cell.
        settings: those that the cell must have been trained with, and how it is scored.
        files: the cell's ``codes`` and ``facts``, the dataset's ``description``, and its ``index``
            where ``evaluation.attributes`` asks for what it tells.
        receipt: of its training.
        scale: name of the scale.
        method_title: the method as printed.

    Raises:
        MedhashError: a file is missing, or the codes are not those that the receipt of the
            training describes: another cell, other settings, other bytes of codes or inputs.
    """
    training = read_model(files["facts"], TrainingFacts, what="account of a training")
    account = _account_of_training(receipt, files, cell, settings)
    codes = load(files["codes"])
    if codes.length != cell.bits:
        raise MedhashError(
            f"{files['codes']}: holds {codes.NOUN} of length {codes.length}, not {cell.bits}"
        )
    dataset = read_description(files["description"])
    scoring = settings.evaluation
    evaluation = evaluate(codes, scoring.protocol, scoring.cutoffs, scoring.map_at)
    stable = evaluate(codes, "stable", ()) if scoring.protocol != "stable" else evaluation
    by_chance = chance(codes.query_labels, codes.database_labels, scoring.cutoffs, scoring.map_at)
    by_attributes, random = attribute_scores(codes, scoring, files.get("index"))
    record = Record(
        schema=1,
        scale=scale,
        cell=cell,
        synthetic=dataset["synthetic"],
        dataset_title=dataset["title"],
        method_title=method_title,
        metrics=evaluation.metrics | by_attributes,
        stable={"map": stable.metrics["map"]},
        chance=by_chance | {"random": by_chance["random"] | random},
        per_query_ap=evaluation.per_query_ap.tolist(),
        per_query=graded_scores(evaluation, codes, scoring),
        query_rows=codes.query_rows.tolist(),
        training={"selection": training.selection, "seconds": account["seconds"]},
    )
    write_json(path, record.model_dump(mode="json", by_alias=True))


def graded_scores(
    evaluation: Evaluation, codes: Representation, scoring: EvaluationSettings
) -> GradedScores | None:
    """A record's ``per_query``; None where relevance has no degrees and nobody asks for it."""
    if not scoring.graded and most_shared(codes) == 1:
        return None
    scores = evaluation.scores
    return GradedScores(
        map_weighted=scores.weighted_average_precision.tolist(),
        map_at={k: values.tolist() for k, values in scores.average_precision_at.items()},
        ndcg_at={k: values.tolist() for k, values in scores.ndcg_at.items()},
        acg_at={k: values.tolist() for k, values in scores.acg_at.items()},
    )


def _account_of_training(
    path: Path, files: Mapping[str, Path], cell: Cell, settings: Settings
) -> dict[str, Any]:
    """The receipt of the training, if it is that of these files and settings."""
    names = {"codes": "codes.npz", "checkpoint": "checkpoint.safetensors", "facts": "training.json"}
    folder = files["codes"].parent
    account = described(path, {name: folder / file for name, file in names.items()})
    if not files["codes"].is_file():
        raise MedhashError(f"{files['codes']}: no such file; train the cell again")
    if account.get("key") != str(cell):
        raise MedhashError(f"{path}: describes the cell {account.get('key')}, not {cell}")
    trained, wanted = account["settings"], relevant_settings.training(settings, cell)
    different = [key for key in wanted if trained.get(key) != wanted[key]]
    if different:
        changes = ", ".join(f"{key} was {trained.get(key)}, is {wanted[key]}" for key in different)
        raise MedhashError(f"{path}: trained with other settings ({changes}); train it again")
    for name, file in account["inputs"].items():
        require_same(Path(file["path"]), file["sha256"], name, path)
    return account
