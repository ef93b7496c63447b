"""Roles that are given, not drawn: by the upstream, or by a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.data.splits.manifest import ROLES
from medhash.errors import MedhashError
from medhash.schema.validation import some_of
from medhash.stored import read_csv


def official_roles(index: pd.DataFrame, notes: list[str]) -> NDArray[np.str_]:
    """The roles of the upstream's own split, (N,).

    Args:
        index: the dataset's index; column ``official_role``.
        notes: gets a line where images have no role.

    Raises:
        MedhashError: there is no such column, or a role is unknown.
    """
    if "official_role" not in index:
        raise MedhashError("split rule 'official': index.csv has no column 'official_role'")
    given = index["official_role"].fillna("").astype(str).replace("", "none")
    unknown = sorted(set(given) - set(ROLES))
    if unknown:
        raise MedhashError(f"index.csv: official_role '{unknown[0]}' is none of {', '.join(ROLES)}")
    return _with_unused_noted(given.to_numpy().astype(str), "upstream gives no role to", notes)


def listed_roles(
    index: pd.DataFrame, path: Path, notes: list[str]
) -> tuple[NDArray[np.str_], NDArray[np.bool_] | None]:
    """The roles that a list gives, (N,), and which images it trains on, None if it does not say.

    Args:
        index: the dataset's index.
        path: a CSV file with the columns ``image_id``, ``role`` and perhaps ``train``.
        notes: gets a line where images are not listed.

    Raises:
        MedhashError: the list cannot be read, names unknown images, or contradicts itself.
    """
    listed = _read_list(path)
    place = {str(image_id): row for row, image_id in enumerate(index["image_id"])}
    unknown = listed["image_id"][~listed["image_id"].isin(list(place))]
    if len(unknown):
        raise MedhashError(
            f"{path}: {len(unknown)} image_id(s) are not in the dataset's index.csv: "
            f"{some_of(unknown)}"
        )
    rows = listed["image_id"].map(place).to_numpy()
    roles = np.full(len(index), "none", dtype="<U10")
    roles[rows] = listed["role"].to_numpy().astype(str)
    train = None
    if "train" in listed:
        train = np.zeros(len(index), dtype=bool)
        train[rows] = (listed["train"] == "1").to_numpy()
        _check_train(train, roles, index, path)
    return _with_unused_noted(roles, f"{path.name} gives no role to", notes), train


def _read_list(path: Path) -> pd.DataFrame:
    """The listed manifest, all text, checked by itself."""
    remedy = "it is the list of split.file, a CSV file in UTF-8 with image_id and role"
    listed = read_csv(path, ("image_id", "role"), remedy)
    twice = listed["image_id"][listed["image_id"].duplicated()]
    if len(twice):
        raise MedhashError(
            f"{path}: listed more than once, so roles may overlap: {some_of(twice)}; "
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
        raise MedhashError(
            f"{path}: train is 1 for images outside the database: {some_of(outside)}"
        )
    if not train.any():
        raise MedhashError(f"{path}: train is 1 for no image; leave the column out to use all")


def _with_unused_noted(roles: NDArray[np.str_], reason: str, notes: list[str]) -> NDArray[np.str_]:
    unused = int((roles == "none").sum())
    if unused:
        notes.append(f"{reason} {unused} of {len(roles)} images: not used")
    return roles
