"""What a run has that can decide a paper's claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medhash.analysis.claim_grid import ClaimGrid
from medhash.analysis.claim_numbers import RunNumbers
from medhash.analysis.context import Context, select
from medhash.analysis.records import Record, load_records
from medhash.analysis.speed_table import Measurement, load_measurements
from medhash.configuration.claim_rules import Claim
from medhash.configuration.claimed import Claimed, claimed_by
from medhash.configuration.grid import Cell
from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError


@dataclass(frozen=True)
class ClaimRun:
    """A paper's claims beside the numbers of one run.

    Attributes:
        claimed: the claims, and which cells of the run are theirs.
        context: the scale's name, and the paper with its whole grid, as printed.
        records: cell -> record, of the run's cells that have one.
        speeds: cell -> measurement of its speed.
    """

    claimed: Claimed
    context: Context
    records: Mapping[Cell, Record]
    speeds: Mapping[Cell, Measurement]

    def grid(self, claim: Claim) -> ClaimGrid:
        """The rows and columns of a claim."""
        return ClaimGrid(claim, self.context, self.claimed.merges)

    def numbers(self, claim: Claim) -> RunNumbers:
        """The numbers of a claim's cells."""
        return RunNumbers(self.claimed.seeds(claim.artefact), self.records, self.speeds)


def load_runs(configuration: Configuration) -> list[ClaimRun]:
    """The claims of each paper of a run that has a file of them, with the numbers that are there.

    Raises:
        MedhashError: a file of claims, a record or a measurement is refused.
    """
    return [_load_run(claimed) for claimed in claimed_by(configuration)]


def _load_run(claimed: Claimed) -> ClaimRun:
    context = Context(claimed.printed, claimed.configuration.scale, claimed.protocol)
    names = [] if claimed.phantoms else list(claimed.specs)
    kinds = {name: getattr(claimed.specs[name], "kind", "") for name in names}
    return ClaimRun(
        claimed=claimed,
        context=context,
        records=_by_cell(_records(claimed, n, context) for n in names if kinds[n] != "fps"),
        speeds=_by_cell(_speeds(claimed, n, context) for n in names if kinds[n] == "fps"),
    )


def _records(claimed: Claimed, name: str, context: Context) -> list[Record]:
    records = load_records(path for path in claimed.files(name) if path.is_file())
    return select(claimed.specs[name], records, context)


def _speeds(claimed: Claimed, name: str, context: Context) -> list[Measurement]:
    measurements = load_measurements(claimed.files(name))
    for each in measurements:
        if each.scale != context.scale:
            raise MedhashError(
                f"speed of cell {each.cell}: its scale is {each.scale!r}, but {context.scale!r} "
                "is asked for; scales never mix."
            )
    return measurements


def _by_cell(lists: Iterable[Sequence[Any]]) -> dict[Cell, Any]:
    return {each.cell: each for items in lists for each in items}
