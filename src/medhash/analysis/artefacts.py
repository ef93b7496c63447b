"""Any table or figure of a configuration, whatever it is made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.analysis.numbers.context import Context, select
from medhash.analysis.tables.rendering import PrintedTable
from medhash.configuration.loading import Configuration
from medhash.papers.reported import find_reported
from medhash.papers.specs import ArtefactSpec, FigureSpec, TableSpec
from medhash.records.sources import read_source

if TYPE_CHECKING:
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Make the table or figure of a step."""
    specs = configuration.tables if step.rule == "table" else configuration.figures
    spec: TableSpec | FigureSpec = specs[step.key]
    make_artefact(configuration, spec, step.outputs["csv"].with_suffix(""))


def make_artefact(
    configuration: Configuration, spec: TableSpec | FigureSpec, output_stem: Path
) -> list[Path]:
    """Make a table or figure from the files of cells that are there.

    Args:
        configuration: the run; its layout says where records and measurements lie.
        spec: the table or figure; the two may have the same name.
        output_stem: where it goes, without suffix.

    Returns:
        The paths that are written.

    Raises:
        MedhashError: see :func:`~medhash.analysis.tables.make.make_table`,
            :func:`~medhash.analysis.figures.make.make_figure`.
    """
    context = context_of(configuration, spec)
    facts = _facts_of(configuration, spec)
    if isinstance(spec, TableSpec):
        from medhash.analysis.tables.make import make_table

        return make_table(spec, facts, context, output_stem)
    from medhash.analysis.figures.make import make_figure

    return make_figure(spec, facts, context, output_stem, configuration)


def table_of(
    configuration: Configuration, spec: TableSpec
) -> tuple[list[dict[str, str]], PrintedTable]:
    """A table from the files of cells that are there: the rows of its CSV, and as printed.

    Raises:
        MedhashError: see :func:`~medhash.analysis.tables.make.make_table`.
    """
    context = context_of(configuration, spec)
    return spec.made(select(spec, _facts_of(configuration, spec), context), context)


def context_of(configuration: Configuration, spec: ArtefactSpec) -> Context:
    """What a table or figure has to know beside its records."""
    return Context(
        configuration.papers[spec.paper],
        configuration.scale,
        configuration.settings[spec.paper].shared.evaluation.protocol,
        reported=find_reported(spec.paper),
        run=configuration.run if configuration.is_named else "",
        files=configuration,
    )


def _facts_of(configuration: Configuration, spec: ArtefactSpec) -> list[Any]:
    return read_source(spec.source, spec.cells(), configuration.layout)
