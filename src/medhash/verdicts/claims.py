"""Does a run reproduce what a paper claims? One verdict a claim, with its evidence.

A claim is reproduced, or not, only at the paper's own scale, only if everything that it is about
has run (all datasets, methods, code lengths and seeds of the paper's grid), and only if the
intervals over the seeds say so. At another scale it holds, or does not, *so far*. What a part says
stands beside the verdict "not run", and is not a verdict. Runs on phantoms decide nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from medhash.papers.claim_rules import Claim
from medhash.records.lesions import SOURCES
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES
from medhash.verdicts.cases import Case, ClaimFinding
from medhash.verdicts.rules import decide
from medhash.verdicts.run import ClaimRun

Verdict = Literal[
    "reproduced",
    "not reproduced",
    "holds so far",
    "does not hold so far",
    "undecided",
    "not run",
]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

SO_FAR = "at this scale so far"

PHANTOMS = "real images: this scale runs on phantoms, which decide no claim"

_LISTED = 5
_LISTED_CELLS = 6


@dataclass(frozen=True)
class Decision:
    """The verdict on one claim.

    Attributes:
        paper: whose claim it is.
        claim: its name in the file.
        place: where it stands in the paper.
        says: what it says.
        verdict: one of :data:`VERDICTS`.
        reads: the verdict in a sentence, with the number of seeds that leave it undecided.
        evidence: the numbers behind the verdict.
        missing: what has not run.
        partial: of a claim that has not run, what the part that has says.
        scale: the scale on which it was decided.
        data: the datasets, code lengths and seeds of the numbers.
        tolerance: how far numbers may differ from what is claimed.
        reading: how the claim is read where it can be read in several ways.
        rule: what decides it.
        needs: the table or figure whose cells it is about.
        note: what is not as in the paper.
        cases: everything that the claim says: in words, and W, T, L or empty; with a ``?`` where
            the means say so and the seeds leave it open.
        cells: the cells whose numbers were used.
        missing_cells: the cells that were not there.
    """

    paper: str
    claim: str
    place: str
    says: str
    verdict: Verdict
    reads: str
    evidence: str
    missing: str
    partial: str
    scale: str
    data: str
    tolerance: str
    reading: str
    rule: str
    needs: str
    note: str
    cases: tuple[tuple[str, str], ...]
    cells: tuple[str, ...]
    missing_cells: tuple[str, ...]


def decide_claims(runs: Iterable[ClaimRun]) -> list[Decision]:
    """Decide every claim, in the order of the files.

    Raises:
        MedhashError: a claim asks for more cases than there are, or compares records whose
            queries differ.
    """
    return [
        _phantoms(run, name, claim) if run.claimed.phantoms else _decision(run, name, claim)
        for run in runs
        for name, claim in run.claimed.claims.claims.items()
    ]


def _phantoms(run: ClaimRun, name: str, claim: Claim) -> Decision:
    return _described(run, name, claim, "not run", missing=PHANTOMS)


def _decision(run: ClaimRun, name: str, claim: Claim) -> Decision:
    grid = run.grid(claim)
    finding, numbers = decide(grid), grid.numbers
    needs = list(dict.fromkeys(need for case in finding.cases for need in case.needs))
    every = dict.fromkeys(cell for need in needs for cell in numbers.cells(need.place))
    missing = dict.fromkeys(cell for need in needs for cell in numbers.missing(need))
    used = [cell for cell in every if cell not in missing]
    parts: dict[str, Any] = {
        "data": _data(run, claim, used) if finding.summary else "",
        "cases": tuple(map(_case, finding.cases)),
        "cells": tuple(map(str, used)),
        "missing_cells": tuple(map(str, missing)),
    }
    absent = "" if finding.complete else _missing(run, claim, finding, list(every), list(missing))
    parts |= {"missing": absent, "n_seeds": len(numbers.seeds)}
    verdict = _verdict(run, finding)
    if verdict == "not run":
        return _described(run, name, claim, verdict, partial=_partial(finding), **parts)
    return _described(run, name, claim, verdict, evidence=_evidence(finding), **parts)


def _case(case: Case) -> tuple[str, str]:
    return case.text, f"{case.outcome}{'' if case.settled else '?'}" if case.outcome else ""


def _verdict(run: ClaimRun, finding: ClaimFinding) -> Verdict:
    decided: tuple[Verdict, Verdict]
    if run.claimed.as_printed:
        decided, known = ("reproduced", "not reproduced"), finding.complete
    else:
        decided = ("holds so far", "does not hold so far")
        known = finding.complete or (finding.holds is not None and not finding.same_here)
    if not known:
        return "not run"
    return "undecided" if finding.holds is None else decided[not finding.holds]


def _reads(run: ClaimRun, verdict: Verdict, n_seeds: int) -> str:
    """``undecided by 3 seeds``; of another scale than the paper's, that it says so."""
    if verdict == "undecided":
        text = f"undecided by {n_seeds} seed{'s' * (n_seeds != 1)}"
        return text if run.claimed.as_printed else f"{SO_FAR} {text}"
    texts = {"holds so far": "it holds", "does not hold so far": "it does not hold"}
    return f"{SO_FAR} {texts[verdict]}" if verdict in texts else verdict


def _described(
    run: ClaimRun, name: str, claim: Claim, verdict: Verdict, n_seeds: int = 0, **found: Any
) -> Decision:
    empty: dict[str, Any] = dict.fromkeys(("evidence", "missing", "partial", "data"), "")
    empty |= dict.fromkeys(("cases", "cells", "missing_cells"), ())
    return Decision(
        paper=run.context.paper.paper,
        claim=name,
        place=claim.place,
        says=claim.says,
        verdict=verdict,
        reads=_reads(run, verdict, n_seeds),
        scale=run.context.scale,
        tolerance=claim.tolerance_text,
        reading=claim.reading,
        rule=claim.rule,
        needs=claim.artefact,
        note=_note(run, found.get("data", "")),
        **empty | found,
    )


def _evidence(finding: ClaimFinding) -> str:
    """The summary, where the claim does not hold and what is open; a number needs no list."""
    texts = [f"{where} {case.text}" for case in finding.cases if (where := _exception(case))]
    more = len(texts) - _LISTED
    listed = [*texts[:_LISTED], *([f"and {more} more, which --json lists"] if more > 0 else [])]
    outlook = "" if finding.complete else finding.outlook
    return "; ".join(filter(None, [finding.summary, outlook, *listed]))


def _exception(case: Case) -> str:
    """What introduces a case in which the claim does not hold, or that its interval leaves open."""
    if case.outcome in ("T", "L"):
        return "not in" if case.settled else "by the mean not in"
    has_interval = case.found is not None and case.found.interval(1) is not None
    return "open:" if case.outcome and has_interval and not case.settled else ""


def _partial(finding: ClaimFinding) -> str:
    if not finding.summary:
        return ""
    return "; ".join(filter(None, [finding.summary, finding.outlook]))


def _missing(
    run: ClaimRun,
    claim: Claim,
    finding: ClaimFinding,
    every: Sequence[Cell],
    missing: Sequence[Cell],
) -> str:
    """What is not there, by dataset and reason."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in missing:
        groups.setdefault((_place(cell), _why(run, claim, cell)), []).append(cell)
    totals = Counter(map(_place, every))
    texts = []
    for (place, why), cells in groups.items():
        total = totals[place]
        if len(cells) == total > 1:
            texts.append(f"{place}: all {total} cells ({why})")
        else:
            texts.append(f"{len(cells)} of {total} cells of {place}: {_listed(cells)} ({why})")
    if finding.same_here:
        texts.append(f"settings that are the same on this scale's images: {finding.same_here}")
    return "; ".join(texts)


def _why(run: ClaimRun, claim: Claim, cell: Cell) -> str:
    if cell in run.claimed.outside[claim.artefact]:
        return "not part of this run"
    source = MEASURES[claim.measure].source
    if source == "lesions" and cell in run.unmarked:
        return run.unmarked[cell]
    if cell in run.facts.get(source, {}):
        return "the record lacks the number"
    return "no record yet" if source == "record" else "not measured yet"


def _place(cell: Cell) -> str:
    return cell.coordinates.partition("/")[0]


def _listed(cells: Sequence[Cell]) -> str:
    """All cells in one pattern, as a shell would expand it, or the first of them."""
    parts = [str(cell).split("/") for cell in cells]
    axes = [list(dict.fromkeys(values)) for values in zip(*parts, strict=True)]
    if len(cells) == math.prod(map(len, axes)):
        return "/".join(f"{{{','.join(a)}}}" if len(a) > 1 else a[0] for a in axes)
    more = len(cells) - _LISTED_CELLS
    text = ", ".join(map(str, cells[:_LISTED_CELLS]))
    return f"{text} and {more} more, which --json lists" if more > 0 else text


def _data(run: ClaimRun, claim: Claim, cells: Sequence[Cell]) -> str:
    """``COVID-CT-Dataset (8, 32 bits), seed 0``."""
    titles: dict[str, dict[int, None]] = {}
    for cell in cells:
        title = run.context.heading_of(cell.dataset, cell.origin)
        titles.setdefault(title, {})[cell.bits] = None
    texts = [f"{title} ({_bits(bits)})" for title, bits in titles.items()]
    seeds = sorted({cell.seed for cell in cells})
    texts += [f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"] if seeds else []
    source = MEASURES[claim.measure].source
    own = [run.facts[source][cell] for cell in cells] if cells else []
    if source == "speed":
        texts += [f"timed on {name}" for name in sorted({each.machine for each in own})]
    if source == "lesions":
        sources = {f"{each.patches} patches, {SOURCES[each.source]}" for each in own}
        texts += [f"lesions: {text}" for text in sorted(sources)]
    return "; ".join(texts)


def _bits(lengths: Iterable[int]) -> str:
    return f"{', '.join(map(str, sorted(lengths)))} bits"


def _note(run: ClaimRun, data: str) -> str:
    """What is not as in the paper, where any number is used."""
    if not data or not run.claimed.other_settings:
        return ""
    names = ", ".join(run.claimed.other_settings[:_LISTED])
    more = len(run.claimed.other_settings) - _LISTED
    names += f" and {more} more" if more > 0 else ""
    return f"scale {run.context.scale} has other settings than the paper prints: {names}"
