"""A paper checked against itself: what it derives from its own printed numbers, recomputed.

Nothing here looks at a regenerated number. What is derived, and by which rule, is listed in
``config/papers/reported/<paper>.yaml``; the rules are in :mod:`medhash.verdicts.reported_rules`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from medhash.papers.reported import ReportedPaper
from medhash.verdicts.reported_rules import RULES, Check

_LISTED = 5


def check_reported(papers: Iterable[ReportedPaper]) -> list[Check]:
    """Recompute everything that the papers derive from their printed numbers.

    Returns:
        One entry a derived number or statement, in the order of the file.

    Raises:
        MedhashError: a derivation names a table or row that the paper does not have.
    """
    return [
        check
        for paper in papers
        for derived in paper.derived
        for check in RULES[derived.rule](derived, paper)
    ]


def check_text(checks: Sequence[Check]) -> str:
    """What does not follow, with remarks; then what follows, and what nothing decides."""
    wrong = [check for check in checks if check.follows is False]
    right = [check for check in checks if check.follows]
    left = [check for check in checks if check.follows is None]
    lines = [
        f"{len(wrong) + len(right)} derived numbers and statements recomputed from the printed "
        f"values: {len(wrong)} do not follow, {len(right)} follow.",
        "",
        "Does not follow from the printed values:",
        *("\n".join([_line(check), *_remarks(check)]) for check in wrong),
        "",
        "Checked, follows:",
        *map(_line, right),
    ]
    if left:
        lines += ["", "No printed number decides:", *map(_line_of_undecided, left)]
    return "\n".join(lines)


def check_json(checks: Sequence[Check]) -> str:
    """The same as JSON: ``checked``, ``not_following`` and the list ``checks``."""
    content = {
        "checked": sum(check.follows is not None for check in checks),
        "not_following": sum(check.follows is False for check in checks),
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)


def _line(check: Check) -> str:
    reading = f" (read: {check.reading})" if check.reading else ""
    return (
        f"  {check.paper}, {check.place}: {check.says}{reading}: "
        f"printed {check.printed}, recomputed {check.recomputed}"
    )


def _line_of_undecided(check: Check) -> str:
    return f"  {check.paper}, {check.place}: {check.says}: {check.note}"


def _remarks(check: Check) -> list[str]:
    more = len(check.exceptions) - _LISTED
    remarks = [
        *(f"not in {exception}" for exception in check.exceptions[:_LISTED]),
        *([f"and in {more} more, which --json lists"] if more > 0 else []),
        *([check.note] if check.note else []),
    ]
    return [f"    {remark}" for remark in remarks]
