"""Figures as files: PDF, PNG and, with the points that are drawn, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.analysis.figures.drawing import write_pictures
from medhash.analysis.numbers.context import Context, select
from medhash.analysis.numbers.statistics import is_p_value
from medhash.files import write_text
from medhash.papers.specs import FigureSpec

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration


def make_figure(
    spec: FigureSpec,
    facts: Sequence[Any],
    context: Context,
    output_stem: Path,
    files: Configuration,
) -> list[Path]:
    """Write ``<output_stem>.pdf``, ``.png`` and ``.csv``.

    Args:
        spec: the grid; a panel without any record says that it did not run.
        facts: at least those records of its cells that exist; others are ignored.
        context: names, scale and protocol.
        output_stem: path without suffix, such as ``results/small/ach/figures/fig7``.
        files: where images, codes and explanations of the cells lie.

    Returns:
        The three paths.

    Raises:
        MedhashError: a record of another scale or protocol, or a damaged file. Nothing is
            written then.
    """
    points, draw = spec.drawn(select(spec, facts, context), context, files)
    paths = [output_stem.with_name(f"{output_stem.name}.{each}") for each in ("pdf", "png", "csv")]
    write_pictures(draw, *paths[:2])
    p_values = {
        name: points[name].map("{:.6e}".format, na_action="ignore")
        for name in map(str, points)
        if is_p_value(name)
    }
    told = points.assign(**p_values)
    write_text(paths[2], told.to_csv(index=False, lineterminator="\n", float_format="%.8f"))
    return paths
