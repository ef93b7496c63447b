"""What the report of a run depends on beside the files of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhash.configuration.dependencies import reported
from medhash.configuration.loading import Configuration
from medhash.files import sha256_of_file, sha256_of_value
from medhash.papers.reported import find_reported

FIDELITY = Path("docs/fidelity.md")
"""The choices where papers are silent; relative to the project's folder."""

TEMPLATES = Path(__file__).resolve().parents[1] / "report"


def report_settings(configuration: Configuration) -> dict[str, Any]:
    """Titles, grids and reported numbers that it prints, and its template, by their SHA-256."""
    grids = {key: spec.model_dump(mode="json") for key, spec in configuration.artefacts.items()}
    names = {
        paper.paper: paper.model_dump(mode="json", include={"title", "datasets", "methods"})
        for paper in configuration.papers.values()
    }
    numbers = {
        key: reported(spec, find_reported(spec.paper)) for key, spec in configuration.tables.items()
    }
    cards = {name: configuration.card(name) for _, name in configuration.views}
    shown = {name: [card.title, card.licence] for name, card in cards.items()}
    templates = sorted(path for path in TEMPLATES.iterdir() if path.suffix in _TEXTS)
    return {
        "grids": sha256_of_value(grids),
        "names": sha256_of_value([names, shown]),
        "reported": sha256_of_value(numbers),
        "templates": {path.name: sha256_of_file(path) for path in templates},
    }


_TEXTS = (".j2", ".css", ".js")
