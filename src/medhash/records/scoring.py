"""Writes a cell's record: its numbers, and what they were made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.configuration import relevant_settings
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.flow import environment
from medhash.flow.account import described, require_same
from medhash.flow.code import fingerprint
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SCHEMA = 1


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
        files: the cell's ``codes`` and ``facts``, and the dataset's ``description``.
        receipt: of its training.
        scale: name of the scale.
        method_title: the method as printed.

    Raises:
        MedhashError: a file is missing, or the codes are not those that the receipt of the
            training describes: another cell, other settings, other bytes of codes or inputs.
    """
    training = _read_json(files["facts"])
    account = _account_of_training(receipt, files, cell, settings)
    codes = Codes.load(files["codes"])
    if codes.bits != cell.bits:
        raise MedhashError(f"{files['codes']}: holds codes of {codes.bits} bits, not {cell.bits}")
    dataset = _read_json(files["description"])
    scoring = settings.evaluation
    evaluation = evaluate(codes, scoring.protocol, scoring.cutoffs)
    stable = evaluate(codes, "stable", ()) if scoring.protocol != "stable" else evaluation
    record = {
        "schema": SCHEMA,
        "scale": scale,
        "cell": asdict(cell),
        "synthetic": dataset["synthetic"],
        "dataset_title": dataset["title"],
        "method_title": method_title,
        "metrics": evaluation.metrics,
        "stable": {"map": stable.metrics["map"]},
        "per_query_ap": evaluation.per_query_ap.tolist(),
        "query_rows": codes.query_rows.tolist(),
        "training": training | {"seconds": account["seconds"]},
        "provenance": _provenance(files, dataset),
    }
    write_json(path, record)


def _provenance(files: Mapping[str, Path], dataset: dict[str, Any]) -> dict[str, Any]:
    """What the record itself was made from, and with."""
    return {
        "codes_sha256": sha256_of_file(files["codes"]),
        "training_sha256": sha256_of_file(files["facts"]),
        "archives": dataset["archives"],
        "code": fingerprint("medhash.records.scoring"),
        "environment": environment.describe(),
        "git": environment.git_state(),
    }


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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MedhashError(f"{path}: no such file; run the steps before this one") from None
    except ValueError as error:
        raise MedhashError(f"{path}: not valid JSON ({error}); make it again") from None
    return content
