"""What a trained cell retrieves for one image."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.query.image import QueryImage
from medhash.retrieval.representation import Array, Representation
from medhash.retrieval.search import Ranking, drawn_order, nearest
from medhash.schema.cell import Cell

SCHEMA = 1

Ties = Literal["lot", "database"]
TIES: tuple[Ties, ...] = ("lot", "database")


@dataclass(frozen=True, eq=False)
class CellDatabase:
    """What is searched: a cell's database, its codes and its images.

    Attributes:
        cell: which cell.
        method_title: its method and variant as the paper prints them.
        scale: name of the scale.
        dataset: the cell's.
        codes: the cell's codes or descriptors, of query set and database.

    Raises:
        MedhashError: the codes have another length than the cell's, or are of other images than
            the dataset's.
    """

    cell: Cell
    method_title: str
    scale: str
    dataset: PreparedDataset
    codes: Representation

    @property
    def length_text(self) -> str:
        """``32 bits``, or ``512 numbers, euclidean distance``."""
        return self.codes.length_text

    def __post_init__(self) -> None:
        codes, dataset = self.codes, self.dataset
        where = f"{codes.NOUN}.npz of the cell {self.cell}"
        if codes.length != self.cell.bits:
            raise MedhashError(
                f"{where}: has {codes.NOUN} of {self.length_text}; train the cell again"
            )
        rows = np.concatenate([codes.query_rows, codes.database_rows])
        labels = np.concatenate([codes.query_labels, codes.database_labels])
        inside = rows.min() >= 0 and rows.max() < len(dataset.labels)
        if not inside or not np.array_equal(dataset.labels[rows], labels):
            raise MedhashError(
                f"{where}: is of other images than {dataset.title} as it is prepared now; prepare "
                "the dataset or train the cell again"
            )


@dataclass(frozen=True)
class Result:
    """One retrieved image.

    Attributes:
        rank: from 1, in one of the orders of equal distances.
        tied_ranks: first and last rank that an image at this distance can have.
        distance: to the query: bits that differ, or the distance of descriptors.
        row: its row in the dataset's index.
        image_id: its name there.
        classes: its classes.
        relevant: whether it shares a class with the query; None if that has no known class.
        same_pixels: whether it is the query itself.
        same_patient: whether it is of the query's patient, as far as the dataset knows.
    """

    rank: int
    tied_ranks: tuple[int, int]
    distance: int | float
    row: int
    image_id: str
    classes: tuple[str, ...]
    relevant: bool | None
    same_pixels: bool
    same_patient: bool

    @property
    def remark(self) -> str:
        """Why it is no wonder that it was found; mostly empty."""
        if self.same_pixels:
            return "the query itself"
        return "same patient" if self.same_patient else ""


@dataclass(frozen=True, eq=False)
class Answer:
    """The images of a cell's database nearest to a query.

    Attributes:
        database: what was searched.
        query: the image.
        code: the query's code, packed, uint8 (ceil(q / 8),), or its descriptor, float32 (L,).
        ranking: of the database.
        ties: in which order images at equal distances stand: drawn by ``lot``, or as in the
            ``database``.
    """

    database: CellDatabase
    query: QueryImage
    code: Array
    ranking: Ranking
    ties: Ties

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """The retrieved images, nearest first."""
        rows = self.database.codes.database_rows[self.ranking.places].tolist()
        shown = self.ranking.shown_distances.tolist()
        tied = {distance: self.ranking.ranks(distance) for distance in set(shown)}
        return tuple(
            self._result(rank, tied[distance], distance, row)
            for rank, (distance, row) in enumerate(zip(shown, rows, strict=True), start=1)
        )

    @property
    def votes(self) -> dict[str, int]:
        """Class -> retrieved images of it, most first."""
        return self._by_class(self.ranking.votes(self.database.codes.database_labels))

    @property
    def expected_votes(self) -> dict[str, float]:
        """Class -> mean of the votes over all orders of equal distances, most first."""
        means = self.ranking.expected_votes(self.database.codes.database_labels)
        return self._by_class(means.round(6))

    @property
    def at_last_distance(self) -> tuple[int, int]:
        """How many images share the last distance: of the database, and of the results."""
        last = self.ranking.last_distance
        shown = int(np.count_nonzero(self.ranking.shown_distances == last))
        return self.ranking.items_at(last), shown

    @property
    def code_text(self) -> str:
        """The query's code, first bit first: ``01101001``; or its descriptor's first numbers."""
        return self.database.codes.written(self.code)

    def stored_code_distances(self) -> dict[int, int | float]:
        """Row of the query in the dataset -> distance of the code or descriptor kept for it.

        The network gives every query its code; a method may have learned those of its training
        images by itself, and a device may round otherwise.
        """
        codes = self.database.codes
        sides = (
            (codes.query_rows, codes.query_vectors),
            (codes.database_rows, codes.database_vectors),
        )
        return {
            row: codes.between(self.code[None], kept[rows == row])[0, 0].item()
            for row in self.query.rows
            for rows, kept in sides
            if row in rows
        }

    def _result(self, rank: int, tied: tuple[int, int], distance: int | float, row: int) -> Result:
        dataset, query = self.database.dataset, self.query
        classes = dataset.classes_of(row)
        relevant = bool(set(classes) & set(query.classes)) if query.classes else None
        patient_of = dataset.column("patient_id")
        patients = {patient_of[own] for own in query.rows} - {""}
        return Result(
            rank,
            tied,
            distance,
            row,
            dataset.ids[row],
            classes,
            relevant,
            same_pixels=row in query.rows,
            same_patient=patient_of[row] in patients,
        )

    def _by_class(self, values: NDArray[Any]) -> dict[str, Any]:
        pairs = zip(self.database.dataset.classes, values.tolist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))


def answer_query(
    database: CellDatabase,
    query: QueryImage,
    code: Array,
    count: int,
    ties: Ties = "lot",
) -> Answer:
    """Rank a cell's database for an image.

    Args:
        database: what is searched.
        query: the image.
        code: what the cell makes of it: a packed code, uint8 (ceil(q / 8),), or a descriptor.
        count: how many images are wanted.
        ties: see :class:`Answer`; the lot is that of the query's pixels.

    Raises:
        MedhashError: the database has fewer.
    """
    codes = database.codes
    lot = hashlib.sha256(query.pixels.tobytes()).digest()
    order = drawn_order(lot, len(codes.database_rows)) if ties == "lot" else None
    return Answer(database, query, code, nearest(code, codes, count, order), ties)


def answer_data(answer: Answer, sheet: Path) -> dict[str, Any]:
    """An answer as JSON-able values.

    Args:
        answer: what was found.
        sheet: the contact sheet's path.
    """
    database, query = answer.database, answer.query
    items, shown = answer.at_last_distance
    return {
        "schema": SCHEMA,
        "scale": database.scale,
        "cell": asdict(database.cell),
        "synthetic": database.dataset.synthetic,
        "query": {
            "name": query.name,
            "rows": list(query.rows),
            "image_ids": [database.dataset.ids[row] for row in query.rows],
            "classes": list(query.classes),
            "class_source": query.class_source or None,
            "code": answer.code_text,
            "stored_code_distances": answer.stored_code_distances(),
        },
        "database": len(answer.ranking.distances),
        "ties": answer.ties,
        "results": [asdict(result) for result in answer.results],
        "votes": answer.votes,
        "expected_votes": answer.expected_votes,
        "last_distance": {
            "distance": answer.ranking.last_distance,
            "database_images": items,
            "shown": shown,
        },
        "sheet": sheet.as_posix(),
    }
