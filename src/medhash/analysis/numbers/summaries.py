"""The records of one place in a grid, summed up over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from medhash.analysis.numbers.context import NOT_RUN, Column, Context
from medhash.analysis.numbers.statistics import mean_and_deviation
from medhash.papers.paper import ArtefactSpec, TableSpec
from medhash.records.record import Record, records_frame
from medhash.schema.cell import Cell

DECIMALS = 2
"""Decimals of a printed percentage (ACH Table III)."""

_LISTED = 6


class Place(NamedTuple):
    """A place in a grid: the cells that differ in their seed only."""

    dataset: str
    method: str
    variant: str
    bits: int
    origin: str = ""

    @classmethod
    def of(cls, cell: Cell) -> Place:
        """The place of a cell."""
        return cls(cell.dataset, cell.method, cell.variant, cell.bits, cell.origin)

    @classmethod
    def at(cls, column: Column, method: str, variant: str) -> Place:
        """The place of a method and variant in a column."""
        return cls(column.dataset, method, variant, column.bits, column.origin)


@dataclass(frozen=True)
class Summary:
    """Metrics of one place as fractions; means over its seeds.

    Attributes:
        mean_map: mean of mAP.
        deviation: sample standard deviation of mAP, ``None`` for one seed.
        seeds: the seeds that ran, ascending.
        tie_least: the least mAP that an order of equal distances can give.
        tie_greatest: the greatest.
        stable_map: mAP under the papers' protocol.
        queries: size of the query set.
        queries_without_relevant: those of them that can find nothing.
        database: size of the database.
    """

    mean_map: float
    deviation: float | None
    seeds: tuple[int, ...]
    tie_least: float
    tie_greatest: float
    stable_map: float
    queries: int
    queries_without_relevant: int
    database: int

    @property
    def printed_map(self) -> Decimal:
        """Mean mAP in percent, as the digits that are printed."""
        return printed_percent(self.mean_map)

    @property
    def tie_spread(self) -> float:
        """How far the order of ties could move the mean."""
        return self.tie_greatest - self.tie_least


def summarise(records: Sequence[Record]) -> dict[Place, Summary]:
    """Sum up records by place."""
    frame = records_frame(records).sort_values("seed", kind="stable")
    summaries = {}
    for _, group in frame.groupby(list(Place._fields), sort=False):
        means = group[["tie_least", "tie_greatest", "stable_map"]].mean()
        mean, deviation = mean_and_deviation(group["map"].to_numpy())
        first = group.iloc[0]
        place = Place(
            first.dataset, first.method, first.variant, int(first.bits), str(first.origin)
        )
        summaries[place] = Summary(
            mean_map=mean,
            deviation=deviation,
            seeds=tuple(int(seed) for seed in group["seed"]),
            tie_least=float(means["tie_least"]),
            tie_greatest=float(means["tie_greatest"]),
            stable_map=float(means["stable_map"]),
            queries=int(first.queries),
            queries_without_relevant=int(first.queries_without_relevant),
            database=int(first.database),
        )
    return summaries


def printed_percent(fraction: float) -> Decimal:
    """A fraction in percent, rounded to the printed decimals."""
    return Decimal(f"{100 * fraction:.{DECIMALS}f}")


def percent(fraction: float | None) -> str:
    """A fraction in percent for a CSV file: six decimals, empty for ``None``."""
    return "" if fraction is None else f"{100 * fraction:.6f}"


def row_title(spec: ArtefactSpec, place: Place, context: Context) -> str:
    """The name of a place's row, as the paper prints it in this table.

    ``HashNet+ACH``; in a transfer ``HashNet+ACH w/ TL``; a table may have titles of its own.
    """
    title = context.paper.method_title(place.method, place.variant)
    if not isinstance(spec, TableSpec):
        return title
    if place.variant in spec.titles:
        title = context.paper.method_title(place.method) + spec.titles[place.variant]
    if spec.kind != "transfer":
        return title
    return f"{title} {'w/o' if place.origin == spec.origin_without_transfer else 'w/'} TL"


def shared_notes(
    spec: ArtefactSpec,
    ran: Mapping[Place, Summary],
    places: Sequence[tuple[Column, Place]],
    context: Context,
) -> list[str]:
    """The notes that every table needs: what did not run, fewer seeds, ties, query sets.

    Args:
        spec: the table.
        ran: what ran of it.
        places: all of its places, each with its column.
        context: names and reasons.
    """
    if not ran:
        return ["Nothing of this table has run.", *_not_run_notes(spec, ran, places, context)]
    return [
        *_seed_notes(spec, ran, context),
        _tie_note(spec, ran, context),
        _query_note(spec, ran, context),
        *_not_run_notes(spec, ran, places, context),
    ]


def name_of(spec: ArtefactSpec, place: Place, context: Context) -> str:
    """A place in words: ``HashNet+ACH, COVID-CT-Dataset/8 bits``."""
    column = context.column_label(place.dataset, place.bits, place.origin)
    return f"{row_title(spec, place, context)}, {column}"


def _seed_notes(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> list[str]:
    short = [place for place, summary in ran.items() if len(summary.seeds) < len(spec.seeds)]
    if not short:
        return []
    names = _listed([name_of(spec, place, context) for place in short])
    return [f"Fewer than {len(spec.seeds)} seeds have run for: {names}."]


def _tie_note(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> str:
    place = max(ran, key=lambda each: (ran[each].tie_spread, each))
    summary = ran[place]
    return (
        "Order of ties: over all orders of equal Hamming distances an mAP moves by at most "
        f"{printed_percent(summary.tie_spread)} points ({name_of(spec, place, context)}: "
        f"{printed_percent(summary.tie_least)} to {printed_percent(summary.tie_greatest)}); "
        "the CSV has the range of every value."
    )


def _query_note(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> str:
    texts = []
    for dataset in spec.datasets:
        sizes = sorted(
            {
                (summary.queries, summary.queries_without_relevant, summary.database)
                for place, summary in ran.items()
                if place.dataset == dataset
            }
        )
        texts += [
            f"{context.paper.dataset_title(dataset)}: {queries} queries ({without} of them "
            f"without a relevant image, counted as 0), database of {database}"
            for queries, without, database in sizes
        ]
    return "; ".join(texts) + "."


def _not_run_notes(
    spec: ArtefactSpec,
    ran: Mapping[Place, Summary],
    places: Sequence[tuple[Column, Place]],
    context: Context,
) -> list[str]:
    groups: dict[tuple[str, str], list[Place]] = {}
    for (dataset, _, origin), place in places:
        groups.setdefault((dataset, origin), []).append(place)
    notes = []
    for group, own in groups.items():
        missing = [place for place in own if place not in ran]
        if not missing:
            continue
        heading, reason = context.heading_of(*group), context.why_not_run(spec, *group)
        if len(missing) == len(own):
            notes.append(f"{heading}: {NOT_RUN} ({reason}).")
        else:
            names = _listed([name_of(spec, place, context) for place in missing])
            notes.append(f"{heading}: {len(missing)} of {len(own)} {NOT_RUN} ({reason}): {names}.")
    return notes


def _listed(names: Sequence[str]) -> str:
    text = "; ".join(names[:_LISTED])
    more = len(names) - _LISTED
    return f"{text}; and {more} more, see the CSV" if more > 0 else text
