"""One row against another, query by query: what ACH Tables IV and VII test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import SignedRankTest, compare, holm
from medhash.analysis.numbers.summaries import Summary, summarise
from medhash.errors import MedhashError
from medhash.records.record import MAP, Record, per_query
from medhash.schema.measures import MeasureAt


@dataclass(frozen=True)
class PairedTest:
    """One place against another, over the seeds that both have.

    Attributes:
        comparison: of a measure of each query, a mean over the seeds.
        p_holm: p-value after Holm's correction over all tests made together.
        queries: how many there are.
        summary: the place's numbers.
        baseline: the other's.
        records: those of both.
    """

    comparison: SignedRankTest
    p_holm: float
    queries: int
    summary: Summary
    baseline: Summary
    records: tuple[Record, ...]

    @property
    def tie_differences(self) -> tuple[float, float]:
        """The least and the greatest difference of mAP that orders of ties can give."""
        nothing = (0.0, 0.0)
        own, other = self.summary.ties or nothing, self.baseline.ties or nothing
        return own[0] - other[1], own[1] - other[0]

    def numbers(self) -> dict[str, str]:
        """The test as it stands in a CSV file."""
        return {
            "p_value": f"{self.comparison.p_value:.6e}",
            "p_holm": f"{self.p_holm:.6e}",
            "effect_size": f"{self.comparison.effect_size:.6f}",
        }


def paired_tests(
    pairs: Iterable[tuple[str, str]], records: Sequence[Record]
) -> dict[tuple[Place, str], PairedTest]:
    """Test variants against their counterparts, wherever both have run, on average precision.

    Args:
        pairs: a variant and the one that it is compared with.
        records: of both.

    Returns:
        (the variant's place, the counterpart's variant) -> test. Holm's correction takes all of
        them as one family.

    Raises:
        MedhashError: two records that are to be paired have different queries.
    """
    places = dict.fromkeys(Place.of(record.cell) for record in records)
    paired = [
        (place, place._replace(variant=other))
        for variant, other in pairs
        for place in places
        if place.variant == variant
    ]
    tests = compared_places(paired, records)
    return {(place, other.variant): test for (place, other), test in tests.items()}


def compared_places(
    pairs: Iterable[tuple[Place, Place]], records: Sequence[Record], measured: MeasureAt = MAP
) -> dict[tuple[Place, Place], PairedTest]:
    """Test places against others, wherever both have run.

    Args:
        pairs: a place and the one that it is compared with.
        records: of both.
        measured: what of each query.

    Returns:
        The pairs that ran -> test. Holm's correction takes all of them as one family.

    Raises:
        MedhashError: two records that are to be paired have different queries, or one has no such
            values of single queries.
    """
    found = {pair: matched for pair in pairs if (matched := _matched(*pair, records))}
    values = {
        pair: tuple(per_query(side, measured).to_numpy() for side in zip(*matched, strict=True))
        for pair, matched in found.items()
    }
    comparisons = {pair: compare(own, other) for pair, (own, other) in values.items()}
    corrected = holm([comparison.p_value for comparison in comparisons.values()])
    return {
        (place, other): PairedTest(
            comparison=comparisons[place, other],
            p_holm=float(p_holm),
            queries=len(values[place, other][0]),
            summary=summarise([a for a, _ in matched], measured)[place],
            baseline=summarise([b for _, b in matched], measured)[other],
            records=tuple(record for pair in matched for record in pair),
        )
        for ((place, other), matched), p_holm in zip(found.items(), corrected, strict=True)
    }


def _matched(place: Place, other: Place, records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """The records of two places, for every seed that has both."""
    own, partners = (
        {record.cell.seed: record for record in records if Place.of(record.cell) == each}
        for each in (place, other)
    )
    matched = [(own[seed], partners[seed]) for seed in own if seed in partners]
    for pair in matched:
        _check_pair(*pair)
    return matched


def _check_pair(record: Record, partner: Record) -> None:
    apart = set(record.query_rows) ^ set(partner.query_rows)
    if apart:
        raise MedhashError(
            f"records of cells {record.cell} and {partner.cell} cannot be paired: {len(apart)} "
            f"queries are in one of them only (for example row {min(apart)} of the dataset's "
            "index); make both cells from the same split."
        )
