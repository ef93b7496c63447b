"""Tables as files: the numbers as CSV, and the same printed as Markdown and LaTeX.

Percentages and percentage points throughout, as the papers print. Marks, differences and counts
of wins are taken from the printed digits, so that a reader can follow them from the table itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medhash.analysis.numbers.context import Context, select
from medhash.analysis.tables.rendering import latex, markdown
from medhash.files import text_of_csv, write_text
from medhash.papers.specs import TableSpec


def make_table(
    spec: TableSpec, facts: Sequence[Any], context: Context, output_stem: Path
) -> list[Path]:
    """Write ``<output_stem>.csv``, ``.md`` and ``.tex``.

    Args:
        spec: the grid; places without a file are printed as not run.
        facts: at least those files of its cells that exist, read; others are ignored.
        context: names, scale and protocol.
        output_stem: path without suffix, such as ``results/small/ach/tables/table3``.

    Returns:
        The three paths.

    Raises:
        MedhashError: a file of another scale or protocol, or compared records whose queries
            differ. Nothing is written then.
    """
    rows, printed = spec.made(select(spec, facts, context), context)
    texts = {
        ".csv": text_of_csv(rows[0], ([row[name] for name in rows[0]] for row in rows)),
        ".md": markdown(printed),
        ".tex": latex(printed, spec.label),
    }
    paths = [output_stem.with_name(output_stem.name + suffix) for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
