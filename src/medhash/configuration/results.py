"""The files of a run that are worth looking at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medhash.configuration.loading import Configuration


def results_text(configuration: Configuration) -> str:
    """Tables, figures and leakage tables of a run, each with its path or as not made yet."""
    layout = configuration.layout
    tables = {
        layout.table(spec.paper, spec.name).with_suffix(".md"): spec.title
        for spec in configuration.tables.values()
    }
    figures = {
        layout.figure(spec.paper, spec.name).with_suffix(".png"): spec.title
        for spec in configuration.figures.values()
    }
    leakage = {
        configuration.leakage_for(*view).with_suffix(".md"): configuration.card(view[1]).title
        for view in configuration.views
    }
    groups = {"Tables": tables, "Figures": figures, "Leakage": leakage}
    lines = [f"Scale {configuration.label}: the files to look at"]
    for heading, files in groups.items():
        lines += [f"\n{heading}", *_lines(files)]
    records = f"{layout.cell('<paper>/<dataset>/<method>/<variant>/<bits>/<seed>')}/record.json"
    lines.append(f"\nEvery number comes from a record: {records}")
    return "\n".join(lines)


def _lines(files: dict[Path, str]) -> Iterator[str]:
    width = max(map(len, map(str, files)), default=0)
    for path, title in files.items():
        state = "" if path.is_file() else "  (not made yet)"
        yield f"  {path!s:{width}}  {title}{state}"
