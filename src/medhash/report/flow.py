"""The flow as a picture: one box a rule, with how many of its steps are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from medhash.report.receipts import Told

_BOX = 112, 46
_GAP = 58, 18
_MARGIN = 8


@dataclass(frozen=True)
class Box:
    """A rule: its place in pixels and how many of its steps left a receipt."""

    rule: str
    x: int
    y: int
    done: int
    steps: int


@dataclass(frozen=True)
class Flow:
    """The picture.

    Attributes:
        width: in pixels.
        height: in pixels.
        box: width and height of a box.
        boxes: one a rule.
        lines: an SVG path from each rule to those that read what it makes, left out where a way
            over other rules leads there, too.
    """

    width: int
    height: int
    box: tuple[int, int]
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def flow(told: Told) -> Flow:
    """Rules from left to right: each stands right of all that it reads from."""
    steps = Counter(step.rule for step in told.receipts)
    done = Counter(step.rule for step, receipt in told.receipts.items() if receipt)
    reads: dict[str, set[str]] = {rule: set() for rule in steps}
    for step in told.receipts:
        reads[step.rule] |= {maker.rule for maker in told.steps.makers(step)} - {step.rule}
    levels = _levels(reads)
    columns: dict[int, list[str]] = {}
    for rule in sorted(steps, key=lambda rule: (levels[rule], rule)):
        columns.setdefault(levels[rule], []).append(rule)
    tallest = max(map(len, columns.values()), default=0)
    boxes = {
        rule: Box(rule, *_place(level, row, len(rules), tallest), done[rule], steps[rule])
        for level, rules in columns.items()
        for row, rule in enumerate(rules)
    }
    lines = [_line(boxes[maker], boxes[rule]) for maker, rule in _direct(reads)]
    return Flow(
        len(columns) * (_BOX[0] + _GAP[0]) - _GAP[0] + 2 * _MARGIN,
        tallest * (_BOX[1] + _GAP[1]) - _GAP[1] + 2 * _MARGIN,
        _BOX,
        tuple(boxes.values()),
        tuple(lines),
    )


def _levels(reads: Mapping[str, set[str]]) -> dict[str, int]:
    """Rule -> length of the longest way to it; rules never read from each other in a circle."""
    levels: dict[str, int] = {}

    def level(rule: str) -> int:
        if rule not in levels:
            levels[rule] = max((level(maker) + 1 for maker in reads[rule]), default=0)
        return levels[rule]

    for rule in reads:
        level(rule)
    return levels


def _direct(reads: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """The pairs between which there is no longer way."""

    def behind(rule: str) -> set[str]:
        return reads[rule].union(*map(behind, reads[rule]))

    return [
        (maker, rule)
        for rule, makers in reads.items()
        for maker in sorted(makers)
        if not any(maker in behind(other) for other in makers)
    ]


def _place(level: int, row: int, rows: int, tallest: int) -> tuple[int, int]:
    """Upper left corner of a box; short columns stand in the middle."""
    x = _MARGIN + level * (_BOX[0] + _GAP[0])
    shift = (tallest - rows) * (_BOX[1] + _GAP[1]) // 2
    return x, _MARGIN + row * (_BOX[1] + _GAP[1]) + shift


def _line(start: Box, end: Box) -> str:
    x0, y0 = start.x + _BOX[0], start.y + _BOX[1] // 2
    x1, y1 = end.x, end.y + _BOX[1] // 2
    bend = _GAP[0] // 2
    return f"M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"
