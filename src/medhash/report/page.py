"""``report.html``: everything about a run in one file that needs no other.

Pictures are embedded, styles and script are part of the page, and its content security policy
lets it load nothing. Every regenerated number links to what it is made from, as the receipts of
the run say; ``medhash audit`` checks what they say. The same files give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from medhash.configuration.dependencies import FIDELITY, TEMPLATES
from medhash.configuration.loading import Configuration
from medhash.files import write_text
from medhash.flow.steps import Step, Steps
from medhash.report import markup
from medhash.report.chain import chains, dataset_anchor, dataset_facts
from medhash.report.flow import flow
from medhash.report.numbers import cell_anchor
from medhash.report.receipts import Told
from medhash.report.runtimes import runtimes
from medhash.report.sections import claims_section, figure_section, leakage_section
from medhash.report.tables import table_section
from medhash.stored import read_text

if TYPE_CHECKING:
    from medhash.flow.running import Job


def run(configuration: Configuration, step: Step, job: Job) -> str:
    """Write the page of a step; its path, and what it shows that is not as it was made."""
    path, steps = step.outputs["page"], Steps(configuration)
    write_text(path, report_html(configuration, steps))
    shown = [each for each in step.inputs.values() if steps.making(each)]
    changed = Told(configuration, steps).changed(shown)
    return "\n".join([str(path), *(f"Not as recorded: {text}" for text in changed)])


def report_html(configuration: Configuration, steps: Steps) -> str:
    """The page; what is not there yet is said to be missing.

    Raises:
        MedhashError: a file of the run cannot be read.
    """
    told = Told(configuration, steps)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    tables = [table_section(told, spec) for spec in configuration.tables.values()]
    figures = [figure_section(told, spec) for spec in configuration.figures.values()]
    return environment.get_template("report.html.j2").render(
        scale=configuration.label,
        option=configuration.option,
        papers={name: paper.title for name, paper in configuration.papers.items()},
        phantoms=configuration.phantoms is not None,
        css=_inline("report.css"),
        script=_inline("report.js"),
        claims=claims_section(told),
        tables=tables,
        figures=figures,
        anchors={f.key: f.anchor for f in figures} | {t.key: t.anchor for t in tables},
        leakage=[leakage_section(told, *view) for view in configuration.views],
        fidelity=_fidelity(),
        fidelity_path=FIDELITY.as_posix(),
        flow=flow(told),
        runtimes=runtimes(told),
        chains=chains(told),
        datasets=dataset_facts(told),
        cell_anchor=cell_anchor,
        dataset_anchor=dataset_anchor,
    )


def _inline(name: str) -> Markup:
    """Styles or script of the package, as they are."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own text


def _fidelity() -> Markup | None:
    """The choices where papers are silent; None where the documentation is not here."""
    if not FIDELITY.is_file():
        return None
    _, _, body = read_text(FIDELITY).partition("\n")
    return markup.html(body, below=1)
