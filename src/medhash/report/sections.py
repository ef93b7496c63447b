"""Figures, leakage and claims of a run for the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from medhash.analysis.artefacts import context_of
from medhash.analysis.numbers.places import read_lines
from medhash.configuration.claimed import claimed_by
from medhash.errors import MedhashError
from medhash.flow.steps import Step
from medhash.papers.specs import FigureSpec
from medhash.report import markup
from medhash.report.numbers import audit_command
from medhash.report.receipts import Told
from medhash.stored import read_text, reading
from medhash.verdicts.claims import VERDICTS
from medhash.verdicts.texts import CSV_COLUMNS, READING


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that shows files of the run.

    Attributes:
        key: ``ach/fig7``.
        anchor: its element.
        title: what it shows.
        files: its files.
        missing: why there is nothing to show; empty if there is.
        changed: files that are not what their receipts say.
        command: what audits it.
    """

    key: str = ""
    anchor: str = ""
    title: str = ""
    files: tuple[str, ...] = ()
    missing: str = ""
    changed: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class FigureSection(Section):
    """A figure on the page.

    Attributes:
        data: the PNG as base64.
        size: width and height in pixels.
        cells: what it is drawn from.
        sha256: of the PNG, by its receipt.
    """

    data: str = ""
    size: tuple[int, int] = (0, 0)
    cells: tuple[str, ...] = ()
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class LeakageSection(Section):
    """A dataset's leakage table as HTML."""

    table: Markup = Markup("")  # noqa: RUF009 - immutable, as any text


@dataclass(frozen=True, kw_only=True)
class ClaimsSection(Section):
    """The verdicts.

    Attributes:
        counts: verdict -> claims, of the verdicts that there are.
        by_verdict: verdict -> the lines of ``claims.csv``.
        reading: how verdicts are to be read.
        undecided: what no regenerated number decides, in Markdown as ``claims.md`` has it.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    by_verdict: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    reading: str = ""
    undecided: Markup = Markup("")  # noqa: RUF009


def made(told: Told, step: Step, name: str, *shown: Path) -> dict[str, Any]:
    """What a section says of an output of its step, and of what else is shown, if it is there."""
    path = step.outputs[name]
    if not path.is_file():
        return {"missing": f"{path.as_posix()}: not made yet"}
    return {
        "files": tuple(file.as_posix() for file in step.outputs.values()),
        "changed": told.changed((path, *shown)),
        "command": audit_command(path),
    }


def figure_section(told: Told, spec: FigureSpec) -> FigureSection:
    """A figure with its picture inside.

    Raises:
        MedhashError: the picture is no PNG.
    """
    step = told.steps.of("figure", spec.key)
    path, title = step.outputs["png"], context_of(told.configuration, spec).heading(spec)
    section = FigureSection(
        key=spec.key, anchor=f"f-{spec.label}", title=title, **made(told, step, "png")
    )
    if section.missing:
        return section
    with reading(path):
        content = path.read_bytes()
    return replace(
        section,
        data=base64.b64encode(content).decode("ascii"),
        size=_size(path, content),
        cells=tuple(dict.fromkeys(maker.key for maker in told.steps.makers(step) if maker.cell)),
        sha256=told.sha256(path) or "",
    )


def leakage_section(told: Told, paper: str, dataset: str) -> LeakageSection:
    """What queries of a dataset can find without having learnt anything."""
    step = told.steps.of("leakage", paper, dataset)
    title = told.configuration.card(dataset).title
    section = LeakageSection(title=title, **made(told, step, "md"))
    if section.missing:
        return section
    _, _, body = read_text(step.outputs["md"]).partition("\n")
    return replace(section, table=markup.html(body))


def claims_section(told: Told) -> ClaimsSection:
    """The verdicts as the files say."""
    if not claimed_by(told.configuration):
        return ClaimsSection(missing="no paper of this run has a file of claims")
    step = told.steps.of("claims")
    section = ClaimsSection(**made(told, step, "csv", step.outputs["md"]))
    if section.missing:
        return section
    lines = read_lines(step.outputs["csv"], *CSV_COLUMNS)
    every = {str(v): [line for line in lines if line["verdict"] == v] for v in VERDICTS}
    by_verdict = {verdict: own for verdict, own in every.items() if own}
    return replace(
        section,
        counts={verdict: len(own) for verdict, own in by_verdict.items()},
        by_verdict=by_verdict,
        reading=READING,
        undecided=markup.html(_undecided(step.outputs["md"]), below=1),
    )


def _undecided(path: Path) -> str:
    """The last section of ``claims.md``, if there is any."""
    text = read_text(path) if path.is_file() else ""
    _, heading, after = text.partition("## What no regenerated number decides")
    return heading + after


def _size(path: Path, content: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            return image.size
    except OSError as error:
        raise MedhashError(f"{path}: is no PNG; make the figure again") from error
