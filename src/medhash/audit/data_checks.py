"""Archives and prepared data: do they belong together?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medhash.audit.evidence import Evidence
from medhash.audit.findings import Finding, broken, differences, listed, missing, settled, verified
from medhash.data.prepared import PreparedDataset
from medhash.data.readers.reading import Reading
from medhash.data.upstream import archive_checksums, find_archives, read_archives
from medhash.errors import MedhashError
from medhash.flow.steps import Step

_UNREADABLE = (OSError, ValueError, KeyError, MedhashError)


def check_data(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Do the arrays, the index and the description of a prepared dataset belong together?"""
    files = ("images", "labels", "index", "description")
    paths = {name: step.outputs[name] for name in files}
    absent = [path.name for path in paths.values() if not path.is_file()]
    if absent:
        text = f"cannot be compared with each other: {', '.join(absent)} not here"
        yield missing("data", paths["images"].parent, text)
        return
    try:
        problems = list(_problems_of_data(step, paths))
    except _UNREADABLE as error:
        problems = [f"cannot be read: {error}"]
    for problem in problems:
        yield broken("data", paths["images"].parent, problem, remedy=evidence.again(step))
    if not problems:
        count = len(PreparedDataset(paths["labels"].parent).labels)
        text = f"index, labels, images and description agree on {count} images"
        yield verified("data", paths["images"].parent, text)


def check_archives(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Are the archives that are here those that the dataset was prepared from?"""
    receipt = evidence.receipt(step)
    described = evidence.json(step.outputs["description"])
    if receipt is None:
        return
    said = receipt.get("archives") or []
    if isinstance(described, dict) and described.get("archives") != said:
        yield broken(
            "archive",
            step.outputs["description"],
            "names other archives than the receipt",
            expected=json.dumps(said, sort_keys=True),
            found=json.dumps(described.get("archives"), sort_keys=True),
            remedy=evidence.restore(step.outputs["description"], step),
        )
    found = _find(step, evidence)
    if isinstance(found, Finding):
        yield found
        return
    checksums, reading = found
    for archive in said:
        yield _check_archive(archive, checksums, evidence, step)
    yield from _check_images(step, reading)


def _problems_of_data(step: Step, paths: dict[str, Path]) -> Iterator[str]:
    dataset = PreparedDataset(paths["images"].parent)
    description, images, labels = dataset.description, dataset.images, dataset.labels
    index = dataset.index
    size, classes = step.settings["image_size"], list(description["classes"])
    if description["dataset"] != step.key.partition("/")[0]:
        yield f"dataset.json describes {description['dataset']}"
    if images.shape != (len(index), size, size, 3) or labels.shape != (len(index), len(classes)):
        yield f"images {images.shape} and labels {labels.shape} for {len(index)} lines of index.csv"
        return
    names = index["classes"].str.split("|")
    expected = np.array([[name in own for name in classes] for own in names], dtype=labels.dtype)
    others = np.flatnonzero((expected != labels).any(axis=1))
    if len(others):
        ids = index["image_id"].iloc[others].tolist()
        yield f"labels.npy and index.csv give other classes to {listed(ids)}"
    counts = {name: int(number) for name, number in zip(classes, labels.sum(axis=0), strict=True)}
    for difference in differences(counts, description["counts"], "counts"):
        yield f"dataset.json: {difference}"


def _find(step: Step, evidence: Evidence) -> tuple[dict[str, str], Reading] | Finding:
    """Checksums of the archives that are here, and the images in them."""
    configuration = evidence.configuration
    card = configuration.card(step.key.partition("/")[0])
    receipt = evidence.receipt(step) or {}
    sources = ", ".join(source.page for source in card.sources) or card.by_hand
    files = ", ".join(archive["file"] for archive in receipt.get("archives") or [])
    where = ", ".join(str(folder) for folder in configuration.archive_folders)
    try:
        found = find_archives(card, configuration.archive_folders)
        if not found.complete and not found.unusable:
            text = f"{files} not found in {where}"
            return missing("archive", step, text, f"get it from {sources}")
        reading = read_archives(card, found)
        return archive_checksums(
            found,
            reading,
            lambda image: _sha256(image.read()),
            lambda archive: (
                evidence.sha256(archive.path) if archive.path.is_file() else archive.sha256()
            ),
        ), reading
    except _UNREADABLE as error:
        return broken("archive", step, str(error), remedy=f"get it again from {sources}")


def _check_archive(
    archive: dict[str, str], checksums: dict[str, str], evidence: Evidence, step: Step
) -> Finding:
    name, said = archive["file"], archive["sha256"]
    if said in checksums.values():
        return verified("archive", name, f"SHA-256 {said}, from {archive['source']}")
    dataset = step.key.partition("/")[0]
    if name not in checksums:
        text = f"not found; other archives of {dataset} are here"
        return missing("archive", name, text, f"get it from {archive['source']}")
    known = said in evidence.configuration.card(dataset).known_checksums
    return broken(
        "archive",
        name,
        "is not the archive that the data were prepared from",
        expected=f"SHA-256 {said}" + (" (which config/datasets.yaml knows)" if known else ""),
        found=f"SHA-256 {checksums[name]}",
        remedy=f"get it again from {archive['source']}",
    )


def _check_images(step: Step, reading: Reading) -> Iterator[Finding]:
    """Every image's bytes against the index."""
    path = step.outputs["index"]
    if not path.is_file():
        return
    index = PreparedDataset(path.parent).index
    try:
        said = dict(zip(index["image_id"], index["sha256"], strict=True))
        here = {image.image_id: _sha256(image.read()) for image in reading.images}
    except _UNREADABLE as error:
        yield broken("archive", path, f"images cannot be compared: {error}")
        return
    others = sorted(name for name in {*said, *here} if said.get(name) != here.get(name))
    text = f"{len(here)} images in the archive have the checksums of the index"
    what = "the archive's images are not those of the index: "
    yield settled("archive", path, others, text, what=what)


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
