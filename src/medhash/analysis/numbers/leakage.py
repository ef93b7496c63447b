"""What of an mAP was leakage: the numbers of the table and the figure.

A dataset stands beside its split without leakage (``covid_ct`` beside ``covid_ct+clean``). The
cells of the first are scored twice more, without training, on the part of their queries that has
no partner in the database and on the other part: that tells queries that are easy from queries
that were seen in training.

The experiment is medhash's own, not the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from medhash.analysis.numbers.context import Context, Place
from medhash.analysis.numbers.gains import gain, map_columns
from medhash.data.leakage import queries_without_partner
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import read_split, read_summary, rows_of
from medhash.flow.files import view_files
from medhash.papers.specs import ArtefactSpec, Name
from medhash.records.record import Record
from medhash.retrieval.chance import chance
from medhash.schema.base import StrictModel
from medhash.schema.cell import Cell
from medhash.schema.datasets import split_name, without_split
from medhash.schema.variants import BASELINE

if TYPE_CHECKING:
    import pandas as pd

    from medhash.configuration.loading import Configuration
    from medhash.configuration.restriction import Restriction

Scored = Literal[
    "paper's split", "clean queries", "leaking queries", "clean split", "leaking queries, clean"
]
"""Which cells are scored, and on which queries.

Those of the paper's split on all queries, on those without a partner in the database, and on the
others; those of the clean split on all queries, and on those that leak under the paper's split,
where they are queries there, too.
"""

COMPARED: tuple[Scored, ...] = ("paper's split", "clean queries", "clean split")
_NO_QUERY = "there is no such query"
_Maps = Mapping["LeakageRow", Mapping[int, float]]

CSV_COLUMNS = (
    *("row", "dataset", "origin", "method", "variant", "bits", "scored", "status", "queries"),
    "random_order_percent",
    *("map_percent", "interval_least_percent", "interval_greatest_percent", "n_seeds", "seeds"),
    *("rank", "leakage_points", "leakage_least_points", "leakage_greatest_points"),
    *("gain_points", "gain_least_points", "gain_greatest_points", "verdict"),
    *("scale", "protocol", "synthetic", "note"),
)


class Transfer(StrictModel):
    """Of a dataset whose cells are fine-tuned from another one: which.

    Attributes:
        origin: the dataset that they are fine-tuned from.
        methods: those that are.
        variants: those that are.
    """

    origin: Name
    methods: tuple[Name, ...] = Field(min_length=1)
    variants: tuple[Name, ...] = Field(min_length=1)


class LeakageRow(NamedTuple):
    """A row: a method with a variant."""

    method: str
    variant: str


class LeakageSpec(ArtefactSpec):
    """A table or figure of the comparison.

    Attributes:
        datasets: each with its other split right behind it, ``covid_ct, covid_ct+clean``.
        transfers: dataset -> where its cells come from and which there are, for those that are
            not trained from their own pretrained backbone.
    """

    transfers: dict[Name, Transfer] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        for plain, clean in zip(self.datasets[::2], (*self.datasets[1::2], ""), strict=False):
            if split_name(plain) or not split_name(clean) or without_split(clean) != plain:
                raise ValueError(
                    "'datasets' needs each dataset with its split without leakage behind it, such "
                    f"as [covid_ct, covid_ct+clean], not {plain}, {clean or 'nothing'}"
                )
        return self

    @property
    def pairs(self) -> dict[str, str]:
        """Dataset -> its split without leakage."""
        return dict(zip(self.datasets[::2], self.datasets[1::2], strict=True))

    @property
    def rows(self) -> list[LeakageRow]:
        """All rows; a dataset with a transfer may lack some."""
        return [LeakageRow(*row) for row in product(self.methods, self.variants)]

    def has(self, dataset: str, row: LeakageRow) -> bool:
        """Whether a dataset has a row."""
        own = self.transfers.get(without_split(dataset))
        return own is None or (row.method in own.methods and row.variant in own.variants)

    def origin_of(self, dataset: str) -> str:
        """The dataset that a dataset's cells are fine-tuned from, or empty text."""
        own = self.transfers.get(without_split(dataset))
        return own.origin if own else ""

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """Of each dataset and of its split without leakage the same cells."""
        return [
            self.cell(*place[:4], seed, place.origin)
            for dataset, row, bits in product(self.available_datasets, self.rows, self.bits)
            if self.has(dataset, row)
            for place in [Place(dataset, *row, bits, self.origin_of(dataset))]
            for seed in seeds or self.seeds
        ]

    def inputs(self, files: Configuration) -> list[Path]:
        """Beside the records what tells which queries have a partner in the database."""
        own = [name for name in self.pairs if name in self.available_datasets]
        told = [path for dataset in own for path in self._files(dataset, files)]
        return [*self.numbers(files.layout), *told]

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """The user's own datasets have no place in it; a transfer needs its origin."""
        datasets = tuple(map(run.stand_in, self.datasets))
        transfers = {
            run.stand_in(name): each.model_copy(update={"origin": run.stand_in(each.origin)})
            for name, each in self.transfers.items()
        }
        origins = {name: each.origin for name, each in transfers.items()}
        available = (name for name in changes["available"] if name in datasets)
        kept = (n for n in available if run.runs(origins.get(without_split(n), n)))
        return {"datasets": datasets, "transfers": transfers, "available": tuple(kept)}

    def details(self, facts: Sequence[Any], context: Context) -> str:
        """Scale, seeds, evaluated epoch and protocol."""
        return context.details_over_seeds(facts)

    def points(self, facts: Sequence[Record], context: Context) -> pd.DataFrame:
        """One row a dataset x code length x :data:`SCORED` x row, with :data:`CSV_COLUMNS`.

        Means over seeds with 95 % intervals of Student's t; one seed has none. *Leakage* is what
        the paper's split has more, *gain* what a variant has over its baseline, both seed by
        seed; *rank* is that of the method among those of the same variant. A gain whose interval
        holds 0, or that has none, is undecided.
        """
        import pandas as pd

        frame = pd.DataFrame(self._rows(facts, context), columns=list(CSV_COLUMNS))
        return frame.astype(dict.fromkeys(("n_seeds", "queries", "rank"), "Int64"))

    def _rows(self, facts: Sequence[Record], context: Context) -> Iterator[dict[str, Any]]:
        for dataset, bits in product(self.pairs, self.bits):
            records = [each for each in facts if each.cell.bits == bits]
            scorings = self._scorings(dataset, records, context)
            whole = {row: scorings["paper's split"].maps(row) for row in self.rows}
            for scored, scoring in scorings.items():
                maps = {row: scoring.maps(row) for row in self.rows}
                for row in self.rows:
                    if self.has(dataset, row):
                        place = Place(dataset, *row, bits, self.origin_of(dataset))
                        yield {
                            **context.place_row(self, place, bool(maps[row])),
                            "scored": scored,
                            **({} if scoring.queries or not whole[row] else {"note": _NO_QUERY}),
                            **(scoring.facts | _numbers(row, maps, whole) if maps[row] else {}),
                        }

    def _scorings(
        self, dataset: str, records: Sequence[Record], context: Context
    ) -> dict[Scored, Scoring]:
        """Whose cells are scored on which queries; what cannot be is left out."""
        paper, clean = (
            tuple(each for each in records if each.cell.dataset == name)
            for name in (dataset, self.pairs[dataset])
        )
        if not paper and not clean:
            return {scored: Scoring((), frozenset(), 0.0) for scored in COMPARED}
        if context.files is None:
            raise ValueError("which queries leak is read from files of the run")
        index, split, of_clean, _ = self._files(dataset, context.files)
        images = PreparedDataset(index.parent).index
        free, leaking = _parts(images, split, of_clean)
        chosen: dict[Scored, tuple[tuple[Record, ...], Path, frozenset[int]]] = {
            "paper's split": (paper, split, free | leaking),
            "clean queries": (paper, split, free),
            "leaking queries": (paper, split, leaking),
            "clean split": (clean, of_clean, frozenset(rows_of(of_clean, "query").tolist())),
        }
        if leaking and leaking <= chosen["clean split"][2]:
            chosen["leaking queries, clean"] = clean, of_clean, leaking
        return {
            scored: Scoring(own, queries, _random_map(images, manifest, queries))
            for scored, (own, manifest, queries) in chosen.items()
        }

    def _files(self, dataset: str, files: Configuration) -> tuple[Path, ...]:
        """Ids and hashes of the images, the paper's split, the clean one, and what that says."""
        view = view_files(files, self.paper, dataset, "index")
        clean = files.split_for(self.paper, self.pairs[dataset])
        return view["index"], view["split"], clean, clean.with_suffix(".json")


def _parts(images: pd.DataFrame, split: Path, clean: Path) -> tuple[frozenset[int], frozenset[int]]:
    """The queries without a partner in the database, and the others: rows of the index.

    What a partner is the rule of the clean split says.
    """
    rule = read_summary(clean)["rule"]
    free = queries_without_partner(
        images, read_split(split), rule.get("group_by", ()), rule.get("near_distance", 0)
    )
    every = frozenset(rows_of(split, "query").tolist())
    return frozenset(free.tolist()), every - frozenset(free.tolist())


def _random_map(images: pd.DataFrame, split: Path, queries: frozenset[int]) -> float:
    """What a random order of the database has on these queries, a fraction; 0 without any."""
    labels = images["classes"].str.get_dummies("|").to_numpy(np.uint8)
    if not queries:
        return 0.0
    answers = chance(labels[sorted(queries)], labels[rows_of(split, "database")], ())
    return float(answers["random"]["map"])


@dataclass(frozen=True)
class Scoring:
    """Cells, the queries that they are scored on, and what a random order has on these."""

    records: tuple[Record, ...]
    queries: frozenset[int]
    random: float

    def maps(self, row: LeakageRow) -> dict[int, float]:
        """Seed -> mAP, a fraction, of a row's cells; nothing where none of the queries is."""
        own = (each for each in self.records if (each.cell.method, each.cell.variant) == row)
        scored = {each.cell.seed: self._scored(each) for each in own}
        return {seed: fmean(values) for seed, values in scored.items() if values}

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that are the same in each row."""
        return {"queries": len(self.queries), "random_order_percent": 100 * self.random}

    def _scored(self, record: Record) -> list[float]:
        pairs = zip(record.query_rows, record.per_query_ap, strict=True)
        return [ap for query, ap in pairs if query in self.queries]


def _numbers(row: LeakageRow, maps: _Maps, whole: _Maps) -> dict[str, Any]:
    """The columns of a row with numbers.

    Args:
        row: the row.
        maps: row -> seed -> mAP, of all rows that are scored in this way.
        whole: the same of the paper's split.
    """
    own = maps[row]
    found = map_columns(own)
    rivals = [
        fmean(maps[each].values()) for each in maps if each.variant == row.variant and maps[each]
    ]
    found["rank"] = 1 + sum(rival > fmean(own.values()) for rival in rivals)
    leakage = gain(whole[row], own)
    if leakage:
        found |= leakage.columns("leakage_points", "leakage_{}_points")
    gained = gain(own, maps.get(LeakageRow(row.method, BASELINE), {}))
    if gained and row.variant != BASELINE:
        found |= gained.columns("gain_points", "gain_{}_points")
        found["verdict"] = gained.verdict
    return found
