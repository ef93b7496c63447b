"""House style of all figures, and how pictures are written: PDF and PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.analysis.numbers.context import NOT_RUN
from medhash.files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PNG_DOTS_PER_INCH = 200
TITLE_LINE = 0.17
"""Height of one line above the panels in inches."""

_CHARACTERS_PER_INCH = 14
# No date, no version: the same records give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.edgecolor": "0.3",
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "xtick.bottom": True,
    "ytick.left": True,
    "pdf.fonttype": 42,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save with medhash's own settings, whatever the user's matplotlibrc says."""
    import matplotlib as mpl
    import seaborn as sns

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(sns.axes_style("whitegrid"))
        mpl.rcParams.update(_STYLE)
        yield


def write_pictures(draw: Callable[[], Figure], *paths: Path) -> None:
    """Write a picture in the formats that the suffixes name; the same figure, the same bytes.

    Args:
        draw: makes the figure; called in :func:`house_style`, before anything is written.
        paths: end in ``.pdf`` or ``.png``.
    """
    contents = {}
    with house_style():
        figure = draw()
        for path in paths:
            stream, suffix = BytesIO(), path.suffix.removeprefix(".")
            metadata = _METADATA[suffix]
            figure.savefig(stream, format=suffix, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
            contents[path] = stream.getvalue()
    for path, content in contents.items():
        with written_whole(path) as temporary:
            temporary.write_bytes(content)


def titled_figure(width: float, height: float, titles: Sequence[str]) -> Figure:
    """An empty figure whose panels have this size in inches, with wrapped lines above them."""
    from matplotlib.figure import Figure

    characters = int(width * _CHARACTERS_PER_INCH)
    lines = [line for part in titles for line in textwrap.wrap(part, characters)]
    figure = Figure(figsize=(width, height + TITLE_LINE * len(lines)), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize=8.5, x=0.01, horizontalalignment="left")
    return figure


def say_not_run(axes: Axes, reason: str) -> None:
    """Write into an empty panel that it did not run, and why."""
    text = f"{NOT_RUN}\n{textwrap.fill(f'({reason})', 40)}"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.35")
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
