"""Which parts of cards, scales and papers the data steps, tables and figures depend on.

What a step does not depend on must not make it run again. For pretraining and training see
:mod:`medhash.configuration.relevant_settings`.
"""

from __future__ import annotations

from typing import Any

from medhash.configuration.scales import PhantomSettings
from medhash.papers.paper import Paper
from medhash.papers.reported import ReportedPaper
from medhash.papers.specs import ArtefactSpec
from medhash.schema.datasets import DatasetCard


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
    table = paper.regenerated(spec.name)
    if table is not None:
        return {"reported": table.model_dump(mode="json", include={"columns", "rows"})}
    if paper.lesions is not None and paper.lesions.regenerated_by == spec.name:
        return {"reported": paper.lesions.model_dump(mode="json")}
    return {}
