"""Drawing a part of a dataset at random: seeded, stratified, with groups kept whole.

A draw is by rank: an image's rank is the SHA-256 of the seed, the purpose and its id. It
therefore depends on neither the order of the files nor a library's random generator, and anybody
can repeat it with a hash function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medhash.data.duplicates import near_groups
from medhash.errors import MedhashError
from medhash.schema.datasets import Size, SplitRule

_Rows = NDArray[np.int64]


class Draw:
    """The draws of one rule from one dataset.

    Args:
        index: the dataset's index, in row order.
        labels: uint8 (N, C), 0 or 1.
        rule: the rule.
        seed: of the draws.
        expected_images: number of images that the rule's counts are meant for; with fewer they
            are rescaled in proportion. None or 0: with any number.

    Attributes:
        notes: what a reader must know of the draws.
    """

    def __init__(
        self,
        index: pd.DataFrame,
        labels: NDArray[np.uint8],
        rule: SplitRule,
        seed: int,
        expected_images: int | None,
    ) -> None:
        self._ids = index["image_id"].astype(str).to_numpy()
        self._index, self._labels, self._rule, self._seed = index, labels, rule, seed
        self.notes: list[str] = []
        self._scale = 1, 1
        if expected_images and len(index) < expected_images and rule.has_counts:
            self._scale = len(index), expected_images
            self.notes.append(
                f"{len(index)} images instead of {expected_images}: the rule's numbers of images "
                "are rescaled in proportion"
            )

    def part(self, purpose: str, size: Size, rows: _Rows) -> _Rows:
        """Draw the query or the validation images; groups stay whole.

        Args:
            purpose: ``query`` or ``validation``, the rule's key.
            size: number, share of all images, or number of each class.
            rows: to draw from.

        Raises:
            MedhashError: the size or a class leaves nothing on one of the sides.
        """
        if self._rule.stratified:
            self._check_class_sizes(purpose)
        strata = self._strata(rows)
        quotas = self._quotas(purpose, size, strata)
        if self._rule.group_by is None and self._rule.near_distance is None:
            return self._ranked(purpose, strata, quotas)
        return self._ranked_groups(purpose, strata, quotas)

    def train(self, size: int, rows: _Rows) -> _Rows:
        """Draw the training images from the database's ``rows``.

        Raises:
            MedhashError: there are fewer.
        """
        count = self._rescaled(size)
        if count > len(rows):
            raise MedhashError(
                f"split.train = {count} is more than the {len(rows)} database images; "
                "lower it or use 'database'"
            )
        strata = self._strata(rows)
        return self._ranked("train", strata, largest_remainder(count, _lengths(strata)))

    def _strata(self, rows: _Rows) -> list[_Rows]:
        """Rows of each class, or of each set of labels, in the order of the label columns."""
        if not self._rule.stratified:
            return [rows]
        kinds, member = np.unique(self._labels[rows], axis=0, return_inverse=True)
        # np.unique sorts 0 before 1; reversed, the first class comes first.
        return [rows[member.reshape(-1) == kind] for kind in range(len(kinds) - 1, -1, -1)]

    def _check_class_sizes(self, purpose: str) -> None:
        """A class of one image cannot be both asked for and found (of several labels: may be)."""
        if (self._labels.sum(axis=1) > 1).any():
            return
        for column in np.flatnonzero(self._labels.sum(axis=0) == 1):
            name = self._index["classes"].iloc[int(self._labels[:, column].argmax())]
            raise MedhashError(
                f"class '{name}' has 1 image, too few for a {purpose} and a database; "
                "add images, remove the class, or set split.stratified to false"
            )

    def _quotas(self, purpose: str, size: Size, strata: list[_Rows]) -> list[int]:
        """How many of each stratum."""
        if isinstance(size, Mapping):
            return self._quotas_by_class(purpose, size, strata)
        images, left = len(self._ids), sum(_lengths(strata))
        # A share is rounded half up.
        count = int(np.floor(size * images + 0.5)) if size < 1 else self._rescaled(size)
        if not 0 < count < left:
            raise MedhashError(
                f"{count} {purpose} images of {left} leave no {purpose} or no database; "
                f"change split.{purpose}"
            )
        return largest_remainder(count, _lengths(strata))

    def _quotas_by_class(
        self, purpose: str, sizes: Mapping[str, int], strata: list[_Rows]
    ) -> list[int]:
        if (self._labels.sum(axis=1) != 1).any():
            raise MedhashError(
                f"split.{purpose} counts images of each class, but there are images of several; "
                "give one number or a share"
            )
        names = [str(self._index["classes"].iloc[rows[0]]) for rows in strata]
        unlike = sorted({*names} ^ {*sizes})
        if unlike:
            raise MedhashError(
                f"split.{purpose}: counts {', '.join(sizes)}, but the classes are "
                f"{', '.join(names)}; give each of them a number"
            )
        quotas = [self._rescaled(sizes[name]) for name in names]
        for name, quota, rows in zip(names, quotas, strata, strict=True):
            if quota >= len(rows):
                raise MedhashError(
                    f"split.{purpose}: {quota} of the {len(rows)} images of class '{name}' leave "
                    "none for the database; lower it"
                )
        return quotas

    def _rescaled(self, count: float) -> int:
        """A whole number times the scale, rounded half up, at least 1."""
        images, expected = self._scale
        return max(1, (2 * int(count) * images + expected) // (2 * expected))

    def _ranked(self, purpose: str, strata: list[_Rows], quotas: list[int]) -> _Rows:
        """Of each stratum its quota, those of the lowest rank."""
        return np.concatenate(
            [
                rows[np.argsort([self._rank(purpose, self._ids[row]) for row in rows])][:quota]
                for rows, quota in zip(strata, quotas, strict=True)
            ]
        )

    def _ranked_groups(self, purpose: str, strata: list[_Rows], quotas: list[int]) -> _Rows:
        """Whole groups of about the quotas together; a group belongs to its commonest stratum."""
        stratum_of_row = np.full(len(self._ids), -1)
        for stratum, rows in enumerate(strata):
            stratum_of_row[rows] = stratum
        rows = np.flatnonzero(stratum_of_row >= 0)
        groups = _rows_by_name(self.group_names, rows)
        members: list[list[str]] = [[] for _ in strata]
        for name in sorted(groups, key=lambda name: self._rank(purpose, name)):
            members[int(np.bincount(stratum_of_row[groups[name]]).argmax())].append(name)
        chosen: list[_Rows] = []
        owed = 0
        # What groups cannot give exactly is made up for where there are more to choose from.
        for stratum in sorted(range(len(strata)), key=lambda stratum: len(members[stratum])):
            names = members[stratum]
            target = max(quotas[stratum] + owed, 0)
            picked = [names[i] for i in nearest_subset([len(groups[n]) for n in names], target)]
            owed = quotas[stratum] + owed - sum(len(groups[name]) for name in picked)
            chosen += [groups[name] for name in picked]
        if owed:
            near = () if self._rule.near_distance is None else ("near-duplicate",)
            columns = " and ".join((*(self._rule.group_by or ()), *near))
            self.notes.append(
                f"{sum(quotas) - owed} {purpose} images instead of {sum(quotas)}: "
                f"{columns} groups stay whole"
            )
        return np.concatenate([*chosen, np.empty(0, dtype=np.int64)])

    @cached_property
    def group_names(self) -> NDArray[np.str_]:
        """Each image's group, (N,): images that share a value in any of the columns have one.

        So have near duplicates, where the rule says what these are.
        """
        columns = [self._names_of(column) for column in self._rule.group_by or ()]
        if self._rule.near_distance is not None:
            groups = near_groups(self._index, self._rule.near_distance)
            first = pd.Series(self._ids).groupby(groups).transform("min")
            columns.append(np.char.add("near/", first.to_numpy(np.str_)))
        return columns[0] if len(columns) == 1 else _joined(columns)

    def _names_of(self, column: str) -> NDArray[np.str_]:
        """A column's groups; an image without a value is a group of its own."""
        if column not in self._index:
            raise MedhashError(
                f"split.group_by = '{column}': index.csv has no such column "
                f"(there are {', '.join(self._index.columns)})"
            )
        values = self._index[column].fillna("").astype(str).to_numpy()
        unknown = int((values == "").sum())
        if unknown:
            self.notes.append(
                f"{unknown} of {len(values)} images have no {column}: each is its own group"
            )
        pairs = zip(values, self._ids, strict=True)
        return np.array([f"group/{value}" if value else f"image/{name}" for value, name in pairs])

    def _rank(self, purpose: str, name: str) -> str:
        return hashlib.sha256(f"{self._seed}/{purpose}/{name}".encode()).hexdigest()


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


def _lengths(strata: list[_Rows]) -> list[int]:
    return [len(rows) for rows in strata]


def _rows_by_name(names: NDArray[np.str_], rows: _Rows) -> dict[str, _Rows]:
    """Name -> those of the rows that have it."""
    places = pd.Series(names[rows]).groupby(names[rows]).indices
    return {str(name): rows[np.asarray(own)] for name, own in places.items()}


def _joined(columns: list[NDArray[np.str_]]) -> NDArray[np.str_]:
    """Groups of several columns: what is linked by any of them, called by its first name."""
    images, numbers = len(columns[0]), [pd.factorize(names)[0] for names in columns]
    first = np.cumsum([images, *(own.max() + 1 for own in numbers)])
    nodes = np.concatenate([own + start for own, start in zip(numbers, first, strict=False)])
    links = np.tile(np.arange(images), len(columns)), nodes
    graph = coo_array((np.ones(len(nodes)), links), shape=(first[-1], first[-1]))
    group = connected_components(graph, directed=False)[1][:images]
    least = pd.Series(columns[0]).groupby(group).transform("min")
    return least.to_numpy(np.str_)
