"""Decided claims as CSV, Markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from medhash.analysis.tables.rendering import markdown_text
from medhash.files import text_of_csv, write_text
from medhash.verdicts.claims import VERDICTS, Decision, decide_claims
from medhash.verdicts.run import ClaimRun, load_runs

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

CSV_COLUMNS = (
    *("paper", "claim", "place", "says", "verdict", "reads", "evidence", "missing", "partial"),
    *("scale", "data", "tolerance", "reading", "rule", "needs", "note"),
)


READING = (
    "A claim is reproduced, or not, only at the paper's own scale and where everything that it is "
    "about has run: all datasets, methods and code lengths that the paper names. At another scale "
    "it holds, or does not, so far. Either is said only where the intervals over the seeds "
    "(Student's t, corrected for the number of cases) leave no other answer; one seed has none, "
    "and decides nothing but what chance has no part in. What a part says is listed, and is no "
    "verdict."
)
"""How verdicts are to be read."""


def run(configuration: Configuration, step: Step, job: Job) -> str:
    """Decide the claims of a step; how they came out, and the files."""
    runs = load_runs(configuration)
    decisions = decide_claims(runs)
    paths = [step.outputs["csv"], step.outputs["md"]]
    for path, text in zip(paths, (csv_text(decisions), markdown(decisions, runs)), strict=True):
        write_text(path, text)
    return "\n".join([summary_text(decisions), *map(str, paths)])


def csv_text(decisions: Sequence[Decision]) -> str:
    """One line a claim, columns :data:`CSV_COLUMNS`."""
    rows = ([getattr(each, column) for column in CSV_COLUMNS] for each in decisions)
    return text_of_csv(CSV_COLUMNS, rows)


def json_text(decisions: Sequence[Decision]) -> str:
    """Everything, with every case and every cell: ``counts`` and the list ``claims``."""
    content = {"counts": _counts(decisions), "claims": [asdict(each) for each in decisions]}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)


def summary_text(decisions: Sequence[Decision]) -> str:
    """How many claims have which verdict, and the decided ones, one line each."""
    decided = [each for each in decisions if each.verdict != "not run"]
    lines = [f"  {each.claim}: {each.reads}: {each.evidence}" for each in decided]
    return "\n".join([_headline(decisions), *lines])


def markdown(decisions: Sequence[Decision], runs: Sequence[ClaimRun]) -> str:
    """A page: verdict by verdict, then what no number decides."""
    parts = ["# Claims", _headline(decisions), *_notes(decisions)]
    for verdict in VERDICTS:
        chosen = [each for each in decisions if each.verdict == verdict]
        if chosen:
            parts += [f"## {verdict.capitalize()}", _table(chosen, ran=verdict != "not run")]
    parts += _undecided(runs)
    return "\n\n".join(parts) + "\n"


def _headline(decisions: Sequence[Decision]) -> str:
    scales = ", ".join(dict.fromkeys(each.scale for each in decisions))
    found = _counts(decisions).items()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found if count)
    return f"Scale {scales}: {len(decisions)} claims: {counts}."


def _counts(decisions: Sequence[Decision]) -> dict[str, int]:
    count = Counter(each.verdict for each in decisions)
    return {verdict: count[verdict] for verdict in VERDICTS}


def _notes(decisions: Sequence[Decision]) -> list[str]:
    notes = dict.fromkeys(each.note for each in decisions if each.note)
    return [READING, *(f"{markdown_text(note)}." for note in notes)]


def _table(decisions: Iterable[Decision], *, ran: bool) -> str:
    """A table whose source stays readable: no padding, as the texts are long."""
    heading = "Evidence" if ran else "So far, and what is missing"
    lines = [["Claim", "Place", "Says", heading, "Tolerance"], ["---"] * 5, *map(_cells, decisions)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(decision: Decision) -> list[str]:
    texts = (decision.place, _said(decision), _found(decision), decision.tolerance)
    return [f"`{decision.claim}`", *map(markdown_text, texts)]


def _said(decision: Decision) -> str:
    return decision.says + (f" (read: {decision.reading})" if decision.reading else "")


def _found(decision: Decision) -> str:
    parts = {
        "": ": ".join(filter(None, [_told(decision), decision.evidence])),
        "so far: ": decision.partial,
        "missing: ": decision.missing,
        "on ": decision.data,
    }
    return "<br>".join(label + text for label, text in parts.items() if text)


def _told(decision: Decision) -> str:
    """What the heading does not say."""
    return decision.reads if decision.verdict == "undecided" else ""


def _undecided(runs: Iterable[ClaimRun]) -> list[str]:
    texts = [
        f"{run.context.paper.paper.upper()}, {each.place}: {each.says}: {each.why}"
        for run in runs
        for each in run.claimed.claims.undecided
    ]
    if not texts:
        return []
    items = "\n".join(f"- {markdown_text(text)}" for text in texts)
    return ["## What no regenerated number decides", items]
