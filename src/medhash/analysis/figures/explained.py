"""What the explanation of a cell holds, read back, and what pictures of cells share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from medhash.analysis.figures.drawing import say_not_run
from medhash.analysis.numbers.context import Context, bits_label
from medhash.configuration.paths import Layout
from medhash.data.prepared import PreparedDataset
from medhash.data.prepared_files import FILES, MASKS
from medhash.errors import MedhashError
from medhash.papers.specs import Drawn, FigureSpec, Name
from medhash.retrieval.arrays import read_arrays
from medhash.schema.base import Count, StrictModel
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.loading import Configuration

MAPS = {"patch_embedding": "patch embedding", "cam": "CAM", "grad_cam": "Grad-CAM"}
"""Array of the explanation -> its name in a figure."""

MAP_COLOURS = "jet"
MASK_COLOURS = ("white", "magenta")
"""Of the borders of a mask's classes, from 1 on."""

_ARRAYS = (
    *("rows", *MAPS, "area", "key_point", "window", "mask_scales", "scale_weights"),
    *("scale_shift", "feature_rows", "features"),
)


class Attribute(StrictModel):
    """A numeric column of a dataset's index, and what it is called."""

    column: Name
    title: str

    def text(self, dataset: PreparedDataset, row: int) -> str:
        """Its value for an image: ``CDR 0.53``."""
        value = dataset.numbers(self.column)[row]
        return f"{self.title} {'unknown' if np.isnan(value) else format(value, '.2f')}"


@dataclass(frozen=True)
class Explained:
    """A cell's explanation and the images that it is about.

    Attributes:
        arrays: see :func:`medhash.trained.explanation.explain_cell`.
        dataset: N images of C classes.
    """

    arrays: Mapping[str, NDArray[Any]]
    dataset: PreparedDataset

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (N, S, S, 3), the whole dataset, memory-mapped."""
        return self.dataset.images

    @property
    def labels(self) -> NDArray[np.uint8]:
        """uint8 (N, C)."""
        return self.dataset.labels

    @property
    def patch(self) -> float:
        """Pixels along one side of a patch."""
        return self.images.shape[1] / self.arrays["cam"].shape[1]

    def examples(self, count: int) -> list[int]:
        """Places of ``count`` explained images, from the classes in turn."""
        return in_turn(self.labels[self.arrays["rows"]], count)

    def class_name(self, row: int) -> str:
        """The classes of an image."""
        return " + ".join(self.dataset.classes_of(row))


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


def load_explained(
    layout: Layout, cell: Cell, data: Path, arrays: Sequence[str] = _ARRAYS
) -> Explained | None:
    """A cell's explanation with the images of its dataset's folder; None if it was not made.

    Raises:
        MedhashError: the file is damaged, or lacks one of the arrays.
    """
    path = layout.explanation(cell)
    if not path.is_file():
        return None
    return Explained(read_arrays(path, arrays), PreparedDataset(data))


Explanations = Mapping[Cell, Explained | None]
"""Cell -> its explanation, None where there is none."""


class PictureSpec(FigureSpec):
    """A figure that shows images or features of single cells, those of the first seed.

    Attributes:
        examples: query images that it shows of each dataset.
    """

    one_seed: ClassVar[bool] = True
    shows_scores: ClassVar[bool] = False
    shows_images: ClassVar[bool] = True

    examples: Count = 3

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays of an explanation that it draws."""
        return _ARRAYS

    def inputs(self, files: Configuration) -> list[Path]:
        """Records, what the cells look at, their codes and their images."""
        cells, layout = self.cells(), files.layout
        paths = [*map(layout.record, cells), *map(layout.explanation, cells)]
        paths += map(layout.codes, cells)
        names = [FILES[name] for name in ("images", "labels", "description")]
        folders = dict.fromkeys(map(files.data_of, cells))
        return paths + [folder / name for folder in folders for name in names]

    def drawn(self, facts: Sequence[Any], context: Context, files: Configuration) -> Drawn:
        """From the explanations of its cells; one without is shown as not run."""
        axes = product(self.datasets, self.methods, self.variants, self.bits, self.seeds[:1])
        cells = [self.cell(*coordinates) for coordinates in axes]
        explained = {
            cell: load_explained(files.layout, cell, files.data_of(cell), self.arrays)
            for cell in cells
        }
        titles = (context.heading(self), self.details(facts, context))
        return self.pictured(explained, context, titles, files.layout)

    def pictured(
        self, explained: Explanations, context: Context, titles: Sequence[str], layout: Layout
    ) -> Drawn:
        """What is drawn, as numbers, and what draws it.

        Args:
            explained: its cells, None for those without an explanation.
            context: names.
            titles: lines above the panels.
            layout: where further files lie.
        """
        points = self.points(explained, context)
        return points, lambda: self.picture(explained, points, context, titles)

    def points(self, facts: Explanations, context: Context) -> pd.DataFrame:
        """Cell and image, and :meth:`values_of` of them, of every example."""
        import pandas as pd

        rows = []
        for cell, found in facts.items():
            if found is None:
                continue
            for place in self.shown(found):
                row = int(found.arrays["rows"][place])
                named = names_of(cell, context) | {"row": row, "class": found.class_name(row)}
                rows += [named | numbers for numbers in self.values_of(found, place)]
        return pd.DataFrame(rows)

    def shown(self, found: Explained) -> list[int]:
        """Places of the explained images that are examples: by default from the classes in turn."""
        return found.examples(self.examples)

    def values_of(self, found: Explained, place: int) -> Iterator[dict[str, Any]]:
        """What is drawn of one of the explained images: columns of the CSV, row by row."""
        raise NotImplementedError

    def picture(
        self, explained: Explanations, points: pd.DataFrame, context: Context, titles: Sequence[str]
    ) -> Figure:
        """The figure; arguments as in :meth:`pictured`."""
        raise NotImplementedError

    def refuse(self, axes: Axes, dataset: str, context: Context) -> None:
        """Write into an empty panel why a dataset did not run."""
        say_not_run(axes, context.why_not_run(self, dataset))


def show(axes: Axes, image: NDArray[np.uint8]) -> None:
    """An image, uint8 (S, S, 3), pixel by pixel."""
    axes.imshow(image, interpolation="nearest")


def outline(axes: Axes, mask: NDArray[np.uint8]) -> None:
    """The borders of a mask's classes, uint8 (S, S), in :data:`MASK_COLOURS`.

    A class lies within those of lower numbers, as a cup does in its disc.
    """
    for number, colour in enumerate(MASK_COLOURS, start=1):
        if 0 < np.count_nonzero(mask >= number) < mask.size:
            axes.contour(mask >= number, levels=[0.5], colors=[colour], linewidths=0.9)


def borders_text(dataset: PreparedDataset) -> str:
    """What :func:`outline` draws: ``disc white, cup magenta``."""
    named = zip(dataset.mask_classes[1:], MASK_COLOURS, strict=False)
    return ", ".join(f"{name} {colour}" for name, colour in named)


def masks_of(dataset: PreparedDataset) -> NDArray[np.uint8]:
    """The masks of a dataset whose picture shows them, uint8 (N, S, S).

    Raises:
        MedhashError: it has none.
    """
    if dataset.masks is None:
        raise MedhashError(
            f"{dataset.folder / MASKS}: there is no such file, and this figure draws masks; choose "
            "a dataset with masks, or leave 'masks' out of the figure"
        )
    return dataset.masks


def draw_map(axes: Axes, values: NDArray[np.float32], size: int, **style: Any) -> None:
    """Colours from the least to the greatest value of a map, over a picture of ``size`` pixels.

    Values lie at the centres of the map's places. A flat map has one colour.
    """
    span = values.max() - values.min()
    stretched = (values - values.min()) / (span if span > 0 else 1)
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    axes.imshow(stretched, cmap=MAP_COLOURS, vmin=0, vmax=1, extent=extent, **style)


def bare(axes: Axes) -> None:
    """Take ticks, grid and frame away; what is written beside a panel stays."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.set_frame_on(False)


def write_beside(axes: Axes, text: str) -> None:
    """On the left of a panel, line by line."""
    style = {"rotation": 0, "ha": "right", "va": "center"}
    axes.set_ylabel(text, fontsize=6.5, **style)  # type: ignore[arg-type]


def blocks(figure: Any, count: int, rows: int, columns: int) -> Iterator[tuple[Any, Any]]:
    """Parts of a figure side by side, each with its empty panels (rows, columns)."""
    for block in figure.subfigures(1, max(count, 1), squeeze=False)[0][:count]:
        panels = block.subplots(rows, columns, squeeze=False)
        for axes in panels.flat:
            axes.axis("off")
        yield block, panels


def names_of(cell: Cell, context: Context) -> dict[str, str]:
    """A cell as columns of a CSV."""
    return {
        "cell": str(cell),
        "dataset_title": context.paper.dataset_title(cell.dataset),
        "method_title": context.paper.method_title(cell.method, cell.variant),
        "bits": bits_label(cell.bits),
    }
