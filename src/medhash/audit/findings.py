"""What an audit says: findings about files, gathered in links, one link a step of the flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from medhash.schema import differences as trees

SCHEMA = 1

LAST_BITS = 1e-9
"""Sums on another machine may differ by their last bits: by this much of their size, or of 1."""

differences = partial(trees.differences, tolerance=LAST_BITS)
"""Where what stands in a file is not what it should be."""


class State(StrEnum):
    """What became of something that was to be checked."""

    VERIFIED = "verified"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        state: how it came out; ``missing``: it could not be checked, because a file is not here.
        check: what kind of check, one word or two that scripts can rely on (``output``, ``code``).
        subject: the file or the step that it is about.
        text: what was found out, for people.
        expected: what should be there; only where something is broken.
        found: what is there instead.
        remedy: what to do.
    """

    state: State
    check: str
    subject: str
    text: str
    expected: str = ""
    found: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Link:
    """One step of the chain: what it made, from what, and what was checked of it.

    Attributes:
        rule: the step's rule.
        key: which of the rule's steps.
        receipt: where its receipt lies.
        inputs: name -> path and SHA-256 as the receipt says.
        outputs: name -> path and SHA-256 as the receipt says.
        facts: the rest of the receipt: settings, code, archives, environment, git, device, times.
        findings: in the order of the checks.
    """

    rule: str
    key: str
    receipt: str
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """Rule and key."""
        return f"{self.rule} {self.key}"

    @property
    def state(self) -> State:
        """The worst of the findings."""
        return worst(finding.state for finding in self.findings)


@dataclass(frozen=True)
class PrintedNumber:
    """One cell of a printed table or one curve of a figure.

    Attributes:
        row: the row's title.
        column: the column's title.
        text: what is printed there; several lines of the CSV are joined by commas.
        cells: the texts of the cells that it is made of.
    """

    row: str
    column: str
    text: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of an audit.

    Attributes:
        scale: name of the scale.
        target: what was audited: a path, or ``results/<run>``.
        links: from what is printed back to the archives.
        number: the printed number, if one was asked for.
        seconds: how long the audit took.
        noticed: what is not wrong by itself and should be known: cells of equal codes; in a whole
            run, files that no step made.
    """

    scale: str
    target: str
    links: tuple[Link, ...]
    number: PrintedNumber | None = None
    seconds: float = 0.0
    noticed: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst of the links."""
        return worst(link.state for link in self.links)

    @property
    def counts(self) -> dict[State, int]:
        """How many links came out in which way."""
        counted = Counter(link.state for link in self.links)
        return {state: counted[state] for state in State}

    def as_json(self) -> dict[str, Any]:
        """The whole report for scripts: its parts as plain values; keys are only ever added."""
        tree = asdict(self) | {"schema": SCHEMA, "state": str(self.state)}
        tree["counts"] = {str(state): count for state, count in self.counts.items()}
        for told, link in zip(tree["links"], self.links, strict=True):
            told["state"] = str(link.state)
        return tree

    def findings(self, state: State) -> list[tuple[Link, Finding]]:
        """All findings of one state, with their links."""
        return [(link, f) for link in self.links for f in link.findings if f.state == state]


def worst(states: Iterable[State]) -> State:
    """Broken before missing before verified; nothing at all is missing."""
    found = set(states)
    for state in (State.BROKEN, State.MISSING, State.VERIFIED):
        if state in found:
            return state
    return State.MISSING


def verified(check: str, subject: object, text: str) -> Finding:
    """Something that was checked and is as it should be."""
    return Finding(State.VERIFIED, check, _text(subject), text)


def missing(check: str, subject: object, text: str, remedy: str = "") -> Finding:
    """Something that could not be checked, because it is not here."""
    return Finding(State.MISSING, check, _text(subject), text, remedy=remedy)


def broken(
    check: str, subject: object, text: str, *, expected: str = "", found: str = "", remedy: str = ""
) -> Finding:
    """Something that is not as it should be."""
    return Finding(State.BROKEN, check, _text(subject), text, expected, found, remedy)


def settled(
    check: str,
    subject: object,
    problems: Sequence[str],
    text: str,
    remedy: str = "",
    what: str = "",
) -> Finding:
    """Something with problems, which are listed behind ``what``, or as it should be."""
    if problems:
        return broken(check, subject, what + listed(problems), remedy=remedy)
    return verified(check, subject, text)


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few of many things, and how many more there are."""
    more = len(names) - most
    return "; ".join(names[:most]) + (f"; and {more} more" if more > 0 else "")


def _text(subject: object) -> str:
    as_posix = getattr(subject, "as_posix", None)
    return as_posix() if as_posix else str(subject)
