"""A query and its first results, with masks and an attribute of each (Y-Net Figs. 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from medhash.analysis.figures.contact_sheet import draw_result
from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.figures.explained import (
    Attribute,
    bare,
    borders_text,
    masks_of,
    outline,
    write_beside,
)
from medhash.analysis.numbers.context import Context
from medhash.data.prepared import PreparedDataset
from medhash.data.prepared_files import FILES, MASKS
from medhash.errors import MedhashError
from medhash.papers.specs import Drawn, FigureSpec, Name
from medhash.retrieval.reading import load
from medhash.retrieval.representation import Representation
from medhash.retrieval.search import drawn_order, nearest
from medhash.schema.base import Count, StrictModel
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.loading import Configuration

NOTE = (
    "On the left the query: the first of its class in the query set, picked by nobody. ✓ and "
    "green: a result of that class; ✗ and red: of another. Equal distances stand in an order drawn "
    "by lot. By chance: what a random order of the database would give."
)
_PANEL = 1.2
_RING = 0.06
"""Radius around a marked point, as a share of the image's side."""


class Point(StrictModel):
    """Where the index of a dataset marks a point in each image.

    Attributes:
        title: what lies there.
        x: its column that counts from the left.
        y: its column that counts from the top.
        side: what both would be at the lower right corner.
    """

    title: str
    x: Name = "x"
    y: Name = "y"
    side: float


@dataclass(frozen=True, eq=False)
class _Searched:
    """A cell's vectors, and the images that they are of."""

    vectors: Representation
    dataset: PreparedDataset


class Spec(FigureSpec):
    """The first results of single queries, one row a query and cell of the first seed.

    Attributes:
        query_class: of the queries.
        examples: queries of each dataset.
        results: of each query.
        attribute: what is shown of each image.
        point: marked by a ring in each image.
    """

    one_seed: ClassVar[bool] = True
    shows_scores: ClassVar[bool] = False
    shows_images: ClassVar[bool] = True

    kind: Literal["retrieved_masks"]
    query_class: str
    examples: Count = 1
    results: Count = 5
    attribute: Attribute | None = None
    point: Point | None = None

    def inputs(self, files: Configuration) -> list[Path]:
        """Records, codes, images, masks and the index."""
        cells, layout = self.cells(), files.layout
        folders = dict.fromkeys(map(files.data_of, cells))
        paths = [*map(layout.record, cells), *map(layout.codes, cells)]
        return paths + [folder / name for folder in folders for name in (*FILES.values(), MASKS)]

    def drawn(self, facts: Sequence[Any], context: Context, files: Configuration) -> Drawn:
        """The first results of each cell with a record.

        Raises:
            MedhashError: a dataset has no masks, no such class or column, or no query of the
                class.
        """
        import pandas as pd

        cells = [each.cell for each in facts]
        searched = {
            cell: _Searched(load(files.layout.codes(cell)), PreparedDataset(files.data_of(cell)))
            for cell in cells
        }
        rows = [row for cell, own in searched.items() for row in self._results(cell, own)]
        points = pd.DataFrame(rows)
        titles = (context.heading(self), self.details(facts, context), NOTE)
        return points, lambda: self._draw(searched, points, context, titles)

    def _results(self, cell: Cell, own: _Searched) -> list[dict[str, Any]]:
        """One row a result.

        Columns: cell, query (from 1), query_row, query_value, rank (from 1), result_row, class,
        distance, relevant (0/1), value, expected_relevant, expected_gap (both of a random item).
        """
        vectors, dataset = own.vectors, own.dataset
        masks_of(dataset)
        values = dataset.numbers(self.attribute.column) if self.attribute else None
        order = drawn_order(str(cell).encode(), len(vectors.database_rows))
        rows = []
        for number, place in enumerate(self._queries(own), start=1):
            query = int(vectors.query_rows[place])
            right = vectors.database_labels @ vectors.query_labels[place] > 0
            common = {"cell": str(cell), "query": number, "query_row": query}
            expected = {"expected_relevant": float(right.mean())}
            if values is not None:
                common["query_value"] = values[query]
                gaps = np.abs(values[vectors.database_rows] - values[query])
                expected["expected_gap"] = float(gaps.mean())
            ranking = nearest(vectors.query_vectors[place], vectors, self.results, order)
            for rank, item in enumerate(ranking.places, start=1):
                row = int(vectors.database_rows[item])
                told = {"value": values[row]} if values is not None else {}
                rows.append(
                    common
                    | {"rank": rank, "result_row": row, "class": "|".join(dataset.classes_of(row))}
                    | {"distance": ranking.distances[item].item(), "relevant": int(right[item])}
                    | told
                    | expected
                )
        return rows

    def _queries(self, own: _Searched) -> list[int]:
        """Places of the first queries of the class."""
        classes = own.dataset.classes
        if self.query_class in classes:
            members = own.vectors.query_labels[:, classes.index(self.query_class)]
            places = np.flatnonzero(members)[: self.examples].tolist()
            if places:
                return places
        raise MedhashError(
            f"config/papers/{self.paper}.yaml, {self.name}: there is no query of query_class "
            f"'{self.query_class}' in {own.dataset.folder} (classes: {', '.join(classes)})"
        )

    def _draw(
        self,
        searched: Mapping[Cell, _Searched],
        points: pd.DataFrame,
        context: Context,
        titles: Sequence[str],
    ) -> Figure:
        """Datasets one below the other; the same query in one row a method."""
        each = len(self.methods) * len(self.variants) * len(self.bits)
        lines, columns = self.examples * each, 1 + self.results
        height = (lines * (_PANEL + 0.3) + 0.3) * len(self.datasets)
        figure = titled_figure(1.5 + columns * _PANEL, height, titles)
        blocks = figure.subfigures(len(self.datasets), 1, squeeze=False)[:, 0]
        for dataset, block in zip(self.datasets, blocks, strict=True):
            panels = block.subplots(lines, columns, squeeze=False)
            for axes in panels.flat:
                bare(axes)
            axes_of = product(self.methods, self.variants, self.bits, self.seeds[:1])
            for number, coordinates in enumerate(axes_of):
                cell = self.cell(dataset, *coordinates)
                if cell not in searched:
                    reason = context.why_not_run(self, dataset)
                    say_not_run(panels[number][columns // 2], reason)
                    continue
                own = points[points["cell"] == str(cell)].groupby("query")
                for line, (_, results) in zip(panels[number::each], own, strict=False):
                    title = context.paper.method_title(cell.method, cell.variant)
                    self._draw_line(line, results, searched[cell].dataset, title)
            known = [own.dataset for cell, own in searched.items() if cell.dataset == dataset]
            marks = [*map(borders_text, known[:1]), *self._ring]
            title = context.paper.dataset_title(dataset)
            block.suptitle(f"{title}: {', '.join(marks)}" if marks else title, fontsize=8.5)
        return figure

    @property
    def _ring(self) -> list[str]:
        return [f"{self.point.title} in a yellow ring"] if self.point else []

    def _draw_line(
        self, line: Sequence[Axes], results: pd.DataFrame, dataset: PreparedDataset, title: str
    ) -> None:
        """The query beside what is said of the row, then its results."""
        first = results.iloc[0]
        query = int(first["query_row"])
        line[0].imshow(dataset.images[query], interpolation="nearest")
        write_beside(line[0], f"{title}\n{self._summary(results)}")
        self._mark(line[0], dataset, query, "query: ")
        for axes, result in zip(line[1:], results.to_dict("records"), strict=True):
            draw_result(axes, dataset.images[result["result_row"]], relevant=result["relevant"] > 0)
            self._mark(axes, dataset, result["result_row"], f"{result['rank']}: ")

    def _mark(self, axes: Axes, dataset: PreparedDataset, row: int, before: str) -> None:
        """Borders of the mask, the ring, and the caption."""
        from matplotlib.patches import Circle

        mask = masks_of(dataset)[row]
        outline(axes, mask)
        if self.point is not None:
            side = len(mask)
            names = (self.point.x, self.point.y)
            place = [dataset.numbers(each)[row] / self.point.side * side - 0.5 for each in names]
            ring = Circle((place[0], place[1]), _RING * side, fill=False)
            ring.set(edgecolor="yellow", linewidth=1.0)
            axes.add_patch(ring)
        value = "" if self.attribute is None else f"\n{self.attribute.text(dataset, row)}"
        axes.set_xlabel(f"{before}{' + '.join(dataset.classes_of(row))}{value}", fontsize=6.5)

    def _summary(self, results: pd.DataFrame) -> str:
        """How many results are right and how far off their attribute is, each beside chance."""
        count, first = len(results), results.iloc[0]
        lines = [
            f"{results['relevant'].sum()} of {count} right",
            f"(by chance {count * first['expected_relevant']:.1f})",
        ]
        if self.attribute is not None:
            gap = (results["value"] - results["query_value"]).abs().mean()
            lines += [
                f"{self.attribute.title} off by {gap:.2f}",
                f"(by chance {first['expected_gap']:.2f})",
            ]
        return "\n".join(lines)
