"""Any table or figure of a configuration, whatever it is made from."""

from __future__ import annotations

from pathlib import Path

from medhash.analysis.numbers.context import Context
from medhash.configuration.loading import Configuration
from medhash.papers.paper import ArtefactSpec, FigureSpec, TableSpec
from medhash.papers.reported import find_reported
from medhash.records.record import Record, load_records


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
    if isinstance(spec, TableSpec):
        return _make_table(configuration, spec, output_stem)
    return _make_figure(configuration, spec, output_stem)


def context_of(configuration: Configuration, spec: ArtefactSpec) -> Context:
    """What a table or figure has to know beside its records."""
    return Context(
        configuration.papers[spec.paper],
        configuration.scale,
        configuration.settings[spec.paper].evaluation.protocol,
        reported=find_reported(spec.paper),
    )


def _make_table(configuration: Configuration, spec: TableSpec, output_stem: Path) -> list[Path]:
    from medhash.analysis.tables.make import make_lesion_table, make_speed_table, make_table

    context = context_of(configuration, spec)
    if spec.kind == "fps":
        from medhash.analysis.tables.speed import load_measurements

        measurements = load_measurements(configuration.inputs_of(spec))
        return make_speed_table(spec, measurements, context, output_stem)
    if spec.kind == "lesion_retrieval":
        from medhash.records.lesions import load_lesion_searches

        searches = load_lesion_searches(configuration.inputs_of(spec))
        return make_lesion_table(spec, searches, context, output_stem)
    return make_table(spec, _records(configuration, spec), context, output_stem)


def _make_figure(configuration: Configuration, spec: FigureSpec, output_stem: Path) -> list[Path]:
    records, context = _records(configuration, spec), context_of(configuration, spec)
    if spec.is_picture:
        from medhash.analysis.figures.pictures import make_picture

        return make_picture(
            spec,
            records,
            configuration.layout,
            configuration.data_of,
            context,
            output_stem,
        )
    from medhash.analysis.figures.make import make_figure

    return make_figure(spec, records, context, output_stem)


def _records(configuration: Configuration, spec: ArtefactSpec) -> list[Record]:
    """The records of its cells that are there."""
    paths = [configuration.layout.record(cell) for cell in spec.cells()]
    return load_records(path for path in paths if path.is_file())
