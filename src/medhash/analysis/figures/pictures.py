"""Figures that show images or features of single cells (ACH Fig. 9, 11 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from medhash.analysis.figures.drawing import write_figure
from medhash.analysis.figures.explained import (
    draw_lesions,
    draw_salient_maps,
    draw_tsne,
    load_explained,
    mask_weights,
    salient_maps,
    tsne_points,
)
from medhash.analysis.figures.retrieved import choose_queries, draw_retrieved, retrieved_points
from medhash.analysis.numbers.context import Context, select
from medhash.configuration.paths import Layout
from medhash.papers.paper import FigureSpec
from medhash.records.lesions import load_lesion_patches
from medhash.records.record import Record
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell


def make_picture(
    spec: FigureSpec,
    records: Sequence[Record],
    layout: Layout,
    data_of: Callable[[Cell], Path],
    context: Context,
    output_stem: Path,
) -> list[Path]:
    """Write ``<output_stem>.pdf``, ``.png`` and ``.csv`` from the explanations of cells.

    Args:
        spec: which cells; one without an explanation is shown as not run.
        records: of the cells, for the lines above the panels.
        layout: where explanations and codes lie.
        data_of: gives the folder of a cell's dataset.
        context: names, scale and protocol.
        output_stem: path without suffix.

    Returns:
        The three paths.

    Raises:
        MedhashError: a damaged file, or a record of another scale or protocol.
    """
    chosen = select(spec, records, context)
    titles = (context.heading(spec), context.details(spec, chosen))
    axes = product(spec.datasets, spec.methods, spec.variants, spec.bits, spec.seeds[:1])
    cells = [Cell(spec.paper, *coordinates) for coordinates in axes]
    explained = {cell: load_explained(layout, cell, data_of(cell)) for cell in cells}
    if spec.kind == "salient_maps":
        points = salient_maps(spec, explained, context)
        return write_figure(
            lambda: draw_salient_maps(spec, explained, context, titles), points, output_stem
        )
    if spec.kind == "lesions":
        points = mask_weights(spec, explained, context)
        return write_figure(
            lambda: draw_lesions(spec, explained, context, titles), points, output_stem
        )
    if spec.kind == "tsne":
        points = tsne_points(spec, explained, context)
        return write_figure(
            lambda: draw_tsne(spec, explained, context, titles, points), points, output_stem
        )
    codes = {cell: Codes.load(layout.codes(cell)) for cell, found in explained.items() if found}
    patches = {
        cell: load_lesion_patches(layout, cell) for cell in codes if spec.queries == "lesions"
    }
    queries = choose_queries(spec, explained, codes, patches)
    points = retrieved_points(queries, codes)
    reasons = {
        cell.dataset: own.reason if own else "not searched with patches yet"
        for cell, own in patches.items()
    }
    return write_figure(
        lambda: draw_retrieved(spec, queries, points, explained, reasons, context, titles),
        points,
        output_stem,
    )
