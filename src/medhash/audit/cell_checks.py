"""Weights, codes and records: what they say of themselves, and the metrics computed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medhash.audit.evidence import Evidence
from medhash.audit.findings import (
    LAST_BITS,
    Finding,
    broken,
    differences,
    listed,
    missing,
    settled,
    verified,
)
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import read_split
from medhash.errors import MedhashError
from medhash.flow.kinds import pretrain, train
from medhash.flow.steps import Step
from medhash.methods import family
from medhash.records.attributes import attribute_scores
from medhash.records.record import GradedScores, Record
from medhash.records.scoring import graded_scores
from medhash.records.speed import Measurement
from medhash.retrieval.arrays import read_arrays
from medhash.retrieval.chance import chance
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import Evaluation, evaluate
from medhash.retrieval.patches import patch_scores
from medhash.retrieval.precision import precision_at_ten
from medhash.retrieval.reading import load
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.schema.differences import plain
from medhash.schema.settings import Settings
from medhash.stored import Part, read_facts, read_tree

_STAGES, _CELLS = pretrain.Kind(), train.Kind()
_LAST_BITS_FLIPPED = 0.01
"""The share of bits that another processor's rounding may turn."""


def check_pretraining(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Does the description of the pretraining tell of all epochs, and are the weights its?"""
    values = step.key.split("/")
    if not step.outputs["facts"].is_file():
        yield missing("training", step.outputs["facts"], "is not here")
        return
    yield _check_facts(step, {"epochs": _STAGES.epochs(step.settings, *values)}, evidence)
    yield from _check_metadata(step.outputs["weights"], {"stage": values[-1]}, step, evidence)


def check_training(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Does ``training.json`` tell of all epochs, and are checkpoint and codes of this cell?"""
    cell = Cell.parse(step.key)
    if not step.outputs["facts"].is_file():
        yield missing("training", step.outputs["facts"], "is not here")
        return
    settings = evidence.configuration.settings_of(cell)
    epochs = 0 if _trains_nothing(step, cell) else _CELLS.epochs(step.settings)
    wanted = {"epochs": epochs, "selection": settings.evaluation.selection}
    yield _check_facts(step, wanted, evidence)
    named = {"cell": cell.coordinates}
    yield from _check_metadata(step.outputs["checkpoint"], named, step, evidence)
    yield from _check_codes(step, cell, evidence)


def _trains_nothing(step: Step, cell: Cell) -> bool:
    """Whether a descriptor method has no losses, as far as those of its training tell."""
    losses = step.outputs["losses"]
    if family(cell.method) != "descriptor" or not losses.is_file():
        return False
    return len(losses.read_text(encoding="utf-8").splitlines()) == 1


def check_codes_again(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """In a deep audit: do the checkpoint and the images give these codes?"""
    if evidence.encode is None:
        return
    cell, path = Cell.parse(step.key), step.outputs["codes"]
    needed = (path, step.outputs["checkpoint"], *step.inputs.values())
    absent = [each.as_posix() for each in needed if not each.is_file()]
    if absent:
        text = f"cannot be encoded again: {listed(absent)} not here"
        yield missing("encoding", path, text)
        return
    try:
        again, loaded = evidence.encode(cell), load(path)
    except (MedhashError, OSError, ValueError) as error:
        yield broken("encoding", path, f"cannot be encoded again: {error}")
        return
    others = _different(again, loaded)
    text = "images encoded again with the checkpoint"
    what = _unit(loaded)
    if others == 0:
        yield verified("encoding", path, f"{text}: the same {what}")
    elif others is not None and others <= _LAST_BITS_FLIPPED and evidence.is_elsewhere(step):
        yield verified(
            "encoding", path, f"{text} in another environment: {others:.2%} other {what}"
        )
    else:
        share = "other sizes" if others is None else f"{others:.2%} other {what}"
        remedy = evidence.restore(path, step)
        yield broken("encoding", path, f"{text}: {share}", remedy=remedy)


def _different(one: Representation, other: Representation) -> float | None:
    """The share of bits, or of numbers, that differ; None for other sizes or another kind."""
    if (type(one), one.length, one.distance) != (type(other), other.length, other.distance):
        return None
    different = items = 0
    for name in ("query_vectors", "database_vectors"):
        own, others = getattr(one, name), getattr(other, name)
        if own.shape != others.shape:
            return None
        items += len(own)
        if isinstance(one, Codes):
            different += int(np.unpackbits(own ^ others).sum())
        else:
            different += int(np.sum(~np.isclose(own, others, LAST_BITS, LAST_BITS)))
    return different / (one.length * items)


def check_record(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Score the codes again and compare every number of the record, every query's AP too."""
    cell, path = Cell.parse(step.key), step.outputs["record"]
    if not path.is_file():
        yield missing("record", path, "is not here", evidence.again(step))
        return
    record = read_tree(path, Record, what="record")
    yield _check_identity(step, cell, record, evidence)
    codes = step.inputs["codes"]
    if not codes.is_file():
        yield missing("metrics", codes, "is not here: metrics cannot be computed again")
        return
    try:
        loaded = load(codes)
        settings = evidence.configuration.settings_of(cell).evaluation
        again = evaluate(loaded, settings.protocol, settings.cutoffs, settings.map_at)
        stable = evaluate(loaded, "stable", ()) if settings.protocol != "stable" else again
    except MedhashError as error:
        yield broken("metrics", codes, f"cannot be scored: {error}")
        return
    index = step.inputs.get("index")
    if index is not None and not index.is_file():
        yield missing("metrics", index, "is not here: metrics cannot be computed again")
        return
    labels = loaded.query_labels, loaded.database_labels
    by_chance = chance(*labels, settings.cutoffs, settings.map_at)
    own, random = attribute_scores(loaded, settings, index)
    again.metrics.update(own)
    by_chance["random"] |= random
    remedy = evidence.restore(path, step)
    yield _check_metrics(path, record, again, stable, by_chance, remedy)
    yield _check_queries(path, record, again, loaded, cell, evidence, step)
    yield from _check_graded(path, record, graded_scores(again, loaded, settings), remedy)


def check_measurement(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Is a measured speed that of this cell? A measurement cannot be made again."""
    path = step.outputs["speed"]
    if not path.is_file():
        yield missing("measurement", path, "is not here", evidence.again(step))
        return
    facts = read_tree(path, Measurement, what="measurement")
    problems = _other_cell(facts.get("cell"), Cell.parse(step.key))
    problems += _other_scale(facts, evidence)
    for problem in problems:
        yield broken("measurement", path, problem, remedy=evidence.again(step))
    if not problems:
        yield verified("measurement", path, "is of this cell; a measurement is not made again")


def check_lesions(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Score the codes of the lesion patches again; how long a search took is not measured again."""
    cell, path = Cell.parse(step.key), step.outputs["lesions"]
    if not path.is_file():
        yield missing("lesion patches", path, "is not here", evidence.again(step))
        return
    facts = read_tree(path, _Searched)
    problems = [*_other_cell(facts.get("cell"), cell), *_other_scale(facts, evidence)]
    for problem in problems:
        yield broken("lesion patches", path, problem, remedy=evidence.again(step))
    if not facts.get("patches"):
        yield verified("lesion patches", path, f"there are none: {facts.get('reason')}")
        return
    files = step.outputs["patches"], step.inputs["codes"]
    absent = [each for each in files if not each.is_file()]
    if absent:
        yield missing("P@10", absent[0], "is not here: P@10 cannot be computed again")
        return
    try:
        again = _patch_scores(*files, facts, evidence.configuration.settings_of(cell))
    except (MedhashError, KeyError, ValueError) as error:
        yield broken("P@10", path, f"cannot be computed again: {error}")
        return
    different = [str(each) for each in differences(again, {k: facts.get(k) for k in again})]
    text, what = (
        f"of {facts['patches']} patches computed again",
        "P@10 of these patches is another: ",
    )
    yield settled("P@10", path, different, text, evidence.restore(path, step), what)


class _Searched(Part):
    patches: int
    classes: tuple[str, ...] = ()


def _patch_scores(patches: Path, codes: Path, facts: Any, settings: Settings) -> dict[str, Any]:
    arrays = read_arrays(patches, ("rows", "codes"))
    score = partial(precision_at_ten, protocol=settings.evaluation.protocol)
    loaded, classes = Codes.load(codes), facts["classes"]
    again = patch_scores(loaded, arrays["rows"], arrays["codes"], classes, score)
    return again | {"patches": len(arrays["rows"])}


def _check_identity(step: Step, cell: Cell, record: dict[str, Any], evidence: Evidence) -> Finding:
    """Is the record of this cell and scale, and of the training that is here?"""
    path = step.outputs["record"]
    problems = [*_other_cell(record.get("cell"), cell), *_other_scale(record, evidence)]
    facts = evidence.json(step.inputs["facts"])
    if facts is not None:
        trained = evidence.receipt(evidence.steps.find("train", step.key)) or {}
        said = {"selection": facts.get("selection"), "seconds": trained.get("seconds")}
        training = differences(said, record.get("training"), "training")
        problems += [f"is of another training: {each}" for each in training]
    text = f"is of {cell} and of the training beside it"
    return settled("record", path, problems, text, evidence.restore(path, step))


def _check_metrics(
    path: Path,
    record: dict[str, Any],
    again: Evaluation,
    stable: Evaluation,
    by_chance: dict[str, Any],
    remedy: str,
) -> Finding:
    expected = {
        "metrics": plain(again.metrics),
        "stable": {"map": stable.metrics["map"]},
        "chance": by_chance,
    }
    found = {name: record.get(name) for name in expected}
    changes = list(differences(expected, found))
    if changes:
        return broken(
            "metrics",
            path,
            f"{len(changes)} of its numbers are not what its codes give, scored again",
            expected=listed([f"{each.key} {each.expected}" for each in changes]),
            found=listed([f"{each.key} {each.found}" for each in changes]),
            remedy=remedy,
        )
    queries, database = again.metrics["queries"], again.metrics["database"]
    text = (
        f"mAP {100 * again.metrics['map']:.4f} % and all other metrics computed again from the "
        f"codes of {queries} queries and {database} images"
    )
    return verified("metrics", path, text)


def _check_queries(
    path: Path,
    record: dict[str, Any],
    again: Evaluation,
    codes: Representation,
    cell: Cell,
    evidence: Evidence,
    step: Step,
) -> Finding:
    """Each query's average precision."""
    remedy = evidence.restore(path, step)
    said, rows = record.get("per_query_ap"), record.get("query_rows")
    if rows != codes.query_rows.tolist() or not isinstance(said, list) or len(said) != len(rows):
        text = "lists other queries than the codes"
        return broken("per-query AP", path, text, remedy=remedy)
    expected = again.per_query_ap
    others = np.flatnonzero(~np.isclose(np.array(said, float), expected, LAST_BITS, LAST_BITS))
    if not len(others):
        text = f"all {len(rows)} computed again"
        return verified("per-query AP", path, text)
    names = [f"query {i} ({evidence.image_names.of(cell, rows[i])})" for i in others]
    return broken(
        "per-query AP",
        path,
        f"{len(others)} of {len(rows)} are not what the codes give",
        expected=listed([f"{n}: {expected[i]:.9f}" for n, i in zip(names, others, strict=True)]),
        found=listed([f"{n}: {said[i]:.9f}" for n, i in zip(names, others, strict=True)]),
        remedy=remedy,
    )


def _check_graded(
    path: Path, record: dict[str, Any], again: GradedScores | None, remedy: str
) -> Iterator[Finding]:
    """Each query's further metrics, where a record has or should have some."""
    expected = plain(again.model_dump(mode="json")) if again else None
    found = record.get("per_query")
    if expected is None and found is None:
        return
    others = [str(each) for each in differences(expected, found, "per_query")]
    text = "NDCG, ACG and weighted AP of every query computed again"
    yield settled("per-query metrics", path, others, text, remedy)


def _check_codes(step: Step, cell: Cell, evidence: Evidence) -> Iterator[Finding]:
    """Are the codes those of the split's images, with these images' labels?"""
    path, manifest = step.outputs["codes"], step.inputs["split"]
    if not path.is_file() or not manifest.is_file():
        yield missing("codes", path, "codes or split are not here: they cannot be compared")
        return
    try:
        codes = load(path)
        problems = _problems_of_codes(codes, cell, step, manifest)
    except (MedhashError, OSError, ValueError, KeyError, IndexError) as error:
        problems = [f"cannot be compared with the split: {error}"]
    for problem in problems:
        yield broken("codes", path, problem, remedy=evidence.restore(path, step))
    if not problems:
        labels = " and their labels" if step.inputs["labels"].is_file() else ""
        text = (
            f"{codes.length_text} for the {len(codes.query_rows)} queries and the database of "
            f"{len(codes.database_rows)} of the split{labels}"
        )
        yield verified("codes", path, text)


def _unit(codes: Representation) -> str:
    return "bits" if isinstance(codes, Codes) else "numbers"


def _problems_of_codes(codes: Representation, cell: Cell, step: Step, manifest: Path) -> list[str]:
    split = read_split(manifest)
    fits = codes.length == cell.bits
    problems = [] if fits else [f"holds {codes.length} {_unit(codes)}, not {cell.bits}"]
    sides = {
        "query": (codes.query_rows, codes.query_labels),
        "database": (codes.database_rows, codes.database_labels),
    }
    labels_file = step.inputs["labels"]
    labels = PreparedDataset(labels_file.parent).labels if labels_file.is_file() else None
    for role, (rows, own) in sides.items():
        if not np.array_equal(rows, split.loc[split["role"] == role, "row"].to_numpy()):
            problems.append(f"its {role} images are not those of the split")
        elif labels is not None and not np.array_equal(labels[rows], own):
            problems.append(f"its {role} labels are not those of labels.npy")
    return problems


class _Told(Part):
    epochs: int
    states: tuple[str, ...] = ()


def _check_facts(step: Step, wanted: dict[str, Any], evidence: Evidence) -> Finding:
    """What only a training step itself knows, against what it should have done."""
    path = step.outputs["facts"]
    facts = read_tree(path, _Told)
    problems = [str(each) for each in differences(wanted, {key: facts.get(key) for key in wanted})]
    states = facts.get("states", ())
    if states and len(states) != wanted["epochs"]:
        problems.append(f"has the states of {len(states)} epochs, not of {wanted['epochs']}")
    text = f"tells of all {wanted['epochs']} epochs"
    return settled("training", path, problems, text, evidence.restore(path, step))


def _check_metadata(
    path: Path, expected: dict[str, str], step: Step, evidence: Evidence
) -> Iterator[Finding]:
    """What a safetensors file says of itself."""
    if not path.is_file():
        return
    try:
        found = read_facts(path)
    except MedhashError as error:
        yield broken("weights", path, str(error), remedy=evidence.restore(path, step))
        return
    changes = [
        f"{name} {found.get(name)}, not {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    what, named = (
        "says of itself: ",
        ", ".join(f"{name} {value}" for name, value in expected.items()),
    )
    yield settled("weights", path, changes, what + named, evidence.restore(path, step), what)


def _other_cell(said: Any, cell: Cell) -> list[str]:
    if said == plain(asdict(cell)):
        return []
    changes = [str(each) for each in differences(plain(asdict(cell)), said, "cell")]
    return [f"is of another cell ({listed(changes)})"]


def _other_scale(facts: dict[str, Any], evidence: Evidence) -> list[str]:
    scale = evidence.configuration.scale
    said = facts.get("scale")
    return [] if said == scale else [f"is of the scale {said}, not {scale}"]
