"""Queries and their first results, right and wrong ones framed (ACH Fig. 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medhash.analysis.contact_sheet import RESULTS, draw_query, draw_result, row_panels
from medhash.analysis.context import Context
from medhash.analysis.drawing import say_not_run, titled_figure
from medhash.analysis.explained import Explained
from medhash.configuration.grid import Cell
from medhash.configuration.papers import FigureSpec
from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTE = "On the left of each row the query; ties in Hamming distance stand in database order."


def retrieved_points(
    spec: FigureSpec,
    explained: Mapping[Cell, Explained | None],
    codes: Mapping[Cell, Codes],
) -> pd.DataFrame:
    """The first results of the example queries; the same queries for every cell of a dataset.

    Returns:
        One row a result: cell, query_row, rank from 1, result_row, distance, relevant (0/1).
    """
    rows: list[dict[str, Any]] = []
    for cell, found in explained.items():
        if found is None:
            continue
        own = codes[cell]
        for place in found.examples(spec.examples):
            row = int(found.arrays["rows"][place])
            index = int(np.flatnonzero(own.query_rows == row)[0])
            rows += [{"cell": str(cell), "query_row": row} | each for each in _results(own, index)]
    return pd.DataFrame(rows)


def draw_retrieved(
    spec: FigureSpec,
    points: pd.DataFrame,
    explained: Mapping[Cell, Explained | None],
    context: Context,
    titles: Sequence[str],
) -> Figure:
    """Datasets side by side; the baseline's rows above, below the same queries of the others."""
    datasets = list(dict.fromkeys(cell.dataset for cell in explained))
    lines = len(explained) // max(len(datasets), 1) * spec.examples
    width = 0.62 * (RESULTS + 1.6)
    figure = titled_figure(width * len(datasets) + 0.6, 0.8 * lines + 0.3, [*titles, NOTE])
    blocks = figure.subfigures(1, len(datasets), squeeze=False)[0]
    for dataset, block in zip(datasets, blocks, strict=True):
        block.suptitle(context.paper.dataset_title(dataset), fontsize=8.5)
        panels = row_panels(block, lines)
        line = iter(panels)
        for cell in (cell for cell in explained if cell.dataset == dataset):
            _draw_cell(cell, [next(line) for _ in range(spec.examples)], points, explained, context)
        if not any(explained[cell] for cell in explained if cell.dataset == dataset):
            say_not_run(panels[0][RESULTS // 2], context.why_not_run(spec, dataset))
    return figure


def _results(codes: Codes, query: int) -> list[dict[str, Any]]:
    hamming = distances(codes.query_codes[query : query + 1], codes.database_codes)[0]
    first = np.argsort(hamming, kind="stable")[:RESULTS]
    shared = codes.database_labels[first] @ codes.query_labels[query]
    return [
        {
            "rank": rank,
            "result_row": int(codes.database_rows[item]),
            "distance": int(hamming[item]),
            "relevant": int(common > 0),
        }
        for rank, (item, common) in enumerate(zip(first, shared, strict=True), start=1)
    ]


def _draw_cell(
    cell: Cell,
    lines: Sequence[Any],
    points: pd.DataFrame,
    explained: Mapping[Cell, Explained | None],
    context: Context,
) -> None:
    """One row of panels a query: the query, then its results."""
    found = explained[cell]
    if found is None:
        return
    own = points[points["cell"] == str(cell)]
    for line, (row, results) in zip(lines, own.groupby("query_row", sort=False), strict=False):
        query = int(str(row))
        draw_query(line[0], found.images[query], found.class_name(query))
        for axes, result in zip(line[1:], results.itertuples(), strict=False):
            image = found.images[int(str(result.result_row))]
            draw_result(axes, image, relevant=bool(result.relevant))
    title = context.paper.method_title(cell.method, cell.variant)
    lines[0][0].set_title(title, fontsize=7.5, loc="left")
    lines[0][1].set_title(f"     first {RESULTS} results", fontsize=7, loc="left")
