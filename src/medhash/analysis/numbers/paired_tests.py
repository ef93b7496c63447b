"""A variant against its counterpart, query by query: what ACH Tables IV and VII test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from medhash.analysis.numbers.context import Place
from medhash.analysis.numbers.statistics import Comparison, compare, holm
from medhash.analysis.numbers.summaries import Summary, summarise
from medhash.errors import MedhashError
from medhash.records.record import Record, per_query_ap


@dataclass(frozen=True)
class PairedTest:
    """One variant against its counterpart, over the seeds that both have.

    Attributes:
        comparison: of the average precision of each query, a mean over the seeds.
        p_holm: p-value after Holm's correction over all tests made together.
        queries: how many there are.
        summary: the variant's metrics.
        baseline: the counterpart's.
        records: those of both.
    """

    comparison: Comparison
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
    """Test variants against their counterparts, wherever both have run.

    Args:
        pairs: a variant and the one that it is compared with.
        records: of both.

    Returns:
        (the variant's place, the counterpart's variant) -> test. Holm's correction takes all of
        them as one family.

    Raises:
        MedhashError: two records that are to be paired have different queries.
    """
    found = {
        (place, other): matched
        for variant, other in pairs
        for place, matched in _matched(variant, other, records).items()
    }
    comparisons = [
        compare(per_query_ap([a for a, _ in matched]), per_query_ap([b for _, b in matched]))
        for matched in found.values()
    ]
    corrected = holm([comparison.p_value for comparison in comparisons])
    return {
        (place, other): PairedTest(
            comparison=comparison,
            p_holm=float(p_holm),
            queries=len(per_query_ap([a for a, _ in matched])),
            summary=summarise([a for a, _ in matched])[place],
            baseline=summarise([b for _, b in matched])[place._replace(variant=other)],
            records=tuple(record for pair in matched for record in pair),
        )
        for ((place, other), matched), comparison, p_holm in zip(
            found.items(), comparisons, corrected, strict=True
        )
    }


def _matched(
    variant: str, other: str, records: Sequence[Record]
) -> dict[Place, list[tuple[Record, Record]]]:
    """For each place, its record and the counterpart's, for every seed that has both."""
    by_cell = {record.cell: record for record in records}
    matched: dict[Place, list[tuple[Record, Record]]] = {}
    for record in records:
        partner = by_cell.get(replace(record.cell, variant=other))
        if record.cell.variant == variant and partner is not None:
            _check_pair(record, partner)
            matched.setdefault(Place.of(record.cell), []).append((record, partner))
    return matched


def _check_pair(record: Record, partner: Record) -> None:
    apart = set(record.query_rows) ^ set(partner.query_rows)
    if apart:
        raise MedhashError(
            f"records of cells {record.cell} and {partner.cell} cannot be paired: {len(apart)} "
            f"queries are in one of them only (for example row {min(apart)} of the dataset's "
            "index); make both cells from the same split."
        )
