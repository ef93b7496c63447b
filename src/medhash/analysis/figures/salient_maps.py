"""Where a cell looks: patch embedding, CAM and Grad-CAM (ACH Fig. 11a)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.figures.explained import (
    MAPS,
    Explained,
    Explanations,
    PictureSpec,
    blocks,
    draw_map,
    show,
)
from medhash.analysis.numbers.context import Context

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Spec(PictureSpec):
    """Images and their maps."""

    kind: Literal["salient_maps"]

    def values_of(self, found: Explained, place: int) -> Iterator[dict[str, Any]]:
        """The range of each map."""
        for name in MAPS:
            values = found.arrays[name][place]
            yield {"map": name, "least": float(values.min()), "greatest": float(values.max())}

    def picture(
        self, explained: Explanations, points: pd.DataFrame, context: Context, titles: Sequence[str]
    ) -> Figure:
        """Images side by side; below each its three maps for every cell (Fig. 11a).

        Each map is stretched from its own least to its greatest value, so that colours show where a
        network looks, not how strongly.
        """
        count = len(self.datasets)
        height = 1 + len(MAPS) * len(self.methods) * len(self.variants)
        figure = titled_figure(2.0 + 1.05 * self.examples * count, 1.05 * height + 0.3, titles)
        parts = blocks(figure, count, height, self.examples)
        for (block, panels), dataset in zip(parts, self.datasets, strict=True):
            block.suptitle(context.paper.dataset_title(dataset), fontsize=8.5)
            cells = {cell: found for cell, found in explained.items() if cell.dataset == dataset}
            first = next((found for found in cells.values() if found), None)
            if first is None:
                self.refuse(panels[0][0], dataset, context)
                continue
            for place, axes in zip(first.examples(self.examples), panels[0], strict=False):
                row = int(first.arrays["rows"][place])
                show(axes, first.images[row])
                axes.set_title(first.class_name(row), fontsize=7)
            _name_row(panels[0][0], "image")
            names = [(cell, name) for cell in cells for name in MAPS]
            for (cell, name), line in zip(names, panels[1:], strict=False):
                title = context.paper.method_title(cell.method, cell.variant)
                _name_row(line[0], f"{title}\n{MAPS[name]}")
                _draw_maps(line, cells[cell], name, self)
        return figure


def _draw_maps(line: Any, found: Explained | None, name: str, spec: Spec) -> None:
    if found is None:
        return
    for place, axes in zip(found.examples(spec.examples), line, strict=False):
        image = found.images[found.arrays["rows"][place]]
        show(axes, image)
        # between the centres of patches the map is interpolated
        style = {"alpha": 0.45, "interpolation": "bilinear"}
        draw_map(axes, found.arrays[name][place], len(image), **style)


def _name_row(axes: Axes, text: str) -> None:
    axes.text(*(-0.08, 0.5, text), transform=axes.transAxes, ha="right", va="center", fontsize=6.5)
