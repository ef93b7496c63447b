"""Splits: which image is query, database and train; seeded, stratified manifests.

A split is drawn by rank: an image's rank is the SHA-256 of the seed, the purpose and its id. The
draw therefore depends on neither the order of the files nor a library's random generator, and
anybody can repeat it with a hash function.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.data.cards import SplitRule
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json, write_text

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

ROLES = ("query", "database", "none")
COLUMNS = ["row", "image_id", "role", "train"]
_NAMES_SHOWN = 5

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """A drawn split.

    Attributes:
        manifest: columns ``row``, ``image_id``, ``role`` (query, database or none) and ``train``
            (0 or 1, only for the database); sorted by row, one line an image of the index.
        notes: what a reader must know: rescaled sizes, groups that did not fit, images left out.
    """

    manifest: pd.DataFrame
    notes: tuple[str, ...]


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
    allow it. With ``rule.group_by`` whole groups are drawn and sizes come as near as groups
    allow. Images of several labels are stratified by their set of labels. ``rule.train`` images
    of the database are drawn in the same way.

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
    notes: list[str] = []
    used_seed = seed if rule.seed is None else rule.seed
    scale = _scale(rule, len(index), expected_images, notes)
    train = None
    # SplitRule has a query size only for the rule 'random', a file only for 'listed'.
    if rule.query is not None:
        roles = _random_roles(
            index, labels, rule, _query_size(rule.query, len(index), scale), used_seed, notes
        )
    elif rule.file is not None:
        roles, train = _listed_roles(index, rule.file, notes)
    else:
        roles = _official_roles(index, notes)
    _check_roles(roles, rule)
    if train is None:
        train = _draw_train(index, labels, roles, rule, used_seed, scale, notes)
    manifest = pd.DataFrame(
        {
            "row": np.arange(len(index)),
            "image_id": index["image_id"].astype(str).to_numpy(),
            "role": roles,
            "train": train.astype(np.int64),
        }
    )
    return Split(manifest, tuple(notes))


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Draw the split of a step."""
    paper, dataset, seed = step.values
    card, folder = configuration.card_for(paper, dataset), step.inputs["index"].parent
    write_split(folder, card.split, int(seed), step.outputs["manifest"], card.reported_counts)


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
        csv_path: where the manifest goes, ``splits/<dataset>/<seed>.csv``.
        reported_counts: sizes that the paper's text counts (keys ``query``, ``database``,
            ``train``); where the split has another size, a note says so.

    Raises:
        MedhashError: as :func:`make_split`; the message starts with the dataset's name.
    """
    description = json.loads((data_folder / "dataset.json").read_text(encoding="utf-8"))
    index = read_index(data_folder)
    labels = np.load(data_folder / "labels.npy", allow_pickle=False)
    expected = sum(description["card_counts"].values()) or None
    try:
        split = make_split(index, labels, rule, seed, expected)
    except MedhashError as error:
        raise MedhashError(f"split of {description['dataset']}: {error}") from None
    summary = _summary(split, labels, description, rule, seed, reported_counts or {})
    text = split.manifest.to_csv(index=False, lineterminator="\n")
    summary["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    write_json(csv_path.with_suffix(".json"), summary)
    write_text(csv_path, text)


def read_index(data_folder: Path) -> pd.DataFrame:
    """A dataset's ``index.csv``: every column text, empty where nothing is known."""
    return pd.read_csv(data_folder / "index.csv", dtype=str, keep_default_na=False)


def read_split(csv_path: Path) -> pd.DataFrame:
    """Read a manifest back, and check it against the hash beside it.

    Returns:
        Columns ``row`` (int64), ``image_id`` (text), ``role`` (text), ``train`` (int64).

    Raises:
        MedhashError: the manifest is not the one that its JSON describes.
    """
    summary_path = csv_path.with_suffix(".json")
    if summary_path.is_file():
        pinned = json.loads(summary_path.read_text(encoding="utf-8"))["manifest_sha256"]
        if sha256_of_file(csv_path) != pinned:
            raise MedhashError(
                f"{csv_path}: its content is not what {summary_path.name} describes "
                "(manifest_sha256 differs); delete both and draw the split again"
            )
    types = {"row": np.int64, "image_id": str, "role": str, "train": np.int64}
    return pd.read_csv(csv_path, dtype=types, keep_default_na=False)


def largest_remainder(total: int, sizes: Sequence[int]) -> list[int]:
    """Divide ``total`` in proportion to ``sizes``, each part its exact quota rounded up or down.

    Where the total allows it, a size of 2 or more gets at least 1 and keeps at least 1 back;
    beyond that the largest remainders are rounded up (Hamilton). Ties go to the earlier place.
    Whole-number arithmetic: no rounding error decides who gets the last image.

    Args:
        total: 0 to the sum of ``sizes``.
        sizes: whole numbers, 0 or more.

    Returns:
        Parts that sum to ``total``, none above its size.
    """
    whole = max(sum(sizes), 1)
    floors = [total * size // whole for size in sizes]
    ceilings = [-(-total * size // whole) for size in sizes]
    least = [max(low, min(1, size - 1)) for low, size in zip(floors, sizes, strict=True)]
    least = [max(low, 0) for low in least]
    most = [
        max(low, min(high, size - 1))
        for low, high, size in zip(least, ceilings, sizes, strict=True)
    ]
    if not sum(least) <= total <= sum(most):
        least, most = floors, ceilings
    owed = [total * size - part * whole for size, part in zip(sizes, least, strict=True)]
    can_grow = [place for place in range(len(sizes)) if least[place] < most[place]]
    can_grow.sort(key=lambda place: -owed[place])
    parts = list(least)
    for place in can_grow[: total - sum(least)]:
        parts[place] += 1
    return parts


def nearest_subset(sizes: Sequence[int], target: int) -> list[int]:
    """Places of items whose sizes sum as near to ``target`` as any choice can.

    Of two equally near sums the smaller is taken; among choices of the same sum, early items
    come first, so that a shuffled order makes a random choice.

    Args:
        sizes: whole numbers, 1 or more.
        target: 0 or more.

    Returns:
        Places in ``sizes``, ascending.
    """
    if not sizes:
        return []
    limit = (1 << (target + max(sizes) + 1)) - 1
    # Bit s of reachable[i]: some of the first i items sum to s.
    reachable = [1]
    for size in sizes:
        reachable.append((reachable[-1] | reachable[-1] << size) & limit)
    left = min(
        (total for total in range(limit.bit_length()) if reachable[-1] >> total & 1),
        key=lambda total: abs(total - target),
    )
    chosen = []
    for place in range(len(sizes) - 1, -1, -1):
        if not reachable[place] >> left & 1:
            chosen.append(place)
            left -= sizes[place]
    return chosen[::-1]


def _check_index(index: pd.DataFrame, labels: NDArray[np.uint8]) -> None:
    if len(index) != len(labels):
        raise MedhashError(
            f"index.csv has {len(index)} images but labels.npy {len(labels)}; prepare it again"
        )
    twice = index["image_id"][index["image_id"].duplicated()]
    if len(twice):
        raise MedhashError(f"index.csv has the image_id {_some(twice)} twice; prepare it again")


def _scale(rule: SplitRule, images: int, expected: int | None, notes: list[str]) -> tuple[int, int]:
    """The factor (numerator, denominator) by which the rule's counts are rescaled."""
    has_counts = isinstance(rule.train, int) or (rule.query is not None and rule.query >= 1)
    if not expected or images >= expected or not has_counts:
        return 1, 1
    notes.append(
        f"{images} images instead of {expected}: the rule's numbers of images are rescaled "
        "in proportion"
    )
    return images, expected


def _rescaled(count: float, scale: tuple[int, int]) -> int:
    """A whole number times the scale, rounded half up, at least 1."""
    return max(1, (2 * int(count) * scale[0] + scale[1]) // (2 * scale[1]))


def _query_size(query: float, images: int, scale: tuple[int, int]) -> int:
    """Number of query images; a share is rounded half up."""
    count = int(np.floor(query * images + 0.5)) if query < 1 else _rescaled(query, scale)
    if not 0 < count < images:
        raise MedhashError(
            f"{count} query images of {images} leave no query or no database; change split.query"
        )
    return count


def _random_roles(
    index: pd.DataFrame,
    labels: NDArray[np.uint8],
    rule: SplitRule,
    count: int,
    seed: int,
    notes: list[str],
) -> NDArray[np.str_]:
    everything = np.arange(len(index))
    strata = _strata(labels, everything, rule)
    if rule.stratified:
        _check_class_sizes(index, labels)
    if rule.group_by is None:
        chosen = _draw(index, strata, count, f"{seed}/query")
    else:
        chosen = _draw_groups(index, strata, count, f"{seed}/query", rule.group_by, notes)
    return np.where(np.isin(everything, chosen), "query", "database")


def _draw_train(
    index: pd.DataFrame,
    labels: NDArray[np.uint8],
    roles: NDArray[np.str_],
    rule: SplitRule,
    seed: int,
    scale: tuple[int, int],
    notes: list[str],
) -> NDArray[np.bool_]:
    database = np.flatnonzero(roles == "database")
    if rule.train == "database":
        return roles == "database"
    count = _rescaled(rule.train, scale)
    if count > len(database):
        raise MedhashError(
            f"split.train = {count} is more than the {len(database)} database images; "
            "lower it or use 'database'"
        )
    chosen = _draw(index, _strata(labels, database, rule), count, f"{seed}/train")
    return np.isin(np.arange(len(index)), chosen)


def _strata(labels: NDArray[np.uint8], rows: _Rows, rule: SplitRule) -> list[_Rows]:
    """Rows of each class, or of each set of labels, in the order of the label columns."""
    if not rule.stratified:
        return [rows]
    kinds, member = np.unique(labels[rows], axis=0, return_inverse=True)
    # np.unique sorts 0 before 1; reversed, the first class comes first.
    return [rows[member.reshape(-1) == kind] for kind in range(len(kinds) - 1, -1, -1)]


def _check_class_sizes(index: pd.DataFrame, labels: NDArray[np.uint8]) -> None:
    """A class of one image cannot be both asked for and found (several labels: no such rule)."""
    if (labels.sum(axis=1) > 1).any():
        return
    for column in np.flatnonzero(labels.sum(axis=0) == 1):
        name = index["classes"].iloc[int(labels[:, column].argmax())]
        raise MedhashError(
            f"class '{name}' has 1 image, too few for a query and a database; "
            "add images, remove the class, or set split.stratified to false"
        )


def _draw(index: pd.DataFrame, strata: list[_Rows], count: int, purpose: str) -> _Rows:
    """``count`` rows, from each stratum in proportion, those of the lowest rank."""
    parts = largest_remainder(count, [len(rows) for rows in strata])
    ids = index["image_id"].astype(str).to_numpy()
    return np.concatenate(
        [
            rows[np.argsort([_rank(purpose, ids[row]) for row in rows])][:part]
            for rows, part in zip(strata, parts, strict=True)
        ]
    )


def _draw_groups(
    index: pd.DataFrame,
    strata: list[_Rows],
    count: int,
    purpose: str,
    column: str,
    notes: list[str],
) -> _Rows:
    """Whole groups of about ``count`` rows together; a group belongs to its commonest stratum."""
    groups = _groups(index, column, notes)
    quotas = largest_remainder(count, [len(rows) for rows in strata])
    stratum_of_row = np.empty(len(index), dtype=np.int64)
    for stratum, rows in enumerate(strata):
        stratum_of_row[rows] = stratum
    members: list[list[str]] = [[] for _ in strata]
    for name in sorted(groups, key=lambda name: _rank(purpose, name)):
        members[int(np.bincount(stratum_of_row[groups[name]]).argmax())].append(name)
    chosen: list[_Rows] = []
    owed = 0
    # What groups cannot give exactly is made up for where there are more groups to choose from.
    for stratum in sorted(range(len(strata)), key=lambda stratum: len(members[stratum])):
        names = members[stratum]
        target = max(quotas[stratum] + owed, 0)
        picked = [names[i] for i in nearest_subset([len(groups[n]) for n in names], target)]
        owed = quotas[stratum] + owed - sum(len(groups[name]) for name in picked)
        chosen += [groups[name] for name in picked]
    if owed:
        notes.append(f"{count - owed} query images instead of {count}: {column} groups stay whole")
    return np.concatenate([*chosen, np.empty(0, dtype=np.int64)])


def _groups(index: pd.DataFrame, column: str, notes: list[str]) -> dict[str, _Rows]:
    """Group name -> rows; an image without a group is a group of its own."""
    if column not in index:
        raise MedhashError(f"split.group_by = '{column}': index.csv has no such column")
    values = index[column].fillna("").astype(str).to_numpy()
    unknown = int((values == "").sum())
    if unknown:
        notes.append(f"{unknown} of {len(index)} images have no {column}: each is its own group")
    ids = index["image_id"].astype(str)
    names = [f"group/{v}" if v else f"image/{i}" for v, i in zip(values, ids, strict=True)]
    return {str(k): np.asarray(v) for k, v in pd.Series(names).groupby(names).indices.items()}


def _official_roles(index: pd.DataFrame, notes: list[str]) -> NDArray[np.str_]:
    if "official_role" not in index:
        raise MedhashError("split rule 'official': index.csv has no column 'official_role'")
    given = index["official_role"].fillna("").astype(str).replace("", "none")
    unknown = sorted(set(given) - set(ROLES))
    if unknown:
        raise MedhashError(f"index.csv: official_role '{unknown[0]}' is none of {', '.join(ROLES)}")
    return _with_unused_noted(given.to_numpy().astype(str), "upstream gives no role to", notes)


def _listed_roles(
    index: pd.DataFrame, path: Path, notes: list[str]
) -> tuple[NDArray[np.str_], NDArray[np.bool_] | None]:
    listed = _read_list(path)
    place = {str(image_id): row for row, image_id in enumerate(index["image_id"])}
    unknown = listed["image_id"][~listed["image_id"].isin(list(place))]
    if len(unknown):
        raise MedhashError(
            f"{path}: {len(unknown)} image_id(s) are not in the dataset's index.csv: "
            f"{_some(unknown)}"
        )
    rows = listed["image_id"].map(place).to_numpy()
    roles = np.full(len(index), "none", dtype="<U8")
    roles[rows] = listed["role"].to_numpy().astype(str)
    train = None
    if "train" in listed:
        train = np.zeros(len(index), dtype=bool)
        train[rows] = (listed["train"] == "1").to_numpy()
        _check_train(train, roles, index, path)
    return _with_unused_noted(roles, f"{path.name} gives no role to", notes), train


def _read_list(path: Path) -> pd.DataFrame:
    """The listed manifest, all text, checked by itself."""
    try:
        listed = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise MedhashError(f"{path}: no such file; it is the list of split.file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise MedhashError(f"{path}: not a CSV file: {error}") from None
    missing = [column for column in ("image_id", "role") if column not in listed]
    if missing:
        raise MedhashError(f"{path}: no column '{missing[0]}'; it needs image_id and role")
    twice = listed["image_id"][listed["image_id"].duplicated()]
    if len(twice):
        raise MedhashError(
            f"{path}: listed more than once, so roles may overlap: {_some(twice)}; "
            "an image has one role"
        )
    for column, allowed in (("role", ROLES), ("train", ("0", "1"))):
        wrong = set(listed.get(column, ())) - set(allowed)
        if wrong:
            raise MedhashError(f"{path}: {column} '{min(wrong)}' is none of {', '.join(allowed)}")
    return listed


def _check_train(
    train: NDArray[np.bool_], roles: NDArray[np.str_], index: pd.DataFrame, path: Path
) -> None:
    outside = index["image_id"][train & (roles != "database")]
    if len(outside):
        raise MedhashError(f"{path}: train is 1 for images outside the database: {_some(outside)}")
    if not train.any():
        raise MedhashError(f"{path}: train is 1 for no image; leave the column out to use all")


def _with_unused_noted(roles: NDArray[np.str_], reason: str, notes: list[str]) -> NDArray[np.str_]:
    unused = int((roles == "none").sum())
    if unused:
        notes.append(f"{reason} {unused} of {len(roles)} images: not used")
    return roles


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
    chosen = {"query": roles == "query", "database": roles == "database", "train": train == 1}
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


def _rank(purpose: str, name: str) -> str:
    return hashlib.sha256(f"{purpose}/{name}".encode()).hexdigest()


def _some(names: Sequence[str] | pd.Series) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in list(names)[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
