"""Which parts of cards, scales and papers data steps, tables, figures and the report depend on.

What a step does not depend on must not make it run again. For pretraining and training see
:mod:`medhash.configuration.relevant_settings`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhash.configuration.loading import Configuration
from medhash.configuration.scales import PhantomSettings
from medhash.files import sha256_of_file, sha256_of_value
from medhash.papers.paper import Paper
from medhash.papers.reported import ReportedPaper, find_reported
from medhash.papers.specs import ArtefactSpec
from medhash.schema.datasets import DatasetCard

FIDELITY = Path("docs/fidelity.md")
"""The choices where papers are silent; relative to the project's folder."""

TEMPLATES = Path(__file__).resolve().parents[1] / "report"


def preparation(card: DatasetCard, image_size: int) -> dict[str, Any]:
    """A prepared dataset depends on its card, but for the split, and on the image size."""
    return {"card": card.model_dump(mode="json", exclude={"split"}), "image_size": image_size}


def phantom(card: DatasetCard, image_size: int, phantoms: PhantomSettings) -> dict[str, Any]:
    """A phantom depends also on how many images it has and on its seed."""
    own = {"images": phantoms.count(card), "seed": phantoms.seed}
    return preparation(card, image_size) | own


def split(card: DatasetCard, seed: int) -> dict[str, Any]:
    """A split depends on its rule and seed."""
    return {"rule": card.split.model_dump(mode="json"), "seed": seed}


def artefact(spec: ArtefactSpec, paper: Paper, protocol: str) -> dict[str, Any]:
    """A table or figure depends on its grid, on the names that it prints and on the protocol."""
    names = paper.model_dump(mode="json", include={"datasets", "methods", "variants"})
    return {"spec": spec.model_dump(mode="json"), "names": names, "protocol": protocol}


def reported(spec: ArtefactSpec, paper: ReportedPaper | None) -> dict[str, Any]:
    """A table depends also on the numbers that the paper prints in its place."""
    if paper is None:
        return {}
    table = paper.regenerated(spec.printed_as)
    if table is not None:
        return {"reported": table.model_dump(mode="json", include={"columns", "rows"})}
    if paper.lesions is not None and paper.lesions.regenerated_by == spec.name:
        return {"reported": paper.lesions.model_dump(mode="json")}
    return {}


def report(configuration: Configuration) -> dict[str, Any]:
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
    templates = sorted(
        path for path in TEMPLATES.iterdir() if path.suffix in (".j2", ".css", ".js")
    )
    return {
        "grids": sha256_of_value(grids),
        "names": sha256_of_value([names, shown]),
        "reported": sha256_of_value(numbers),
        "templates": {path.name: sha256_of_file(path) for path in templates},
    }
