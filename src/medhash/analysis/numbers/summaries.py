"""The numbers of one place in a grid, summed up over its seeds, and what tables say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, Context, GridColumn, Place
from medhash.analysis.numbers.gains import gain
from medhash.analysis.numbers.statistics import (
    bootstrap_interval,
    mean_and_deviation,
    mean_and_half_width,
)
from medhash.papers.specs import ArtefactSpec
from medhash.records.record import MAP, per_query
from medhash.schema.measures import MEASURES, MeasureAt

_LISTED = 6


@dataclass(frozen=True)
class Summary:
    """A measure of one place, mean over its seeds, and what stands beside it.

    Attributes:
        measured: what it is.
        facts: the files of the cells that ran, by ascending seed.
        mean: mean over the seeds, as files have it.
        deviation: sample standard deviation, ``None`` for one seed.
    """

    measured: MeasureAt
    facts: tuple[Any, ...]
    mean: float
    deviation: float | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that ran, ascending."""
        return tuple(each.cell.seed for each in self.facts)

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The number of each seed that ran, as files have it."""
        values = ((each.cell.seed, self.measured.of(each)) for each in self.facts)
        return {seed: value for seed, value in values if value is not None}

    @cached_property
    def half_width(self) -> float | None:
        """Half of the mean's 95 % interval (Student's t); ``None`` for one seed."""
        return mean_and_half_width(list(self.by_seed.values()))[1]

    def difference_half_width(self, other: Summary) -> float | None:
        """The same of the difference to another place, seed by seed; ``None`` without two seeds."""
        found = gain(self.by_seed, other.by_seed, factor=1)
        return found.half_width if found and len(found.seeds) == len(self.by_seed) else None

    @property
    def printed(self) -> Decimal:
        """The mean in the measure's unit, as the digits that are printed."""
        return self.measured.measure.printed(self.mean)

    @property
    def metrics(self) -> Any:
        """The metrics of the first record: the sizes of query set and database."""
        return self.facts[0].metrics

    @cached_property
    def ties(self) -> tuple[float, float] | None:
        """The least and the greatest mAP that an order of equal distances can give."""
        if self.measured != MAP:
            return None
        ranges = [each.metrics.tie_range for each in self.facts]
        if None in ranges:
            return None
        least, greatest = np.asarray(ranges).mean(axis=0)
        return float(least), float(greatest)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the mean over queries; None where files keep no query's value."""
        known = [self.measured.measure.by_query(f, self.measured.cutoff) for f in self.facts]
        if None in known or self.measured.measure.source != "record":
            return None
        return bootstrap_interval(per_query(self.facts, self.measured).to_numpy())

    @property
    def tie_spread(self) -> float:
        """How far the order of ties could move the mean."""
        return self.ties[1] - self.ties[0] if self.ties else 0.0

    @property
    def stable(self) -> float:
        """Mean mAP under the papers' protocol."""
        return float(np.mean([each.stable.map for each in self.facts]))

    def chance(self, answer: str) -> float | None:
        """What an answer scores that looks at no image; ``random``, ``majority`` or ``ideal``."""
        measure = self.measured.measure
        return measure.chance(self.facts[0], answer, self.measured.cutoff)


def summarise(facts: Iterable[Any], measured: MeasureAt = MAP) -> dict[Place, Summary]:
    """Sum up the files of cells by place; cells without the number are left out."""
    groups: dict[Place, list[tuple[Any, float]]] = {}
    for each in sorted(facts, key=lambda facts: facts.cell.seed):
        value = measured.of(each)
        if value is not None:
            groups.setdefault(Place.of(each.cell), []).append((each, value))
    return {
        place: Summary(
            measured, tuple(each for each, _ in own), *mean_and_deviation([v for _, v in own])
        )
        for place, own in groups.items()
    }


def printed_percent(fraction: float) -> Decimal:
    """A fraction in percent, rounded to the printed decimals."""
    return MEASURES["map"].printed(fraction)


def percent(fraction: float | None) -> str:
    """A fraction in percent for a CSV file: six decimals, empty for ``None``."""
    return "" if fraction is None else f"{100 * fraction:.6f}"


def row_title(spec: ArtefactSpec, place: Place, context: Context) -> str:
    """The name of a place's row, as the paper prints it in this table."""
    return spec.row_title(context.paper, place.method, place.variant, place.origin)


def name_of(spec: ArtefactSpec, place: Place, context: Context) -> str:
    """A place in words: ``HashNet+ACH, COVID-CT-Dataset/8 bits``."""
    column = context.column_label(GridColumn(place.dataset, place.bits, place.origin))
    return f"{row_title(spec, place, context)}, {column}"


def shared_notes(
    spec: ArtefactSpec, ran: Iterable[Summary], places: Sequence[Place], context: Context
) -> list[str]:
    """The notes that every table needs: what did not run, fewer seeds, ties, query sets, chance.

    Args:
        spec: the table.
        ran: what ran of it.
        places: all of its places.
        context: names and reasons.
    """
    by_place = {Place.of(each.facts[0].cell): each for each in ran}
    missing = not_run_notes(spec, set(by_place), places, context)
    if not by_place:
        return [NOTHING_RAN, *missing]
    notes = _seed_notes(spec, by_place, context)
    if spec.source == "record":
        notes += [*_tie_notes(spec, by_place, context), *_query_notes(spec, by_place, context)]
    measured = {each.measured for each in by_place.values()}
    if measured == {MAP}:
        notes += _chance_notes(spec, by_place, context)
    return [*notes, *missing]


def places_notes(ran: int, places: int, where: str = "") -> list[str]:
    """How many places of an experiment of ours, ``where`` they are counted, did not run."""
    missing = places - ran
    return [f"{missing} of {places} places{where} have not run."] if missing else []


def not_run_notes(
    spec: ArtefactSpec, ran: set[Place], places: Sequence[Place], context: Context
) -> list[str]:
    """What did not run, and why; by the headings of columns."""
    groups: dict[tuple[str, str], list[Place]] = {}
    starts = spec.starts
    for place in dict.fromkeys(place for place in places if place.method not in spec.not_run):
        for origin in [place.origin] if place.origin in starts else starts:
            groups.setdefault((place.dataset, origin), []).append(place)
    printed = context.paper.method_title
    notes = [f"{printed(method)}: {NOT_RUN} ({why})." for method, why in spec.not_run.items()]
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


def _seed_notes(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> list[str]:
    short = [place for place, summary in ran.items() if len(summary.seeds) < len(spec.seeds)]
    if not short:
        return []
    names = _listed([name_of(spec, place, context) for place in short])
    return [f"Fewer than {len(spec.seeds)} seeds have run for: {names}."]


def _tie_notes(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> list[str]:
    tied = [place for place, summary in ran.items() if summary.ties]
    if not tied:
        return []
    place = max(tied, key=lambda each: (ran[each].tie_spread, each))
    summary = ran[place]
    least, greatest = summary.ties or (0.0, 0.0)
    return [
        "Order of ties: over all orders of equal Hamming distances an mAP moves by at most "
        f"{printed_percent(summary.tie_spread)} points ({name_of(spec, place, context)}: "
        f"{printed_percent(least)} to {printed_percent(greatest)}); "
        "the CSV has the range of every value."
    ]


def _query_notes(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> list[str]:
    texts = []
    for dataset in spec.datasets:
        every = [summary.metrics for place, summary in ran.items() if place.dataset == dataset]
        sizes = sorted({(m.queries, m.queries_without_relevant, m.database) for m in every})
        texts += [
            f"{context.paper.dataset_title(dataset)}: {queries} queries ({without} of them "
            f"without a relevant image, counted as 0), database of {database}"
            for queries, without, database in sizes
        ]
    return ["; ".join(texts) + "."]


def _chance_notes(spec: ArtefactSpec, ran: Mapping[Place, Summary], context: Context) -> list[str]:
    """What mAP answers have that have learnt nothing; one split has one value."""
    texts = []
    for dataset in spec.datasets:
        own = [each for place, each in ran.items() if place.dataset == dataset]
        random, majority = (own[0].chance(a) if own else None for a in ("random", "majority"))
        if random is not None and majority is not None:
            texts.append(
                f"on {context.paper.dataset_title(dataset)} an mAP of {printed_percent(random)} in "
                f"random order, {printed_percent(majority)} with the most frequent class first"
            )
    return [f"An answer that looks at no image has {'; '.join(texts)}."] if texts else []


def _listed(names: Sequence[str]) -> str:
    text = "; ".join(names[:_LISTED])
    more = len(names) - _LISTED
    return f"{text}; and {more} more, see the CSV" if more > 0 else text
