"""A printed table, apart from what it is about: as Markdown and as LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from tabulate import tabulate

from medhash.analysis.numbers.statistics import is_p_value

if TYPE_CHECKING:
    import pandas as pd

Mark = Literal["", "best", "second"]

_LATEX_CHARACTERS = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "{}&%$#_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "’": "'",
    "“": "``",
    "”": "''",
}


@dataclass(frozen=True)
class PrintedCell:
    """One cell: its value, which carries the mark, and what is printed behind it."""

    value: str
    mark: Mark = ""
    suffix: str = ""

    @property
    def text(self) -> str:
        """The cell without marks, such as ``74.00 (↑9.11)``."""
        return f"{self.value} {self.suffix}".rstrip()


@dataclass(frozen=True)
class PrintedRow:
    """A row's label, its cells, one a column, and what is printed behind the label."""

    label: str
    cells: tuple[PrintedCell, ...]
    behind: str = ""

    @property
    def title(self) -> str:
        """The label as printed, such as ``HashNet+ACH(7/8)``."""
        return self.label + self.behind


@dataclass(frozen=True)
class PrintedTable:
    """A table ready to print.

    Attributes:
        title: the caption, one or more sentences.
        groups: the columns: a heading over the sub-headings below it.
        blocks: rows that belong together, one block a baseline; ruled off from each other.
        notes: sentences below the table.
        corner: heading of the rows' labels.
        comparison: a second table below the notes, in Markdown only: too wide for a page.
    """

    title: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    blocks: tuple[tuple[PrintedRow, ...], ...]
    notes: tuple[str, ...]
    comparison: PrintedTable | None = None
    corner: str = "Method"

    @property
    def all_notes(self) -> tuple[str, ...]:
        """Those of the comparison behind its own."""
        return self.notes + (self.comparison.notes if self.comparison else ())


def signed(value: Decimal) -> str:
    """``+1.50``, ``−7.0``, ``0.00``."""
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{abs(value)}"


def signed_points(value: float) -> str:
    """``+1.50``, ``−7.00``, ``0.00``; a dash for a number that is missing."""
    return "–" if math.isnan(value) else signed(Decimal(f"{value:.2f}"))


def half_text(
    point: Mapping[Any, Any] | pd.Series, mean: str, least: str, decimals: int = 2
) -> str:
    """`` ± 1.50``: half of an interval in a row of points; empty where there is none."""
    half = point[mean] - point[least]
    return "" if math.isnan(half) else f" ± {half:.{decimals}f}"


def points_as_text(points: pd.DataFrame) -> list[dict[str, str]]:
    """The points of a figure as rows of a CSV: numbers to six decimals, strengths as given.

    p-values have six decimals and an exponent.
    """
    import pandas as pd

    def text(name: str, value: Any) -> str:
        if pd.isna(value):
            return ""
        if isinstance(value, float):
            form = "g" if name == "strength" else ".6e" if is_p_value(name) else ".6f"
            return format(value, form)
        return str(value)

    rows = points.to_dict("records")
    return [{str(name): text(str(name), value) for name, value in row.items()} for row in rows]


def markdown(table: PrintedTable) -> str:
    """GitHub-flavoured Markdown: best bold, second best underlined.

    The underline is ``<ins>``: of the two tags that draw one, GitHub removes ``<u>``.
    """
    headings = [f"{group}<br>{name}" for group, names in table.groups for name in names]
    rows = [
        [markdown_text(row.title), *(_markdown_cell(cell) for cell in row.cells)]
        for block in table.blocks
        for row in block
    ]
    grid = tabulate(
        rows,
        headers=[table.corner, *map(markdown_text, headings)],
        tablefmt="pipe",
        colalign=["left", *["center"] * len(headings)],
        disable_numparse=True,
    )
    notes = "\n".join(f"- {markdown_text(note)}" for note in table.notes)
    text = f"**{markdown_text(table.title)}**\n\n{grid}\n\n{notes}\n"
    return text if table.comparison is None else f"{text}\n{markdown(table.comparison)}"


def latex(table: PrintedTable, label: str) -> str:
    r"""A ``table*`` environment for ``\input``; its document needs the package booktabs only.

    Args:
        table: what to print.
        label: name behind ``tab:``, for ``\ref``.
    """
    columns = sum(len(names) for _, names in table.groups)
    body = "\n\\midrule\n".join(
        "\n".join(_latex_row(row) for row in block) for block in table.blocks
    )
    notes = r" \\ ".join(latex_text(note) for note in table.notes)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{latex_text(table.title)}}}",
        rf"\label{{tab:{label}}}",
        r"\par\smallskip",
        r"\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'c' * columns}}}",
        r"\toprule",
        *_latex_head(table.corner, table.groups),
        r"\midrule",
        body,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\par\smallskip\parbox{{\textwidth}}{{\raggedright {notes}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Plain text with every character that LaTeX would read as a command escaped."""
    return "".join(_LATEX_CHARACTERS.get(character, character) for character in text)


def _latex_head(corner: str, groups: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    tops, rules, start = [""], [], 2
    for heading, names in groups:
        end = start + len(names) - 1
        tops.append(rf"\multicolumn{{{len(names)}}}{{c}}{{{latex_text(heading)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{end}}}")
        start = end + 1
    names_below = [latex_text(name) for _, names in groups for name in names]
    top = " & ".join(tops).lstrip()
    return [rf"{top} \\", " ".join(rules), rf"{' & '.join([latex_text(corner), *names_below])} \\"]


def _latex_row(row: PrintedRow) -> str:
    return " & ".join([latex_text(row.title), *map(_latex_cell, row.cells)]) + r" \\"


def _latex_cell(cell: PrintedCell) -> str:
    value = latex_text(cell.value)
    if cell.mark:
        value = rf"\{'textbf' if cell.mark == 'best' else 'underline'}{{{value}}}"
    return rf"{value}\,{latex_text(cell.suffix)}" if cell.suffix else value


def _markdown_cell(cell: PrintedCell) -> str:
    value = markdown_text(cell.value)
    if cell.mark:
        value = f"**{value}**" if cell.mark == "best" else f"<ins>{value}</ins>"
    return f"{value} {markdown_text(cell.suffix)}".rstrip()


def markdown_text(text: str) -> str:
    """Plain text with every character that Markdown would read as markup escaped."""
    # A title or name may hold the characters that Markdown takes for a column, emphasis or a tag.
    return re.sub(r"([\\|*_`~]|<(?!br>))", r"\\\1", text)
