"""Archives, prepared data, splits and leakage tables: looked at, and drawn again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from medhash.audit.evidence import Evidence
from medhash.audit.findings import Finding, broken, listed, missing, verified
from medhash.audit.values import differences
from medhash.configuration.loading import Configuration
from medhash.data.archives.finding import FoundArchives, content_sha256, find_archives
from medhash.data.confounded import confounding_of
from medhash.data.leakage import write_leakage
from medhash.data.phantoms import generate
from medhash.data.preparation import prepare
from medhash.data.readers import Reading, read_archives
from medhash.data.splits import read_index, write_split
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
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
        count = len(np.load(paths["labels"], mmap_mode="r"))
        text = f"index, labels, images and description agree on {count} images"
        yield verified("data", paths["images"].parent, text)


def check_data_again(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """In a deep audit: prepare or generate the data again and compare."""
    if evidence.encode is None:
        return
    paths = [path for path in step.outputs.values() if path.is_file()]
    subject = step.outputs["images"].parent
    with TemporaryDirectory() as folder:
        again = Path(folder) / "again"
        try:
            _make_data(evidence.configuration, step.key, again)
        except _UNREADABLE as error:
            yield missing("data again", subject, f"cannot be made again: {error}")
            return
        others = [p for p in paths if sha256_of_file(again / p.name) != evidence.sha256(p)]
    names = ", ".join(path.name for path in others)
    if not others:
        text = f"made again from their source: the same bytes ({len(paths)} files)"
        yield verified("data again", subject, text)
    elif evidence.is_elsewhere(step):
        text = f"made again in another environment: other bytes in {names}; not decided here"
        yield missing("data again", subject, text)
    else:
        text = f"made again from their source, {names} are others"
        yield broken("data again", subject, text, remedy=evidence.again(step))


def _make_data(configuration: Configuration, key: str, folder: Path) -> None:
    dataset, size = key.split("/")
    card = configuration.card(dataset)
    if card.synthetic:
        phantoms = configuration.required_phantoms()
        confounding = confounding_of(dataset)
        generate(card, folder, int(size), phantoms.images, phantoms.seed, confounding)
    else:
        prepare(card, configuration.archive_folders, folder, int(size))


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


def check_split(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Draw the split again, from the index, the labels, the rule and the seed."""
    needed = [step.inputs[name] for name in ("labels", "index", "description")]
    absent = [path.as_posix() for path in needed if not path.is_file()]
    manifest = step.outputs["manifest"]
    if absent or not manifest.is_file():
        text = f"cannot be drawn again: {listed(absent or [manifest.as_posix()])} not here"
        yield missing("split", manifest, text)
        return
    paper, dataset, seed = step.key.split("/")
    card = evidence.configuration.card_for(paper, dataset)
    with TemporaryDirectory() as folder:
        again = Path(folder) / manifest.name
        try:
            write_split(needed[0].parent, card.split, int(seed), again, card.reported_counts)
        except _UNREADABLE as error:
            yield broken("split", manifest, f"cannot be drawn again: {error}")
            return
        yield from _compare_split(again, manifest, evidence.restore(manifest, step))
        facts = step.outputs["facts"]
        yield from _compare_json(again.with_suffix(".json"), facts, "split", evidence, step)


def check_leakage(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Look for duplicates and shared patients again."""
    inputs = {name: step.inputs[name] for name in ("index", "description", "split")}
    paths = [*inputs.values(), inputs["split"].with_suffix(".json"), *step.outputs.values()]
    absent = [path.as_posix() for path in paths if not path.is_file()]
    stem = step.outputs["csv"].with_suffix("")
    if absent:
        yield missing("leakage", stem, f"cannot be measured again: {listed(absent)} not here")
        return
    with TemporaryDirectory() as folder:
        again = Path(folder) / stem.name
        try:
            write_leakage(inputs["index"].parent, inputs["split"], again)
        except _UNREADABLE as error:
            yield broken("leakage", stem, f"cannot be measured again: {error}")
            return
        others = [
            path
            for path in step.outputs.values()
            if path.read_bytes() != (Path(folder) / path.name).read_bytes()
        ]
    for path in others:
        text = "is not what index and split give when it is measured again"
        yield broken("leakage", path, text, remedy=evidence.restore(path, step))
    if not others:
        yield verified("leakage", stem, "measured again: the same bytes")


def _problems_of_data(step: Step, paths: dict[str, Path]) -> Iterator[str]:
    description = json.loads(paths["description"].read_text(encoding="utf-8"))
    images = np.load(paths["images"], mmap_mode="r", allow_pickle=False)
    labels = np.load(paths["labels"], allow_pickle=False)
    index = read_index(paths["index"].parent)
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
        return _checksums(found, reading, evidence), reading
    except _UNREADABLE as error:
        return broken("archive", step, str(error), remedy=f"get it again from {sources}")


def _checksums(found: FoundArchives, reading: Reading, evidence: Evidence) -> dict[str, str]:
    """File name -> SHA-256, as they are written when data are prepared."""
    checksums = {}
    for container in found.containers:
        path = container.path
        checksum = evidence.sha256(path) if path.is_file() else container.sha256()
        if checksum is None:
            own = {
                n for folder in found.folders if folder.container is container for n in folder.names
            }
            checksum = content_sha256(
                {
                    image.image_id: _sha256(image.read())
                    for image in reading.images
                    if image.file in own
                }
            )
        checksums[path.name] = checksum
    return checksums | reading.tables


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
    index = read_index(path.parent)
    try:
        said = dict(zip(index["image_id"], index["sha256"], strict=True))
        here = {image.image_id: _sha256(image.read()) for image in reading.images}
    except _UNREADABLE as error:
        yield broken("archive", path, f"images cannot be compared: {error}")
        return
    others = sorted(name for name in {*said, *here} if said.get(name) != here.get(name))
    if others:
        text = f"the archive's images are not those of the index: {listed(others)}"
        yield broken("archive", path, text)
    else:
        text = f"{len(here)} images in the archive have the checksums of the index"
        yield verified("archive", path, text)


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _compare_split(again: Path, manifest: Path, remedy: str) -> Iterator[Finding]:
    if again.read_bytes() == manifest.read_bytes():
        yield verified("split", manifest, "drawn again from index, labels, rule and seed: the same")
        return
    expected, found = _lines(again), _lines(manifest)
    changes = [
        f"row {one.get('row')} ({one.get('image_id')}): {_role(other)}, not {_role(one)}"
        for one, other in zip(expected, found, strict=False)
        if one != other
    ]
    if len(expected) != len(found):
        changes.append(f"{len(found)} images, not {len(expected)}")
    text = "is not the split that its rule and seed draw"
    yield broken(
        "split", manifest, f"{text}: {listed(changes)}" if changes else text, remedy=remedy
    )


def _lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def _role(line: dict[str, str]) -> str:
    return f"{line.get('role')}{' (train)' if line.get('train') == '1' else ''}"


def _compare_json(
    again: Path, path: Path, check: str, evidence: Evidence, step: Step
) -> Iterator[Finding]:
    found = evidence.json(path)
    expected: Any = json.loads(again.read_text(encoding="utf-8"))
    changes = [str(difference) for difference in differences(expected, found)]
    if changes:
        yield broken(check, path, listed(changes), remedy=evidence.restore(path, step))
