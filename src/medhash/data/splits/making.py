"""Making a split: every image's role by a dataset's rule, and the manifest that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.data.duplicates import near_pairs
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.drawing import Draw
from medhash.data.splits.listed import listed_roles, official_roles
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json, written_whole
from medhash.schema.datasets import SplitRule
from medhash.schema.validation import some_of

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


@dataclass(frozen=True)
class Split:
    """A drawn split.

    Attributes:
        manifest: columns ``row``, ``image_id``, ``role`` (query, database, validation or none)
            and ``train`` (0 or 1, only for the database); sorted by row, one line an image.
        notes: what a reader must know: rescaled sizes, groups that did not fit, images left out.
    """

    manifest: pd.DataFrame
    notes: tuple[str, ...]


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Draw the split of a step."""
    paper, dataset, seed = step.values
    card, folder = configuration.card_for(paper, dataset), step.inputs["index"].parent
    write_split(folder, card.split, int(seed), step.outputs["manifest"], card.reported_counts)


def make_split(
    index: pd.DataFrame,
    labels: NDArray[np.uint8],
    rule: SplitRule,
    seed: int,
    expected_images: int | None = None,
) -> Split:
    """Give every image its role by a dataset's rule.

    ``random`` draws exactly ``rule.query`` images, or the share of them rounded half up, each
    class in proportion by largest remainder (Hamilton), so that a class is within one image of
    its quota; a class of two or more images gets a query and a database image where the sizes
    allow it. ``rule.query`` may also count the images of each class. With ``rule.group_by`` or
    ``rule.near_distance`` whole groups are drawn and sizes come as near as groups allow. Images of
    several labels are stratified by their set of labels. ``rule.validation`` images are drawn next,
    in the same way, and ``rule.train`` images of the database last. With ``rule.leave_out`` one
    side of an official or listed split gives up its near duplicates.

    Args:
        index: the dataset's index.csv, in row order.
        labels: uint8 (N, C), 0 or 1.
        rule: the rule; ``rule.seed`` wins over ``seed``.
        seed: of the draw.
        expected_images: number of images that the rule's counts are meant for (the card's); with
            another N the counts are rescaled in proportion, and a note says so.

    Returns:
        The split.

    Raises:
        MedhashError: index and labels disagree, a class has too few images, a size does not fit,
            an official role is missing, or a list names unknown images or leaves a role empty.
    """
    _check_index(index, labels)
    draw = Draw(index, labels, rule, seed if rule.seed is None else rule.seed, expected_images)
    train = None
    # SplitRule has a query size only for the rule 'random', a file only for 'listed'.
    if rule.query is not None:
        roles = np.full(len(index), "database", dtype="<U10")
        for role, size in (("query", rule.query), ("validation", rule.validation)):
            if size is not None:
                roles[draw.part(role, size, np.flatnonzero(roles == "database"))] = role
    elif rule.file is not None:
        roles, train = listed_roles(index, rule.file, draw.notes)
    else:
        roles = official_roles(index, draw.notes)
    if rule.leave_out is not None and rule.near_distance is not None:
        roles = _without_duplicates(index, roles, rule.leave_out, rule.near_distance, draw.notes)
    _check_roles(roles, rule)
    if train is None:
        train = roles == "database"
        if rule.train != "database":
            train = np.isin(np.arange(len(index)), draw.train(rule.train, np.flatnonzero(train)))
    manifest = pd.DataFrame(
        {
            "row": np.arange(len(index)),
            "image_id": index["image_id"].astype(str).to_numpy(),
            "role": roles,
            "train": (train & (roles == "database")).astype(np.int64),
        }
    )
    return Split(manifest, tuple(draw.notes))


def write_split(
    data_folder: Path,
    rule: SplitRule,
    seed: int,
    csv_path: Path,
    reported_counts: Mapping[str, int] | None = None,
) -> None:
    """Draw the split of a prepared dataset and write its manifest.

    Writes ``csv_path`` and, beside it with the ending ``.json``, the sizes, the sizes by class,
    the notes and the manifest's SHA-256. The manifest is written last.

    Args:
        data_folder: the dataset's folder (``index.csv``, ``labels.npy``, ``dataset.json``).
        rule: the rule.
        seed: of the draw.
        csv_path: where the manifest goes, ``<paper>/splits/<dataset>/<seed>.csv``.
        reported_counts: sizes that the paper's text counts (keys ``query``, ``database``,
            ``train``); where the split has another size, a note says so.

    Raises:
        MedhashError: as :func:`make_split`; the message starts with the dataset's name.
    """
    dataset = PreparedDataset(data_folder)
    description = dataset.description
    # A card says how many images there are only where its classes overlap.
    expected = description.get("card_images") or sum(description["card_counts"].values())
    try:
        split = make_split(dataset.index, dataset.labels, rule, seed, expected)
    except MedhashError as error:
        raise MedhashError(f"split of {description['dataset']}: {error}") from None
    summary = _summary(split, dataset.labels, description, rule, seed, reported_counts or {})
    text = split.manifest.to_csv(index=False, lineterminator="\n")
    summary["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    with written_whole(csv_path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        write_json(csv_path.with_suffix(".json"), summary)


def _without_duplicates(
    index: pd.DataFrame, roles: NDArray[np.str_], side: str, distance: int, notes: list[str]
) -> NDArray[np.str_]:
    """The roles, (N,), without those of one side that have a near duplicate on the other."""
    query, database = (np.flatnonzero(roles == role) for role in ("query", "database"))
    of_query, of_database, _ = near_pairs(index, query, database, distance)
    left_out = np.unique(of_query if side == "query" else of_database)
    if len(left_out):
        other = "database" if side == "query" else "query"
        notes.append(
            f"{len(left_out)} {side} images are left out: each has a {other} image at most "
            f"{distance} bits of the perceptual hash away"
        )
    kept = roles.copy()
    kept[left_out] = "none"
    return kept


def _check_index(index: pd.DataFrame, labels: NDArray[np.uint8]) -> None:
    if len(index) != len(labels):
        raise MedhashError(
            f"index.csv has {len(index)} images but labels.npy {len(labels)}; prepare it again"
        )
    twice = index["image_id"][index["image_id"].duplicated()]
    if len(twice):
        raise MedhashError(f"index.csv has the image_id {some_of(twice)} twice; prepare it again")


def _check_roles(roles: NDArray[np.str_], rule: SplitRule) -> None:
    for role in ("query", "database"):
        if not (roles == role).any():
            source = f"{rule.file}" if rule.rule == "listed" else f"split rule '{rule.rule}'"
            raise MedhashError(f"{source}: no image has the role '{role}'; both roles are needed")


def _summary(
    split: Split,
    labels: NDArray[np.uint8],
    description: dict[str, Any],
    rule: SplitRule,
    seed: int,
    reported: Mapping[str, int],
) -> dict[str, Any]:
    """What the manifest's JSON says, but for the manifest's hash."""
    roles, train = split.manifest["role"].to_numpy(), split.manifest["train"].to_numpy()
    chosen = {role: roles == role for role in ("query", "database", "validation")}
    chosen = {role: rows for role, rows in chosen.items() if role != "validation" or rows.any()}
    chosen["train"] = train == 1
    sizes = {name: int(rows.sum()) for name, rows in chosen.items()}
    by_class = {
        name: {part: int(labels[rows, column].sum()) for part, rows in chosen.items()}
        for column, name in enumerate(description["classes"])
    }
    notes = list(split.notes)
    for name, parts in by_class.items():
        notes += [f"class '{name}' has no {part} image" for part in parts if not parts[part]]
    if not description["synthetic"]:
        notes += [
            f"the paper counts {reported[part]} {part} images; this split has {sizes[part]}"
            for part in sizes
            if part in reported and reported[part] != sizes[part]
        ]
    return {
        "dataset": description["dataset"],
        "seed": seed,
        "rule": _rule_facts(rule),
        "sizes": sizes,
        "sizes_by_class": by_class,
        "notes": notes,
    }


def _rule_facts(rule: SplitRule) -> dict[str, Any]:
    """The rule's settings; a list by its name and content, not by where it lies."""
    facts = rule.model_dump(mode="json", exclude_none=True)
    if rule.file is not None:
        facts |= {"file": rule.file.name, "file_sha256": sha256_of_file(rule.file)}
    return facts
