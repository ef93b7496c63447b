"""A report for people: the chain of one number, or the sum of a whole scale."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from medhash.audit.findings import Finding, Link, Report, State
from medhash.schema.differences import flattened

WIDTH = 100
_MARKS = {State.VERIFIED: "ok     ", State.MISSING: "missing", State.BROKEN: "BROKEN "}
_INDENT = " " * 9
_LABEL = 9
_CHECK = 14
_SHORT = 12
# Names and reported numbers fill pages; the JSON has them.
_LEFT_OUT = ("names.", "reported.", "card.")
_EMPTY = ("null", "[]", "{}")


def as_text(report: Report) -> str:
    """The whole report as plain lines.

    One number or file is printed link by link; of a scale, only what is not verified, and how
    many links of each rule there are.
    """
    is_scale = report.target == f"results/{report.scale}"
    lines = list(_heading(report))
    if is_scale:
        lines += _sums(report)
        lines += _exceptions(report)
    else:
        for link in report.links:
            lines += ["", *_chain_link(link)]
    return "\n".join([*lines, *_noticed(report), "", *_verdict(report)])


def _heading(report: Report) -> Iterator[str]:
    yield f"audit of {report.target}"
    if report.number:
        number = report.number
        yield f"{number.text}   {number.row}, {number.column}"
        cells = ", ".join(number.cells) or "no cell: it has not run"
        yield from _wrapped(f"made from {cells}", "")


def _chain_link(link: Link) -> Iterator[str]:
    yield f"{link.name}: {link.state}"
    yield from _made(link.facts)
    yield from _archives(link.facts)
    for finding in link.findings:
        yield from _finding(finding, link)


def _made(facts: dict[str, Any]) -> Iterator[str]:
    """When, with what, by which code."""
    if not facts:
        return
    git, code = facts.get("git") or {}, facts.get("code") or {}
    commit = (git.get("commit") or "no commit")[:_SHORT]
    dirty = ", with changes that were not committed" if git.get("dirty") else ""
    seconds = facts.get("seconds")
    yield from _field("made", f"{facts.get('started')}, {seconds} s, at commit {commit}{dirty}")
    device = facts.get("device") or {}
    environment = facts.get("environment") or {}
    machine = [device.get("name") or device.get("type"), environment.get("platform")]
    machine += [f"Python {environment.get('python')}", f"torch {environment.get('torch')}"]
    yield from _field("on", ", ".join(str(part) for part in machine if part))
    if facts.get("slurm"):
        yield from _field("slurm", ", ".join(f"{k} {v}" for k, v in facts["slurm"].items()))
    settings = "; ".join(
        f"{key} {value}"
        for key, value in flattened(facts.get("settings") or {})
        if not key.startswith(_LEFT_OUT) and value not in _EMPTY
    )
    yield from _field("settings", settings or "none")
    modules = code.get("modules") or {}
    fingerprint = str(code.get("fingerprint"))[:_SHORT]
    yield from _field("code", f"{len(modules)} modules, fingerprint {fingerprint}")


def _archives(facts: dict[str, Any]) -> Iterator[str]:
    card = (facts.get("settings") or {}).get("card") or {}
    for archive in facts.get("archives") or []:
        yield from _field("archive", f"{archive['file']}, from {archive['source']}")
        yield from _field("", f"SHA-256 {archive['sha256']}")
    if facts.get("archives"):
        yield from _field("licence", str(card.get("licence")))


def _finding(finding: Finding, link: Link) -> Iterator[str]:
    start = f"{_MARKS[finding.state]}  {finding.check:{_CHECK}}"
    about_link = finding.subject in (link.name, f"{link.receipt}")
    subject = "" if about_link and finding.state != State.BROKEN else f"{finding.subject}: "
    yield from _wrapped(f"{start}{subject}{finding.text}", _INDENT + " " * _CHECK)
    details = {"expected": finding.expected, "found": finding.found, "do": finding.remedy}
    for label, text in details.items():
        if text:
            yield from _wrapped(f"{_INDENT}{label:{_CHECK}}{text}", _INDENT + " " * _CHECK)


def _field(label: str, text: str) -> Iterator[str]:
    yield from _wrapped(f"{label:{_LABEL}}{text}", " " * _LABEL)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _sums(report: Report) -> Iterator[str]:
    """Rule -> links by state."""
    yield f"{'':10}{'verified':>10}{'missing':>10}{'broken':>10}"
    for rule in dict.fromkeys(link.rule for link in report.links):
        own = [link.state for link in report.links if link.rule == rule]
        yield f"{rule:10}" + "".join(f"{own.count(state):>10}" for state in State)


def _exceptions(report: Report) -> Iterator[str]:
    for state in (State.BROKEN, State.MISSING):
        for link in report.links:
            findings = [finding for finding in link.findings if finding.state == state]
            if findings:
                yield ""
                yield f"{link.name}: {link.state}"
            for finding in findings:
                yield from _finding(finding, link)


def _noticed(report: Report) -> Iterator[str]:
    for text in report.noticed:
        yield ""
        yield from _wrapped(f"noticed  {text}", _INDENT)


def _verdict(report: Report) -> Iterator[str]:
    counts = report.counts
    parts = [f"{counts[state]} {state}" for state in State if counts[state]]
    yield f"{len(report.links)} links: {', '.join(parts)}; {report.seconds} s."
    if report.state == State.VERIFIED:
        yield "Everything is here and as it was made."
    if report.state == State.MISSING and counts[State.VERIFIED]:
        yield "All that is here is as it was made; not everything is here."
    elif report.state == State.MISSING:
        yield "Nothing was verified: no step has all its files here."
    if report.state == State.BROKEN:
        yield "Something is not as it was made: see the lines marked BROKEN, the last one first."
