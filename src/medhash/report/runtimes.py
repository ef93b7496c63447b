"""How long the steps took, on what, and with which versions, as the receipts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from medhash.flow.receipts import Receipt
from medhash.flow.steps import Step
from medhash.report.chain import commit_of, device_of
from medhash.report.receipts import Told

_SLOWEST = 10


class RuleRuntime(NamedTuple):
    """The steps of one rule on one device; times in seconds."""

    rule: str
    device: str
    steps: int
    total: float
    median: float
    longest: float


class Slow(NamedTuple):
    """A step that took long; time in seconds."""

    step: str
    device: str
    seconds: float


class Ran(NamedTuple):
    """What some steps ran in."""

    steps: int
    commit: str
    python: str
    torch: str
    timm: str
    numpy: str
    platform: str
    lock: str


@dataclass(frozen=True)
class Runtimes:
    """Times of a run.

    Attributes:
        done: steps with a receipt.
        steps: all steps but the report.
        seconds: their sum.
        by_rule: by rule and device, in the order of the flow.
        slowest: the ten steps that took longest.
        environments: versions and commits, those of most steps first.
    """

    done: int
    steps: int
    seconds: float
    by_rule: tuple[RuleRuntime, ...]
    slowest: tuple[Slow, ...]
    environments: tuple[Ran, ...]


def runtimes(told: Told) -> Runtimes:
    """Sum up the receipts of a run."""
    read = [(step, receipt) for step, receipt in told.receipts.items() if receipt]
    return Runtimes(
        len(read),
        len(told.receipts),
        sum(receipt.get("seconds", 0.0) for _, receipt in read),
        tuple(_by_rule(read)),
        tuple(_slowest(read)),
        tuple(_environments(receipt for _, receipt in read)),
    )


def _by_rule(read: Iterable[tuple[Step, Receipt]]) -> list[RuleRuntime]:
    groups: dict[tuple[str, str], list[float]] = {}
    for step, receipt in read:
        seconds = receipt.get("seconds", 0.0)
        groups.setdefault((step.rule, device_of(receipt)), []).append(seconds)
    return [
        RuleRuntime(*group, len(times), sum(times), median(times), max(times))
        for group, times in groups.items()
    ]


def _slowest(read: Iterable[tuple[Step, Receipt]]) -> list[Slow]:
    every = [Slow(str(s), device_of(receipt), receipt.get("seconds", 0.0)) for s, receipt in read]
    return sorted(every, key=lambda slow: (-slow.seconds, slow.step))[:_SLOWEST]


def _environments(receipts: Iterable[Receipt]) -> list[Ran]:
    counted = Counter(map(_environment, receipts))
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Ran(count, *told) for told, count in ordered]


def _environment(receipt: Receipt) -> tuple[str, ...]:
    told = receipt.get("environment") or {}
    versions = [str(told.get(name) or "–") for name in ("python", "torch", "timm", "numpy")]
    lock = str(told.get("lock_sha256") or "–")[:12]
    return (commit_of(receipt), *versions, str(told.get("platform") or "–"), lock)
