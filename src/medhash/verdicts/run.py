"""What a run has that can decide a paper's claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medhash.analysis.numbers.context import Context, select
from medhash.configuration.claimed import Claimed, claimed_by
from medhash.configuration.loading import Configuration
from medhash.papers.claim_rules import Claim
from medhash.records.lesions import LesionSearch, NoSearch, check_same_patches
from medhash.records.sources import READERS
from medhash.schema.cell import Cell
from medhash.schema.measures import Source
from medhash.verdicts.grid import ClaimGrid
from medhash.verdicts.numbers import RunNumbers


@dataclass(frozen=True)
class ClaimRun:
    """A paper's claims beside the numbers of one run.

    Attributes:
        claimed: the claims, and which cells of the run are theirs.
        context: the scale's name, and the paper with its whole grid, as printed.
        facts: source -> cell -> its file, read, of the run's cells that have one.
        unmarked: cell -> why there are no lesion patches to search with.
    """

    claimed: Claimed
    context: Context
    facts: Mapping[Source, Mapping[Cell, Any]]
    unmarked: Mapping[Cell, str]

    def grid(self, claim: Claim) -> ClaimGrid:
        """The rows and columns of a claim, with the numbers of its cells."""
        seeds = self.claimed.seeds(claim.artefact)
        numbers = RunNumbers(self.claimed.printed.paper, seeds, self.facts)
        return ClaimGrid(claim, self.context, numbers, self.claimed.merges)


def load_runs(configuration: Configuration) -> list[ClaimRun]:
    """The claims of each paper of a run that has a file of them, with the numbers that are there.

    Raises:
        MedhashError: a file of claims, a record or a measurement is refused.
    """
    return [_load_run(claimed) for claimed in claimed_by(configuration)]


def _load_run(claimed: Claimed) -> ClaimRun:
    context = Context(claimed.printed, claimed.configuration.scale, claimed.protocol)
    found: dict[Source, dict[Cell, Any]] = {}
    unmarked: dict[Cell, str] = {}
    for name, spec in claimed.specs.items() if not claimed.phantoms else ():
        files = (path for path in claimed.files(name) if path.is_file())
        for each in select(spec, map(READERS[spec.source], files), context):
            if isinstance(each, NoSearch):
                unmarked[each.cell] = each.reason
            else:
                found.setdefault(spec.source, {})[each.cell] = each
    # All cells of a dataset must have been searched with the same patches.
    first: dict[str, LesionSearch] = {}
    for cell, search in found.get("lesions", {}).items():
        other = first.setdefault(cell.dataset, search)
        check_same_patches(search, other, str(other.cell))
    return ClaimRun(claimed, context, found, unmarked)
