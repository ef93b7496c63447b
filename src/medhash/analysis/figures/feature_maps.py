"""The mean over channels of feature maps: raw, resized, over the image (Y-Net Figs. 3 to 5)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.figures.explained import (
    MAP_COLOURS,
    Attribute,
    Explained,
    Explanations,
    PictureSpec,
    bare,
    borders_text,
    draw_map,
    masks_of,
    outline,
    show,
    write_beside,
)
from medhash.analysis.numbers.context import Context
from medhash.data.prepared_files import FILES, MASKS
from medhash.errors import MedhashError
from medhash.papers.specs import Name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medhash.configuration.loading import Configuration

NOTE = (
    "Mean over the channels of a map. Colours run from its own least to its own greatest value: "
    "they show where a network answers, not how strongly."
)
_PANEL = 1.3
_SIDE = 1.7
"""Room for the rows' names, in inches."""


class Spec(PictureSpec):
    """Images and the maps of their networks, one row an image and cell.

    Attributes:
        maps: name of an array of the explanation -> its title.
        forms: how each is shown: its places as squares, resized to the image, or resized and laid
            over the image or over its mask.
        masks: whether the masks' borders are drawn on what has the image's size.
        of_class: the only class of the examples; empty: all classes in turn.
        spread: what the examples of that class are spread over evenly, from its least to its
            greatest value; their captions say it.
    """

    kind: Literal["feature_maps"]
    maps: dict[Name, str] = Field(min_length=1)
    forms: tuple[Literal["raw", "resized", "over-image", "over-mask"], ...] = Field(min_length=1)
    masks: bool = False
    of_class: str = ""
    spread: Attribute | None = None

    @property
    def arrays(self) -> tuple[str, ...]:
        """The rows and the maps."""
        return ("rows", *self.maps)

    def inputs(self, files: Configuration) -> list[Path]:
        """Those of any picture, the masks and the index."""
        further = [MASKS] * self._needs_masks + [FILES["index"]] * (self.spread is not None)
        folders = dict.fromkeys(map(files.data_of, self.cells()))
        return super().inputs(files) + [folder / name for folder in folders for name in further]

    @property
    def _needs_masks(self) -> bool:
        return self.masks or "over-mask" in self.forms

    def shown(self, found: Explained) -> list[int]:
        """From the classes in turn, or of one class, spread over an attribute.

        Raises:
            MedhashError: there is no such class or column, or a value is not known.
        """
        rows = found.arrays["rows"]
        if not self.of_class:
            return found.examples(self.examples)
        classes = found.dataset.classes
        if self.of_class not in classes:
            raise MedhashError(
                f"config/papers/{self.paper}.yaml, {self.name}: of_class '{self.of_class}' is no "
                f"class of {found.dataset.folder} (there are {', '.join(classes)})"
            )
        places = np.flatnonzero(found.labels[rows, classes.index(self.of_class)])
        if self.spread is not None:
            values = found.dataset.numbers(self.spread.column)[rows[places]]
            places = places[np.argsort(values, kind="stable")]
            steps = np.linspace(0, len(places) - 1, min(self.examples, len(places)))
            places = places[np.unique(steps.round().astype(int))]
        return [int(place) for place in places[: self.examples]]

    def values_of(self, found: Explained, place: int) -> Iterator[dict[str, Any]]:
        """Each row of each map, its values from left to right."""
        for name in self.maps:
            for number, values in enumerate(found.arrays[name][place]):
                text = " ".join(f"{value:.6g}" for value in values.tolist())
                yield {"map": name, "map_row": number, "values": text}

    def picture(
        self, explained: Explanations, points: pd.DataFrame, context: Context, titles: Sequence[str]
    ) -> Figure:
        """Datasets one below the other; an image stands beside the first of its cells."""
        from matplotlib.cm import ScalarMappable

        columns = 1 + len(self.maps) * len(self.forms)
        each = len(explained) // len(self.datasets)
        ran = {cell.dataset for cell, found in explained.items() if found}
        lines = [self.examples * each if dataset in ran else 1 for dataset in self.datasets]
        heights = [count * _PANEL + 0.5 for count in lines]
        figure = titled_figure(_SIDE + columns * _PANEL, sum(heights), [*titles, NOTE])
        blocks = figure.subfigures(len(lines), 1, squeeze=False, height_ratios=heights)[:, 0]
        for dataset, count, block in zip(self.datasets, lines, blocks, strict=True):
            block.suptitle(context.paper.dataset_title(dataset), fontsize=8.5)
            panels = block.subplots(count, columns, squeeze=False)
            for axes in panels.flat:
                bare(axes)
            if dataset not in ran:
                self.refuse(panels[0][columns // 2], dataset, context)
                continue
            cells = {cell: found for cell, found in explained.items() if cell.dataset == dataset}
            for number, (cell, found) in enumerate(cells.items()):
                if found is None:
                    self.refuse(panels[number][columns // 2], dataset, context)
                    continue
                title = context.paper.method_title(cell.method, cell.variant)
                for line, place in zip(panels[number::each], self.shown(found), strict=False):
                    self._draw(line, found, place, "" if number else self._caption(found, place))
                    write_beside(line[1], textwrap.fill(title, 16) if each > 1 else "")
                self._name_columns(panels[0], found)
            bar = block.colorbar(
                ScalarMappable(cmap=MAP_COLOURS), ax=panels, shrink=min(1.0, 2.5 / count)
            )
            bar.set_ticks([0, 1], labels=["least", "greatest"])
        return figure

    def _draw(self, line: Sequence[Axes], found: Explained, place: int, caption: str) -> None:
        """One row: the image, if it has a caption, and each map in all forms."""
        row = int(found.arrays["rows"][place])
        image = found.images[row]
        if caption:
            show(line[0], image)
            self._draw_borders(line[0], found, row)
            write_beside(line[0], caption)
        for (name, form), axes in zip(product(self.maps, self.forms), line[1:], strict=True):
            values = found.arrays[name][place]
            if form == "raw":
                draw_map(axes, values, len(image), interpolation="nearest")
                continue
            if form == "over-mask":
                axes.imshow(masks_of(found.dataset)[row], cmap="gray", interpolation="nearest")
            elif form == "over-image":
                show(axes, image)
            alpha = 1.0 if form == "resized" else 0.5
            draw_map(axes, values, len(image), interpolation="bilinear", alpha=alpha)
            self._draw_borders(axes, found, row)

    def _draw_borders(self, axes: Axes, found: Explained, row: int) -> None:
        if self.masks:
            outline(axes, masks_of(found.dataset)[row])

    def _caption(self, found: Explained, place: int) -> str:
        """The classes of an image, and the value that the examples are spread over."""
        row = int(found.arrays["rows"][place])
        value = "" if self.spread is None else f"\n{self.spread.text(found.dataset, row)}"
        return found.class_name(row) + value

    def _name_columns(self, line: Sequence[Axes], found: Explained) -> None:
        """What each column shows, with the sizes of maps and images."""
        borders = borders_text(found.dataset) if self.masks else ""
        line[0].set_title(f"image\n{borders}", fontsize=7)
        size = "{0} × {0}".format(found.images.shape[1])
        texts = {"resized": f"resized to {size}", "over-image": "over the image"}
        texts["over-mask"] = "over the mask"
        for (name, form), axes in zip(product(self.maps, self.forms), line[1:], strict=True):
            height, width = found.arrays[name].shape[1:]
            title = f"{self.maps[name]}\n{texts.get(form, f'{height} × {width}')}"
            axes.set_title(title, fontsize=7)
