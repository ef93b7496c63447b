"""A report as JSON, for scripts: schema 1, keys are only ever added."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from medhash.audit.findings import Link, Report

SCHEMA = 1


def as_json(report: Report) -> dict[str, Any]:
    """The whole report as plain values.

    Returns:
        ``schema``, ``scale``, ``target``, ``state``, ``counts`` (links by state), ``number`` (or
        null), ``seconds`` and ``links``: each with ``rule``, ``key``, ``receipt``, ``state``,
        ``inputs``, ``outputs``, ``facts`` and ``findings``: each with ``state``, ``check``,
        ``subject``, ``text``, ``expected``, ``found`` and ``remedy``.
    """
    return {
        "schema": SCHEMA,
        "scale": report.scale,
        "target": report.target,
        "state": str(report.state),
        "counts": {str(state): count for state, count in report.counts.items()},
        "number": asdict(report.number) if report.number else None,
        "seconds": report.seconds,
        "links": [_link(link) for link in report.links],
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "rule": link.rule,
        "key": link.key,
        "receipt": link.receipt,
        "state": str(link.state),
        "inputs": link.inputs,
        "outputs": link.outputs,
        "facts": link.facts,
        "findings": [asdict(f) | {"state": str(f.state)} for f in link.findings],
    }
