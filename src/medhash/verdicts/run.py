"""What a run has that can decide a paper's claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medhash.analysis.numbers.context import Context, select
from medhash.analysis.tables.speed import Measurement, load_measurements
from medhash.configuration.claimed import Claimed, claimed_by
from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.papers.claim_rules import Claim
from medhash.papers.paper import ArtefactSpec, TableSpec
from medhash.records.lesions import LesionSearch, NoSearch, load_lesion_searches
from medhash.records.measured import check_scale
from medhash.records.record import Record, load_records
from medhash.schema.cell import Cell
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.numbers import RunNumbers


@dataclass(frozen=True)
class ClaimRun:
    """A paper's claims beside the numbers of one run.

    Attributes:
        claimed: the claims, and which cells of the run are theirs.
        context: the scale's name, and the paper with its whole grid, as printed.
        records: cell -> record, of the run's cells that have one.
        speeds: cell -> measurement of its speed.
        lesions: cell -> its searches with lesion patches.
        unmarked: cell -> why there are no lesion patches to search with.
    """

    claimed: Claimed
    context: Context
    records: Mapping[Cell, Record]
    speeds: Mapping[Cell, Measurement]
    lesions: Mapping[Cell, LesionSearch]
    unmarked: Mapping[Cell, str]

    def grid(self, claim: Claim) -> ClaimGrid:
        """The rows and columns of a claim."""
        return ClaimGrid(claim, self.context, self.claimed.merges)

    def numbers(self, claim: Claim) -> RunNumbers:
        """The numbers of a claim's cells."""
        seeds = self.claimed.seeds(claim.artefact)
        return RunNumbers(
            self.claimed.printed.paper, seeds, self.records, self.speeds, self.lesions
        )


def load_runs(configuration: Configuration) -> list[ClaimRun]:
    """The claims of each paper of a run that has a file of them, with the numbers that are there.

    Raises:
        MedhashError: a file of claims, a record or a measurement is refused.
    """
    return [_load_run(claimed) for claimed in claimed_by(configuration)]


def _load_run(claimed: Claimed) -> ClaimRun:
    context = Context(claimed.printed, claimed.configuration.scale, claimed.protocol)
    found: dict[str, list[Any]] = {"records": [], "speeds": [], "lesions": []}
    for name, spec in claimed.specs.items() if not claimed.phantoms else ():
        kind = spec.kind if isinstance(spec, TableSpec) else ""
        source = {"fps": "speeds", "lesion_retrieval": "lesions"}.get(kind, "records")
        found[source] += _READERS[source](claimed.files(name), spec, context)
    searches = [each for each in found["lesions"] if isinstance(each, LesionSearch)]
    return ClaimRun(
        claimed=claimed,
        context=context,
        records=_by_cell(found["records"]),
        speeds=_by_cell(found["speeds"]),
        lesions=_by_cell(searches),
        unmarked={e.cell: e.reason for e in found["lesions"] if isinstance(e, NoSearch)},
    )


def _records(files: Sequence[Path], spec: ArtefactSpec, context: Context) -> list[Record]:
    records = load_records(path for path in files if path.is_file())
    return select(spec, records, context)


def _speeds(files: Sequence[Path], spec: ArtefactSpec, context: Context) -> list[Measurement]:
    measurements = load_measurements(files)
    for each in measurements:
        check_scale(each.cell, "speed", each.scale, context.scale)
    return measurements


def _lesions(
    files: Sequence[Path], spec: ArtefactSpec, context: Context
) -> list[LesionSearch | NoSearch]:
    searches = load_lesion_searches(files)
    first: dict[str, LesionSearch] = {}
    for each in searches:
        check_scale(each.cell, "lesion patches", each.scale, context.scale)
        if isinstance(each, NoSearch):
            continue
        other = first.setdefault(each.cell.dataset, each)
        if (each.areas_sha256, each.protocol) != (other.areas_sha256, context.protocol):
            raise MedhashError(
                f"lesion patches of cell {each.cell}: they are not those of {other.cell}, or not "
                f"scored with protocol {context.protocol!r}; delete lesions.json of both and let "
                "the workflow search again."
            )
    return searches


_READERS: Mapping[str, Callable[[Sequence[Path], ArtefactSpec, Context], Sequence[Any]]] = {
    "records": _records,
    "speeds": _speeds,
    "lesions": _lesions,
}


def _by_cell(items: Sequence[Any]) -> dict[Cell, Any]:
    return {each.cell: each for each in items}
