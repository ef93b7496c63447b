"""Figures, leakage and claims of a run for the page."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from medhash.analysis.artefacts import context_of
from medhash.analysis.numbers.places import read_lines
from medhash.configuration.claimed import claimed_by
from medhash.errors import MedhashError
from medhash.papers.specs import FigureSpec
from medhash.report import markup
from medhash.report.numbers import audit_command
from medhash.report.receipts import Told
from medhash.stored import read_text, reading
from medhash.verdicts.claims import VERDICTS
from medhash.verdicts.texts import CSV_COLUMNS

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class FigureSection:
    """A figure on the page.

    Attributes:
        key: ``ach/fig7``.
        anchor: its element.
        caption: what it shows.
        data: the PNG as base64.
        width: in pixels.
        height: in pixels.
        cells: what it is drawn from.
        files: its files.
        sha256: of the PNG, by its receipt.
        missing: why there is nothing to show; empty if there is.
        changed: files that are not what their receipts say.
        command: what audits it.
    """

    key: str
    anchor: str
    caption: str
    data: str = ""
    width: int = 0
    height: int = 0
    cells: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    sha256: str = ""
    missing: str = ""
    changed: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class LeakageSection:
    """A dataset's leakage table as HTML, or why it is missing."""

    title: str
    table: Markup = Markup("")  # noqa: RUF009 - immutable, as any text
    missing: str = ""
    command: str = ""


@dataclass(frozen=True)
class ClaimsSection:
    """The verdicts.

    Attributes:
        counts: verdict -> claims.
        by_verdict: verdict -> the lines of ``claims.csv``.
        undecided: what no regenerated number decides, in Markdown as ``claims.md`` has it.
        missing: why there is nothing to show; empty if there is.
        changed: files that are not what their receipts say.
    """

    counts: Mapping[str, int]
    by_verdict: Mapping[str, list[dict[str, str]]]
    undecided: Markup = Markup("")  # noqa: RUF009
    missing: str = ""
    changed: tuple[str, ...] = ()


def figure_section(told: Told, spec: FigureSpec) -> FigureSection:
    """A figure with its picture inside.

    Raises:
        MedhashError: the picture is no PNG.
    """
    step = told.steps.of("figure", spec.key)
    path, anchor = step.outputs["png"], f"f-{spec.label}"
    caption = context_of(told.configuration, spec).heading(spec)
    if not path.is_file():
        missing = f"{path.as_posix()}: not made yet"
        return FigureSection(spec.key, anchor, caption, missing=missing)
    with reading(path):
        content = path.read_bytes()
    width, height = _size(path, content)
    makers = [maker for maker in told.steps.makers(step) if maker.cell]
    return FigureSection(
        spec.key,
        anchor,
        caption,
        base64.b64encode(content).decode("ascii"),
        width,
        height,
        tuple(dict.fromkeys(maker.key for maker in makers)),
        tuple(file.as_posix() for file in step.outputs.values()),
        told.sha256(path) or "",
        changed=told.changed((path,)),
        command=audit_command(path),
    )


def leakage_section(told: Told, paper: str, dataset: str) -> LeakageSection:
    """What queries of a dataset can find without having learnt anything."""
    path = told.steps.of("leakage", paper, dataset).outputs["md"]
    title = told.configuration.card(dataset).title
    if not path.is_file():
        return LeakageSection(title, missing=f"{path.as_posix()}: not made yet")
    _, _, body = read_text(path).partition("\n")
    return LeakageSection(title, markup.html(body), command=audit_command(path))


def claims_section(told: Told) -> ClaimsSection:
    """The verdicts as the files say."""
    if not claimed_by(told.configuration):
        return ClaimsSection({}, {}, missing="no paper of this run has a file of claims")
    outputs = told.steps.of("claims").outputs
    path = outputs["csv"]
    if not path.is_file():
        return ClaimsSection({}, {}, missing=f"{path.as_posix()}: not made yet")
    lines = read_lines(path, *CSV_COLUMNS)
    counted = Counter(line["verdict"] for line in lines)
    by_verdict = {str(v): [line for line in lines if line["verdict"] == v] for v in VERDICTS}
    return ClaimsSection(
        {verdict: counted[verdict] for verdict in VERDICTS},
        by_verdict,
        markup.html(_undecided(outputs["md"]), below=1),
        changed=told.changed(outputs.values()),
    )


def _undecided(path: Path) -> str:
    """The last section of ``claims.md``, if there is any."""
    text = read_text(path) if path.is_file() else ""
    _, heading, after = text.partition("## What no regenerated number decides")
    return heading + after


def _size(path: Path, content: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels, from its first chunk."""
    if not content.startswith(_PNG) or len(content) < 24:
        raise MedhashError(f"{path}: is no PNG; make the figure again")
    width, height = struct.unpack(">II", content[16:24])
    return width, height
