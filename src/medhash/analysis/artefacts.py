"""Any table or figure of a configuration, whatever it is made from."""

from __future__ import annotations

from pathlib import Path

from medhash.analysis.numbers.context import Context
from medhash.configuration.loading import Configuration
from medhash.papers.reported import find_reported
from medhash.papers.specs import ArtefactSpec, FigureSpec, TableSpec
from medhash.records.sources import read_source


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
    facts = read_source(spec.source, spec.cells(), configuration.layout)
    if isinstance(spec, TableSpec):
        from medhash.analysis.tables.make import make_table

        return make_table(spec, facts, context, output_stem)
    from medhash.analysis.figures.make import make_figure

    return make_figure(spec, facts, context, output_stem, configuration)


def context_of(configuration: Configuration, spec: ArtefactSpec) -> Context:
    """What a table or figure has to know beside its records."""
    return Context(
        configuration.papers[spec.paper],
        configuration.scale,
        configuration.settings[spec.paper].evaluation.protocol,
        reported=find_reported(spec.paper),
    )
