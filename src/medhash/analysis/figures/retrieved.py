"""Queries and their first results, right and wrong ones framed (ACH Fig. 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.analysis.figures.contact_sheet import RESULTS, draw_query, draw_result, row_panels
from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.figures.explained import Explained, Explanations, PictureSpec, in_turn
from medhash.analysis.numbers.context import Context
from medhash.configuration.paths import Layout
from medhash.errors import MedhashError
from medhash.papers.specs import Drawn
from medhash.records.lesions import SOURCES, LesionPatches, load_lesion_patches
from medhash.retrieval.codes import Codes
from medhash.retrieval.search import nearest
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.loading import Configuration

BOX = "#ff9900"
NOTE = "On the left of each row the query; ties in Hamming distance stand in database order."
PATCH_NOTE = (
    "On the left of each row the query: the patches inside the box, without the rest of the image, "
    "which is dimmed; ties in Hamming distance stand in database order."
)
WHOLE_IMAGES = "image"
"""Source of a query that is a whole image."""

_OUTSIDE = 0.4


@dataclass(frozen=True, eq=False)
class Query:
    """One query of a picture.

    Attributes:
        row: its image, a row of the dataset's index.
        code: packed, uint8 (1, ceil(q / 8)).
        labels: uint8 (C,).
        source: :data:`WHOLE_IMAGES`, or where the patch comes from (a key of ``SOURCES``).
        patch: top, left, height and width in patches of the network; None for a whole image.
    """

    row: int
    code: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    source: str
    patch: tuple[int, int, int, int] | None


class Spec(PictureSpec):
    """Queries and their first results, right and wrong ones framed.

    Attributes:
        queries: whole images, or lesion patches where a dataset has them.
    """

    kind: Literal["retrieved"]
    queries: Literal["images", "lesions"] = "images"

    def inputs(self, files: Configuration) -> list[Path]:
        """Those of any picture, and the patches."""
        cells, layout = self.cells() if self.queries == "lesions" else [], files.layout
        patches = [*map(layout.lesions, cells), *map(layout.lesion_patches, cells)]
        return super().inputs(files) + patches

    def pictured(
        self, explained: Explanations, context: Context, titles: Sequence[str], layout: Layout
    ) -> Drawn:
        """The first results, and what draws them."""
        codes = {cell: Codes.load(layout.codes(cell)) for cell, found in explained.items() if found}
        searched = codes if self.queries == "lesions" else ()
        patches = {cell: load_lesion_patches(layout, cell) for cell in searched}
        queries = self._queries(explained, codes, patches)
        points = _points(queries, codes)
        reasons = {
            cell.dataset: own.reason if own else "not searched with patches yet"
            for cell, own in patches.items()
        }

        def draw() -> Figure:
            """Datasets side by side; the baseline's rows above, below the others' same queries."""
            datasets = list(dict.fromkeys(cell.dataset for cell in explained))
            lines = len(explained) // max(len(datasets), 1) * self.examples
            width = 0.62 * (RESULTS + 1.6)
            note = PATCH_NOTE if any(q.patch for own in queries.values() for q in own) else NOTE
            figure = titled_figure(width * len(datasets) + 0.6, 0.8 * lines + 0.45, [*titles, note])
            blocks = figure.subfigures(1, len(datasets), squeeze=False)[0]
            for dataset, block in zip(datasets, blocks, strict=True):
                cells = [cell for cell in explained if cell.dataset == dataset]
                shown = [query for cell in cells for query in queries.get(cell, ())]
                about = _about(shown, reasons.get(dataset, ""))
                block.suptitle(f"{context.paper.dataset_title(dataset)}{about}", fontsize=8.5)
                panels = row_panels(block, lines)
                for number, cell in enumerate(cells):
                    own = panels[number * self.examples :][: self.examples]
                    _draw_cell(cell, own, queries, points, explained[cell], context)
                if not shown:
                    self.refuse(panels[0][RESULTS // 2], dataset, context)
            return figure

        return points, draw

    def _queries(
        self,
        explained: Explanations,
        codes: Mapping[Cell, Codes],
        patches: Mapping[Cell, LesionPatches | None],
    ) -> dict[Cell, list[Query]]:
        """The queries of each explained cell: lesion patches if there are some, or whole images.

        Variants of a method have the same ones, from the classes in turn.

        Raises:
            MedhashError: two variants were searched with different patches.
        """
        chosen = {}
        for cell, found in explained.items():
            if found is None:
                continue
            own = patches.get(cell)
            if own is not None and len(own.rows):
                _check_same(cell, own, patches)
                places = in_turn(found.labels[own.rows], self.examples)
                chosen[cell] = [_patch_query(own, place, found) for place in places]
            else:
                rows = found.arrays["rows"][found.examples(self.examples)].tolist()
                chosen[cell] = [_image_query(codes[cell], row) for row in rows]
        return chosen


def _points(queries: Mapping[Cell, Sequence[Query]], codes: Mapping[Cell, Codes]) -> pd.DataFrame:
    """The first results of the queries, one row each.

    Columns: cell, query (its number, from 1), query_row, source, top, left, height and width (of a
    patch, in patches), rank from 1, result_row, distance, relevant (0/1).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for cell, own in queries.items():
        for number, query in enumerate(own, start=1):
            place = dict(zip(_SIDES, query.patch or ("",) * 4, strict=True))
            named = {"cell": str(cell), "query": number, "query_row": query.row}
            named |= {"source": SOURCES.get(query.source, query.source), **place}
            rows += [named | result for result in _results(codes[cell], query)]
    return pd.DataFrame(rows)


_SIDES = ("top", "left", "height", "width")


def _check_same(
    cell: Cell, own: LesionPatches, patches: Mapping[Cell, LesionPatches | None]
) -> None:
    for other, theirs in patches.items():
        alike = (other.dataset, other.method, other.bits) == (cell.dataset, cell.method, cell.bits)
        if not alike or theirs is None:
            continue
        if not np.array_equal(own.rows, theirs.rows) or not np.array_equal(
            own.patches, theirs.patches
        ):
            raise MedhashError(
                f"lesion patches of cell {cell}: they are not those of {other}; delete "
                "lesions.json of both and let the workflow search again."
            )


def _patch_query(patches: LesionPatches, place: int, found: Explained) -> Query:
    row = int(patches.rows[place])
    top, left, height, width = (int(value) for value in patches.patches[place])
    code = patches.codes[place : place + 1]
    return Query(row, code, found.labels[row], patches.source, (top, left, height, width))


def _image_query(codes: Codes, row: int) -> Query:
    place = int(np.flatnonzero(codes.query_rows == row)[0])
    code = codes.query_codes[place : place + 1]
    return Query(row, code, codes.query_labels[place], WHOLE_IMAGES, None)


def _results(codes: Codes, query: Query) -> list[dict[str, Any]]:
    ranking = nearest(query.code[0], codes, min(RESULTS, len(codes.database_codes)))
    shared = codes.database_labels[ranking.places] @ query.labels
    return [
        {
            "rank": rank,
            "result_row": int(codes.database_rows[item]),
            "distance": int(ranking.distances[item]),
            "relevant": int(common > 0),
        }
        for rank, (item, common) in enumerate(zip(ranking.places, shared, strict=True), start=1)
    ]


def _about(shown: Sequence[Query], reason: str) -> str:
    """What the queries of a dataset are, as a second line above its panels."""
    sources = dict.fromkeys(SOURCES[query.source] for query in shown if query.patch)
    if sources:
        return f"\nlesion patches: {', '.join(sources)}"
    return f"\nwhole images: {reason}" if reason and shown else ""


def _draw_cell(
    cell: Cell,
    lines: NDArray[Any],
    queries: Mapping[Cell, Sequence[Query]],
    points: pd.DataFrame,
    found: Explained | None,
    context: Context,
) -> None:
    """One row of panels a query: the query, then its results."""
    if found is None:
        return
    own = points[points["cell"] == str(cell)]
    for number, (line, query) in enumerate(zip(lines, queries[cell], strict=False), start=1):
        _draw_query(line[0], query, found)
        results = own[own["query"] == number].itertuples()
        for axes, result in zip(line[1:], results, strict=False):
            image = found.images[int(str(result.result_row))]
            draw_result(axes, image, relevant=bool(result.relevant))
    title = context.paper.method_title(cell.method, cell.variant)
    lines[0][0].set_title(title, fontsize=7.5, loc="left")
    lines[0][1].set_title(f"     first {RESULTS} results", fontsize=7, loc="left")


def _draw_query(axes: Axes, query: Query, found: Explained) -> None:
    """The image; of a patch, the box around it and the rest of the image dimmed."""
    from matplotlib.patches import Rectangle

    image = found.images[query.row]
    if query.patch:
        top, left, height, width = (round(side * found.patch) for side in query.patch)
        shown = (image * _OUTSIDE).astype(np.uint8)
        inside = np.s_[top : top + height, left : left + width]
        shown[inside] = image[inside]
        image = shown
        box = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, clip_on=False)
        box.set(edgecolor=BOX, linewidth=1.4)
        axes.add_patch(box)
    draw_query(axes, image, found.class_name(query.row))
