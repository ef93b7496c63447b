"""Tables from records: the numbers as CSV, and the same printed as Markdown and LaTeX.

Percentages and percentage points throughout, as the papers print. Marks, differences and counts
of wins are taken from the printed digits, so that a reader can follow them from the table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from medhash.analysis.numbers.context import Context, select
from medhash.analysis.tables.confounding import confounding_table
from medhash.analysis.tables.lesions import lesion_table
from medhash.analysis.tables.map import map_table
from medhash.analysis.tables.reasoning import reasoning_table
from medhash.analysis.tables.rendering import PrintedTable, latex, markdown
from medhash.analysis.tables.speed import Measurement, speed_table
from medhash.analysis.tables.transfer import transfer_table
from medhash.analysis.tables.wilcoxon import wilcoxon_table
from medhash.files import write_text
from medhash.papers.paper import TableSpec
from medhash.records.lesions import LesionSearch, NoSearch
from medhash.records.record import Record

TableBuilder = Callable[[TableSpec, Sequence[Record], Context], tuple[pd.DataFrame, PrintedTable]]

BUILDERS: dict[str, TableBuilder] = {
    "map": map_table,
    "wilcoxon": wilcoxon_table,
    "transfer": transfer_table,
    "reasoning": reasoning_table,
    "confounding": confounding_table,
}
"""Kind of table -> what builds its CSV (all values text) and its printed form."""


def make_table(
    spec: TableSpec, records: Sequence[Record], context: Context, output_stem: Path
) -> list[Path]:
    """Write ``<output_stem>.csv``, ``.md`` and ``.tex``.

    Args:
        spec: the grid; places without a record are printed as not run.
        records: at least those of the grid that exist; others are ignored.
        context: names, scale and protocol.
        output_stem: path without suffix, such as ``results/small/ach/tables/table3``.

    Returns:
        The three paths.

    Raises:
        MedhashError: a record of another scale or protocol, or compared records whose queries
            differ. Nothing is written then.
    """
    frame, printed = BUILDERS[spec.kind](spec, select(spec, records, context), context)
    return _write(frame, printed, spec, output_stem)


def make_speed_table(
    spec: TableSpec, measurements: Sequence[Measurement], context: Context, output_stem: Path
) -> list[Path]:
    """The same for kind ``fps``, which is made from measurements instead of records."""
    return _write(*speed_table(spec, measurements, context), spec, output_stem)


def make_lesion_table(
    spec: TableSpec,
    searches: Sequence[LesionSearch | NoSearch],
    context: Context,
    output_stem: Path,
) -> list[Path]:
    """The same for kind ``lesion_retrieval``, which is made from searches with patches."""
    return _write(*lesion_table(spec, searches, context), spec, output_stem)


def _write(
    frame: pd.DataFrame, printed: PrintedTable, spec: TableSpec, output_stem: Path
) -> list[Path]:
    texts = {
        ".csv": frame.to_csv(index=False, lineterminator="\n"),
        ".md": markdown(printed),
        ".tex": latex(printed, spec.label),
    }
    paths = [output_stem.with_name(output_stem.name + suffix) for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
