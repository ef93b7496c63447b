"""What a cell takes for lesions: windows, key points and masks (ACH Fig. 12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.figures.explained import Explained, Explanations, PictureSpec, blocks, show
from medhash.analysis.numbers.context import Context

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW_COLOUR, STAR_COLOUR = "#4169e1", "#e31a1c"


class Spec(PictureSpec):
    """Windows, key points and masks of images."""

    kind: Literal["lesions"]

    def values_of(self, found: Explained, place: int) -> Iterator[dict[str, Any]]:
        """Window and key point, and a mask with its weight, row by row. Sizes in patches."""
        arrays = found.arrays
        row = dict(zip(("area_row", "area_column"), arrays["area"][place], strict=True))
        row |= dict(zip(("point_row", "point_column"), arrays["key_point"][place], strict=True))
        for scale, (height, width) in enumerate(arrays["mask_scales"].tolist()):
            weight = float(arrays["scale_weights"][place, scale])
            shift = float(arrays["scale_shift"][place, scale])
            yield row | {
                "mask_height": height,
                "mask_width": width,
                "weight": weight,
                "shift": shift,
            }

    def picture(
        self, explained: Explanations, points: pd.DataFrame, context: Context, titles: Sequence[str]
    ) -> Figure:
        """Above, windows and key points; below, the lesions and their masks (Fig. 12).

        The colour of a mask is its weight, Eq. 22 over the scales of its image.
        """
        import matplotlib as mpl
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        weights = points["weight"] if len(points) else np.array([0.0, 1.0])
        colours = ScalarMappable(Normalize(weights.min(), weights.max()), mpl.colormaps["autumn_r"])
        width = 0.9 + 1.25 * self.examples * max(len(explained), 1)
        figure = titled_figure(width, 3.1, titles)
        parts = figure.subfigures(1, 2, squeeze=False, width_ratios=[width - 0.9, 0.9])
        panels_part, side = parts[0]
        bar = figure.colorbar(colours, cax=side.add_axes((0.15, 0.2, 0.18, 0.6)))
        bar.set_label("weight of a mask (Eq. 22)")
        own = blocks(panels_part, len(explained), 2, self.examples)
        for (block, panels), (cell, found) in zip(own, explained.items(), strict=True):
            title = context.paper.method_title(cell.method, cell.variant)
            block.suptitle(f"{context.paper.dataset_title(cell.dataset)}, {title}", fontsize=8.5)
            if found is None:
                self.refuse(panels[0][0], cell.dataset, context)
                continue
            for place, above, below in zip(found.examples(self.examples), *panels, strict=False):
                _draw_window(above, found, place)
                _draw_masks(below, found, place, colours)
        return figure


def _draw_window(axes: Axes, found: Explained, place: int) -> None:
    """The image, its window (blue) and its key point (red star)."""
    from matplotlib.patches import Rectangle

    arrays, patch = found.arrays, found.patch
    row = int(arrays["rows"][place])
    show(axes, found.images[row])
    axes.set_title(found.class_name(row), fontsize=7)
    (top, left), (height, width) = arrays["area"][place], arrays["window"]
    corner = (left * patch - 0.5, top * patch - 0.5)
    box = Rectangle(corner, width * patch, height * patch, facecolor=WINDOW_COLOUR)
    box.set(edgecolor=WINDOW_COLOUR, alpha=0.3, linewidth=1.5)
    axes.add_patch(box)
    _star(axes, *_centre(arrays["key_point"][place], patch))


def _draw_masks(axes: Axes, found: Explained, place: int, colours: Any) -> None:
    """The lesion's surroundings, enlarged, with a box for each mask."""
    from matplotlib.patches import Rectangle

    arrays, patch, size = found.arrays, found.patch, found.images.shape[1]
    point, scales = arrays["key_point"][place], arrays["mask_scales"]
    show(axes, found.images[arrays["rows"][place]])
    order = sorted(range(len(scales)), key=lambda scale: -int(scales[scale].prod()))
    for scale in order:
        first = np.maximum(point - scales[scale] // 2, 0)
        last = np.minimum(point - scales[scale] // 2 + scales[scale], size / patch)
        corner = (first[1] * patch - 0.5, first[0] * patch - 0.5)
        height, width = (last - first) * patch
        colour = colours.to_rgba(arrays["scale_weights"][place, scale])
        box = Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=1.6)
        axes.add_patch(box)
    reach = (scales.max() / 2 + 1) * patch
    x, y = _centre(point, patch)
    left = min(max(x - reach, -0.5), size - 0.5 - 2 * reach) if 2 * reach < size else -0.5
    top = min(max(y - reach, -0.5), size - 0.5 - 2 * reach) if 2 * reach < size else -0.5
    side = min(2 * reach, size)
    axes.set(xlim=(left, left + side), ylim=(top + side, top))
    _star(axes, x, y)


def _star(axes: Axes, x: float, y: float) -> None:
    style = {"marker": "*", "s": 70, "color": STAR_COLOUR, "edgecolors": "white"}
    axes.scatter([x], [y], linewidths=0.6, zorder=3, **style)  # type: ignore[arg-type]


def _centre(point: NDArray[np.int64], patch: float) -> tuple[float, float]:
    """The middle of a patch in pixels, x before y."""
    return (float(point[1]) + 0.5) * patch - 0.5, (float(point[0]) + 0.5) * patch - 0.5
