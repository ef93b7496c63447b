"""What the explanation of a cell holds, read back, and pictures of it (ACH Fig. 11 and 12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.analysis.figures.drawing import say_not_run, titled_figure
from medhash.analysis.numbers.context import Context, bits_label
from medhash.configuration.paths import Layout
from medhash.papers.paper import FigureSpec
from medhash.retrieval.arrays import read_arrays
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = {"patch_embedding": "patch embedding", "cam": "CAM", "grad_cam": "Grad-CAM"}
"""Array of the explanation -> its name in a figure."""

WINDOW_COLOUR, STAR_COLOUR = "#4169e1", "#e31a1c"
_ARRAYS = (
    *("rows", *MAPS, "area", "key_point", "window", "mask_scales", "scale_weights"),
    *("scale_shift", "feature_rows", "features"),
)


@dataclass(frozen=True)
class Explained:
    """A cell's explanation and the images that it is about.

    Attributes:
        arrays: see :func:`medhash.trained.explanation.explain_cell`.
        images: uint8 (N, S, S, 3), the whole dataset, memory-mapped.
        labels: uint8 (N, C).
        classes: names of the C classes.
    """

    arrays: Mapping[str, NDArray[Any]]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    classes: tuple[str, ...]

    @property
    def patch(self) -> float:
        """Pixels along one side of a patch."""
        return self.images.shape[1] / self.arrays["cam"].shape[1]

    def examples(self, count: int) -> list[int]:
        """Places of ``count`` explained images, from the classes in turn."""
        return in_turn(self.labels[self.arrays["rows"]], count)

    def class_name(self, row: int) -> str:
        """The classes of an image."""
        return " + ".join(self.classes[index] for index in np.flatnonzero(self.labels[row]))


def in_turn(labels: NDArray[np.uint8], count: int) -> list[int]:
    """Places of ``count`` items of labels (n, C), from the classes in turn."""
    groups = [np.flatnonzero(column) for column in labels.T]
    turns = [
        int(group[turn])
        for turn in range(max(map(len, groups), default=0))
        for group in groups
        if turn < len(group)
    ]
    return list(dict.fromkeys(turns))[:count]


def load_explained(layout: Layout, cell: Cell, data: Path) -> Explained | None:
    """A cell's explanation with the images of its dataset's folder; None if it was not made.

    Raises:
        MedhashError: the file is damaged.
    """
    path = layout.explanation(cell)
    if not path.is_file():
        return None
    return Explained(read_arrays(path, _ARRAYS), *load_images(data))


def load_images(
    folder: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]:
    """Images (memory-mapped), labels and class names of a prepared dataset."""
    import json

    images = np.load(folder / "images.npy", mmap_mode="r")
    classes = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["classes"]
    return images, np.load(folder / "labels.npy"), tuple(classes)


def salient_maps(
    spec: FigureSpec, explained: Mapping[Cell, Explained | None], context: Context
) -> pd.DataFrame:
    """The images and the range of each of their maps; one row a map."""
    rows = []
    for cell, found in explained.items():
        for place in found.examples(spec.examples) if found else ():
            for name in MAPS:
                values = found.arrays[name][place] if found else np.zeros(1)
                numbers = {"least": float(values.min()), "greatest": float(values.max())}
                rows.append(_place_of(cell, found, place, context) | {"map": name} | numbers)
    return pd.DataFrame(rows)


def draw_salient_maps(
    spec: FigureSpec,
    explained: Mapping[Cell, Explained | None],
    context: Context,
    titles: Sequence[str],
) -> Figure:
    """Images side by side; below each its three maps for every cell (Fig. 11a).

    Each map is stretched from its own least to its greatest value, so that colours show where a
    network looks, not how strongly.
    """
    groups = _by_dataset(explained)
    lines = [(method, variant) for method, variant in product(spec.methods, spec.variants)]
    height = 1 + len(MAPS) * len(lines)
    figure = titled_figure(2.0 + 1.05 * spec.examples * len(groups), 1.05 * height + 0.3, titles)
    for block, (dataset, cells) in zip(_columns(figure, len(groups)), groups.items(), strict=True):
        block.suptitle(context.paper.dataset_title(dataset), fontsize=8.5)
        panels = block.subplots(height, spec.examples, squeeze=False)
        first = next((found for found in cells.values() if found), None)
        for axes in panels.flat:
            axes.axis("off")
        if first is None:
            _refuse(panels[0][0], spec, dataset, context)
            continue
        for place, axes in zip(first.examples(spec.examples), panels[0], strict=False):
            row = int(first.arrays["rows"][place])
            _show(axes, first.images[row])
            axes.set_title(first.class_name(row), fontsize=7)
        _name_row(panels[0][0], "image")
        names = [(cell, name) for cell in cells for name in MAPS]
        for (cell, name), line in zip(names, panels[1:], strict=False):
            title = context.paper.method_title(cell.method, cell.variant)
            _name_row(line[0], f"{title}\n{MAPS[name]}")
            _draw_maps(line, cells[cell], name, spec)
    return figure


def mask_weights(
    spec: FigureSpec, explained: Mapping[Cell, Explained | None], context: Context
) -> pd.DataFrame:
    """Window, key point and mask weights of the images; one row a mask. Sizes in patches."""
    rows = []
    for cell, found in explained.items():
        for place in found.examples(spec.examples) if found else ():
            arrays = found.arrays if found else {}
            for scale, (height, width) in enumerate(arrays["mask_scales"].tolist()):
                row = _place_of(cell, found, place, context)
                row |= dict(zip(("area_row", "area_column"), arrays["area"][place], strict=True))
                row |= dict(
                    zip(("point_row", "point_column"), arrays["key_point"][place], strict=True)
                )
                row |= {"mask_height": height, "mask_width": width}
                row |= {"weight": float(arrays["scale_weights"][place, scale])}
                row |= {"shift": float(arrays["scale_shift"][place, scale])}
                rows.append(row)
    return pd.DataFrame(rows)


def draw_lesions(
    spec: FigureSpec,
    explained: Mapping[Cell, Explained | None],
    context: Context,
    titles: Sequence[str],
) -> Figure:
    """Above, windows and key points; below, the lesions and their masks (Fig. 12).

    The colour of a mask is its weight, Eq. 22 over the scales of its image.
    """
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    groups = _by_dataset(explained)
    shown = [found for cells in groups.values() for found in cells.values() if found]
    weights = [f.arrays["scale_weights"][f.examples(spec.examples)] for f in shown]
    flat = np.concatenate([w.ravel() for w in weights]) if weights else np.array([0.0, 1.0])
    colours = ScalarMappable(Normalize(flat.min(), flat.max()), mpl.colormaps["autumn_r"])
    cells = [(cell, found) for group in groups.values() for cell, found in group.items()]
    width = 0.9 + 1.25 * spec.examples * max(len(cells), 1)
    figure = titled_figure(width, 3.1, titles)
    columns, side = figure.subfigures(1, 2, squeeze=False, width_ratios=[width - 0.9, 0.9])[0]
    bar = figure.colorbar(colours, cax=side.add_axes((0.15, 0.2, 0.18, 0.6)))
    bar.set_label("weight of a mask (Eq. 22)")
    for block, (cell, found) in zip(_columns(columns, len(cells)), cells, strict=True):
        title = context.paper.method_title(cell.method, cell.variant)
        block.suptitle(f"{context.paper.dataset_title(cell.dataset)}, {title}", fontsize=8.5)
        panels = block.subplots(2, spec.examples, squeeze=False)
        for axes in panels.flat:
            axes.axis("off")
        if found is None:
            _refuse(panels[0][0], spec, cell.dataset, context)
            continue
        for place, above, below in zip(found.examples(spec.examples), *panels, strict=False):
            _draw_window(above, found, place)
            _draw_masks(below, found, place, colours)
    return figure


def tsne_points(
    spec: FigureSpec, explained: Mapping[Cell, Explained | None], context: Context
) -> pd.DataFrame:
    """Two coordinates of every query image, one embedding a cell (t-SNE, seeded)."""
    frames = []
    for cell, found in explained.items():
        if found is None:
            continue
        rows = found.arrays["feature_rows"]
        places = _tsne(found.arrays["features"])
        frame = pd.DataFrame({"x": places[:, 0], "y": places[:, 1], "row": rows})
        frame["class"] = [found.class_name(int(row)) for row in rows]
        names = _names_of(cell, context)
        frames.append(frame.assign(**names)[[*names, "row", "class", "x", "y"]])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def draw_tsne(
    spec: FigureSpec,
    explained: Mapping[Cell, Explained | None],
    context: Context,
    titles: Sequence[str],
    points: pd.DataFrame,
) -> Figure:
    """One panel a cell, the baseline on the left; colour and marker are the class."""
    import seaborn as sns

    columns = len(spec.methods) * len(spec.variants)
    rows = max(1, -(-len(explained) // columns))
    figure = titled_figure(3.1 * columns + 1.4, 2.9 * rows, titles)
    panels = figure.subplots(rows, columns, squeeze=False)
    classes = sorted(set(points["class"])) if len(points) else []
    colours = sns.color_palette("colorblind", len(classes))
    handles: dict[str, Any] = {}
    for (cell, found), axes in zip(explained.items(), panels.flat, strict=False):
        names = _names_of(cell, context)
        axes.set_title(f"{names['method_title']}\n{context.column_label(cell.dataset, cell.bits)}")
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        if found is None:
            _refuse(axes, spec, cell.dataset, context)
            continue
        own = points[points["cell"] == str(cell)]
        for name, colour, marker in zip(classes, colours, "os^DvPX*<>" * 4, strict=False):
            part = own[own["class"] == name]
            style = {"color": colour, "marker": marker, "s": 12, "linewidths": 0, "alpha": 0.85}
            handles[name] = axes.scatter(part["x"], part["y"], **style)
    figure.legend(handles.values(), handles.keys(), loc="outside right center", title="class")
    return figure


def _tsne(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """t-SNE to two dimensions; one thread and a fixed seed, so that a machine repeats itself."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(features) - 1) / 3)
    with threadpool_limits(1):
        reduction = TSNE(perplexity=perplexity, init="pca", random_state=0)
        places: NDArray[np.float32] = reduction.fit_transform(features)
    return places


def _draw_maps(line: Any, found: Explained | None, name: str, spec: FigureSpec) -> None:
    if found is None:
        return
    for place, axes in zip(found.examples(spec.examples), line, strict=False):
        image = found.images[found.arrays["rows"][place]]
        _show(axes, image)
        size = image.shape[0]
        values = _stretched(found.arrays[name][place])
        # the patches' values lie at their centres; between them the map is interpolated
        extent = (-0.5, size - 0.5, size - 0.5, -0.5)
        axes.imshow(values, cmap="jet", alpha=0.45, extent=extent, interpolation="bilinear")


def _draw_window(axes: Axes, found: Explained, place: int) -> None:
    """The image, its window (blue) and its key point (red star)."""
    from matplotlib.patches import Rectangle

    arrays, patch = found.arrays, found.patch
    row = int(arrays["rows"][place])
    _show(axes, found.images[row])
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
    _show(axes, found.images[arrays["rows"][place]])
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


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image, interpolation="nearest")


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values from 0 to 1; a flat map is 0 everywhere."""
    span = values.max() - values.min()
    return (values - values.min()) / (span if span > 0 else 1)


def _name_row(axes: Axes, text: str) -> None:
    axes.text(*(-0.08, 0.5, text), transform=axes.transAxes, ha="right", va="center", fontsize=6.5)


def _columns(figure: Any, count: int) -> Iterator[Any]:
    """Blocks side by side, each with panels and a title of its own."""
    blocks = figure.subfigures(1, max(count, 1), squeeze=False)
    yield from blocks[0][:count]


def _by_dataset(
    explained: Mapping[Cell, Explained | None],
) -> dict[str, dict[Cell, Explained | None]]:
    groups: dict[str, dict[Cell, Explained | None]] = {}
    for cell, found in explained.items():
        groups.setdefault(cell.dataset, {})[cell] = found
    return groups


def _names_of(cell: Cell, context: Context) -> dict[str, str]:
    return {
        "cell": str(cell),
        "dataset_title": context.paper.dataset_title(cell.dataset),
        "method_title": context.paper.method_title(cell.method, cell.variant),
        "bits": bits_label(cell.bits),
    }


def _place_of(cell: Cell, found: Explained | None, place: int, context: Context) -> dict[str, Any]:
    row = int(found.arrays["rows"][place]) if found else -1
    return _names_of(cell, context) | {"row": row, "class": found.class_name(row) if found else ""}


def _refuse(axes: Axes, spec: FigureSpec, dataset: str, context: Context) -> None:
    say_not_run(axes, context.why_not_run(spec, dataset))
