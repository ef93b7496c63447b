"""House style of all figures, and how they are written: PDF, PNG and their points as CSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.analysis.numbers.context import NOT_RUN
from medhash.files import write_text, written_whole

if TYPE_CHECKING:
    import pandas as pd
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


def write_figure(draw: Callable[[], Figure], points: pd.DataFrame, output_stem: Path) -> list[Path]:
    """Write ``<output_stem>.pdf``, ``.png`` and ``.csv``; the same figure gives the same bytes.

    Args:
        draw: makes the figure; called in :func:`house_style`, before anything is written.
        points: what is drawn, as numbers.
        output_stem: path without suffix.

    Returns:
        The three paths.
    """
    paths = []
    for suffix, content in _rendered(draw, tuple(_METADATA)).items():
        paths.append(output_stem.with_name(f"{output_stem.name}.{suffix}"))
        _write_bytes(paths[-1], content)
    paths.append(output_stem.with_name(f"{output_stem.name}.csv"))
    write_text(paths[-1], points.to_csv(index=False, lineterminator="\n", float_format="%.8f"))
    return paths


def write_png(draw: Callable[[], Figure], path: Path) -> None:
    """Write one picture; the same figure gives the same bytes.

    Args:
        draw: makes the figure; called in :func:`house_style`, before anything is written.
        path: ends in ``.png``.
    """
    _write_bytes(path, _rendered(draw, ("png",))["png"])


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


def _rendered(draw: Callable[[], Figure], suffixes: Sequence[str]) -> dict[str, bytes]:
    """The figure's file in each format."""
    contents = {}
    with house_style():
        figure = draw()
        for suffix in suffixes:
            stream, metadata = BytesIO(), _METADATA[suffix]
            figure.savefig(stream, format=suffix, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
            contents[suffix] = stream.getvalue()
    return contents


def _write_bytes(path: Path, content: bytes) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
