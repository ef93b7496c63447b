"""The contact sheet of one query: ACH Fig. 9's style, with every tie in distance marked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.analysis.figures.contact_sheet import RESULTS, draw_query, draw_result, row_panels
from medhash.analysis.figures.drawing import titled_figure, write_pictures
from medhash.query.answer import Answer, Result
from medhash.query.text import SYNTHETIC, distance_text, joined, notes, tie_text, votes_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 9.6, 1.32
"""Of a row of panels, in inches."""
_CHARACTERS = 16
_FRAMES = "✓ in a green frame: a class in common with the query; ✗ in a red frame: none."
_NO_FRAMES = "The query's class is not known, so no result is marked as right or wrong."


def write_sheet(answer: Answer, path: Path) -> None:
    """Write an answer's contact sheet as PNG, the same bytes for the same answer."""
    write_pictures(lambda: draw_sheet(answer), path)


def draw_sheet(answer: Answer) -> Figure:
    """The query on the left, then its results, ten in a row, nearest first."""
    rows = [
        answer.results[start : start + RESULTS] for start in range(0, len(answer.results), RESULTS)
    ]
    figure = titled_figure(_WIDTH, _HEIGHT * len(rows), _titles(answer))
    panels = row_panels(figure, len(rows), gap=0.02)
    _draw_query(panels[0][0], answer)
    for line, results in zip(panels, rows, strict=True):
        for axes, result in zip(line[1:], results, strict=False):
            draw_result(axes, answer.database.dataset.images[result.row], relevant=result.relevant)
            axes.set_xlabel(_caption(result), fontsize=6, labelpad=2)
        _draw_ties(line[1:], results, answer)
    return figure


def _titles(answer: Answer) -> list[str]:
    database, query = answer.database, answer.query
    where = f"{database.dataset.title}; scale {database.scale}; cell {database.cell}"
    what = (
        f"The {len(answer.results)} of {len(answer.ranking.distances)} database images nearest to "
        f"{query.name}, by {database.method_title}, {database.length_text}; {where}."
    )
    warning = f"{SYNTHETIC} " if database.dataset.synthetic else ""
    frames = _FRAMES if query.classes else _NO_FRAMES
    return [f"{warning}{what}", tie_text(answer), votes_text(answer), frames, *notes(answer)]


def _draw_query(axes: Any, answer: Answer) -> None:
    query = answer.query
    draw_query(axes, query.pixels, "")
    axes.set_title("query", fontsize=6.5, loc="left")
    classes = joined(query.classes) if query.classes else "class not known"
    axes.set_xlabel(textwrap.fill(classes, _CHARACTERS), fontsize=6, labelpad=2)


def _caption(result: Result) -> str:
    text = textwrap.fill(joined(result.classes), _CHARACTERS)
    return f"{result.rank} · {text}" + (f"\n({result.remark})" if result.remark else "")


def _draw_ties(line: Sequence[Any], results: Sequence[Result], answer: Answer) -> None:
    """A bar over the results that share a distance, with how many images of the database do."""
    place = 0
    for distance, group in groupby(results, key=lambda result: result.distance):
        count = len(list(group))
        items = answer.ranking.items_at(distance)
        shown = sum(result.distance == distance for result in answer.results)
        text = f"distance {distance_text(distance)}\n{shown} of {items} shown"
        line[place].set_title(text, fontsize=6.5, loc="left")
        _draw_bar(line[place], line[place + count - 1])
        place += count


def _draw_bar(first: Any, last: Any) -> None:
    from matplotlib.patches import ConnectionPatch

    bar = ConnectionPatch(
        (0.0, 1.05), (1.0, 1.05), first.transAxes, last.transAxes, color="0.35", linewidth=1.0
    )
    bar.set_in_layout(False)
    first.figure.add_artist(bar)
