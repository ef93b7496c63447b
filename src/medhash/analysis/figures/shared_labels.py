"""Queries of several labels and their first results, shared labels marked (OSDH Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.analysis.figures.contact_sheet import RESULTS, RIGHT, WRONG
from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import Context, bits_label
from medhash.data.prepared import PreparedDataset
from medhash.data.prepared_files import FILES
from medhash.papers.specs import Drawn, FigureSpec
from medhash.retrieval.reading import load
from medhash.retrieval.representation import Representation
from medhash.retrieval.search import drawn_order, nearest
from medhash.schema.base import Count
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

    from medhash.configuration.loading import Configuration

NOTE = (
    "On the left of each row the query, behind it its first results. ✓ and bold: labels that the "
    "query has too; the corner counts them. Queries are not picked: the first of two labels, of "
    "three and so on, and of one, in the order of the query set. Equal distances stand in an order "
    "drawn by lot."
)
_PANEL = 0.78
_LINE = 0.075
"""Height of a line of labels in inches."""
_PARTLY = "#4d9221"


@dataclass(frozen=True, eq=False)
class _Searched:
    """A cell's vectors, and the images that they are of."""

    vectors: Representation
    dataset: PreparedDataset


class Spec(FigureSpec):
    """Queries and their first results, with the labels of each.

    Cells are those of the first seed, one below the other, with the same queries.

    Attributes:
        examples: queries that it shows of each cell.
    """

    one_seed: ClassVar[bool] = True
    shows_scores: ClassVar[bool] = False
    shows_images: ClassVar[bool] = True

    kind: Literal["shared_labels"]
    examples: Count = 4

    def inputs(self, files: Configuration) -> list[Path]:
        """Records, codes and images."""
        cells, layout = self.cells(), files.layout
        names = [FILES[name] for name in ("images", "labels", "description")]
        folders = dict.fromkeys(map(files.data_of, cells))
        paths = [*map(layout.record, cells), *map(layout.codes, cells)]
        return paths + [folder / name for folder in folders for name in names]

    def drawn(self, facts: Sequence[Any], context: Context, files: Configuration) -> Drawn:
        """The first results of a few queries; a cell without a record is shown as not run."""
        ran = {each.cell for each in facts}
        axes = product(self.datasets, self.methods, self.variants, self.bits, self.seeds[:1])
        cells = [self.cell(*coordinates) for coordinates in axes]
        searched = {
            cell: _Searched(load(files.layout.codes(cell)), PreparedDataset(files.data_of(cell)))
            for cell in cells
            if cell in ran
        }
        points = first_results(
            {cell: each.vectors for cell, each in searched.items()},
            {cell: each.dataset.classes for cell, each in searched.items()},
            self.examples,
        )
        titles = (context.heading(self), context.details(self, facts), NOTE)
        return points, lambda: self._draw(cells, searched, points, context, titles)

    def _draw(
        self,
        cells: Sequence[Cell],
        searched: Mapping[Cell, _Searched],
        points: pd.DataFrame,
        context: Context,
        titles: Sequence[str],
    ) -> Figure:
        """One block of rows a cell."""
        texts = points[["query_labels", "labels"]].to_numpy().ravel() if len(points) else [""]
        lines = max(text.count("|") + 1 for text in texts)
        height = self.examples * (_PANEL + lines * _LINE + 0.06) + 0.3
        figure = titled_figure(_PANEL * (RESULTS + 1.4), height * len(cells), titles)
        blocks = figure.subfigures(len(cells), 1, squeeze=False)[:, 0]
        for cell, block in zip(cells, blocks, strict=True):
            title = context.paper.method_title(cell.method, cell.variant)
            dataset = context.paper.dataset_title(cell.dataset)
            block.suptitle(f"{dataset}: {title}, {bits_label(cell.bits)}", fontsize=8.5)
            panels = _panels(block, self.examples, lines)
            if cell not in searched:
                say_not_run(panels[0][RESULTS // 2], context.why_not_run(self, cell.dataset))
                continue
            own = points[points["cell"] == str(cell)].groupby("query")
            for number, (_, results) in enumerate(own):
                images = searched[cell].dataset.images
                _draw_row(panels[2 * number], panels[2 * number + 1], results, images, lines)
        return figure


def first_results(
    vectors: Mapping[Cell, Representation], classes: Mapping[Cell, Sequence[str]], examples: int
) -> pd.DataFrame:
    """The first results of some queries of each cell.

    Args:
        vectors: of each cell.
        classes: names of its label columns.
        examples: number of queries.

    Returns:
        One row a result: cell, query (its number, from 1), query_row, query_labels (joined by
        ``|``), rank from 1, result_row, distance, labels, shared (those of them that the query
        has) and shared_count.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for cell, own in vectors.items():
        names = np.asarray(classes[cell])
        order = drawn_order(str(cell).encode(), len(own.database_rows))
        for number, place in enumerate(chosen_queries(own.query_labels, examples), start=1):
            asked = own.query_labels[place] > 0
            ranking = nearest(
                own.query_vectors[place], own, min(RESULTS, len(own.database_rows)), order
            )
            for rank, item in enumerate(ranking.places, start=1):
                labels = own.database_labels[item] > 0
                rows.append(
                    {
                        "cell": str(cell),
                        "query": number,
                        "query_row": int(own.query_rows[place]),
                        "query_labels": "|".join(names[asked]),
                        "rank": rank,
                        "result_row": int(own.database_rows[item]),
                        "distance": ranking.distances[item].item(),
                        "labels": "|".join(names[labels]),
                        "shared": "|".join(names[labels & asked]),
                        "shared_count": int((labels & asked).sum()),
                    }
                )
    return pd.DataFrame(rows)


def chosen_queries(labels: NDArray[np.uint8], count: int) -> list[int]:
    """Places of some queries, from the numbers of labels in turn: two, three, …, and one last.

    Args:
        labels: uint8 (queries, C).
        count: how many.
    """
    sizes = labels.sum(axis=1)
    kinds = sorted(set(sizes.tolist()), key=lambda size: (size < 2, size))
    groups = [np.flatnonzero(sizes == size).tolist() for size in kinds]
    longest = max(map(len, groups), default=0)
    turns = [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
    return turns[:count]


def _panels(block: FigureBase, examples: int, lines: int) -> NDArray[Any]:
    """Axes (2 examples, 1 + RESULTS): a row of images above a row for their labels, by turns."""
    heights = [_PANEL, lines * _LINE] * examples
    grid = {"height_ratios": heights, "wspace": 0.03, "hspace": 0.02}
    panels: NDArray[Any] = block.subplots(
        2 * examples, RESULTS + 1, squeeze=False, gridspec_kw=grid
    )
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.set_frame_on(False)
    return panels


def _draw_row(
    panels: Sequence[Axes],
    below: Sequence[Axes],
    results: pd.DataFrame,
    images: NDArray[np.uint8],
    lines: int,
) -> None:
    """The query with its labels, then each result with its own."""
    first = results.iloc[0]
    asked = first["query_labels"].split("|")
    panels[0].imshow(images[first["query_row"]], interpolation="nearest")
    panels[0].set_ylabel("query", fontsize=6.5)
    _write_labels(below[0], asked, [], lines)
    for axes, text, result in zip(panels[1:], below[1:], results.to_dict("records"), strict=False):
        axes.imshow(images[result["result_row"]], interpolation="nearest")
        shared = result["shared"].split("|") if result["shared"] else []
        _frame(axes, len(shared), len(asked))
        _write_labels(text, result["labels"].split("|"), shared, lines)


def _frame(axes: Axes, shared: int, asked: int) -> None:
    """All of the query's labels, some or none: a colour, a width and a number."""
    colour = RIGHT if shared == asked else _PARTLY if shared else WRONG
    axes.set_frame_on(True)
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2 if shared == asked else 1.0)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    place = axes.transAxes
    axes.text(0.95, 0.06, f"{shared}", transform=place, color=colour, size=7, ha="right", bbox=box)


def _write_labels(axes: Axes, names: Sequence[str], shared: Sequence[str], lines: int) -> None:
    """One label a line, shared ones first."""
    ordered = [*shared, *(name for name in names if name not in shared)]
    for number, name in enumerate(ordered):
        own = name in shared
        axes.text(
            0.0,
            1.0 - number / lines,
            f"✓ {name}" if own else name,
            transform=axes.transAxes,
            size=4.8,
            va="top",
            color=RIGHT if own else "0.25",
            weight="bold" if own else "normal",
            in_layout=False,
        )
