"""Which settings a step depends on: what it may not depend on must not make it run again."""

from __future__ import annotations

from typing import Any

from medhash.causal.variants import VARIANTS
from medhash.configuration.files import PhantomSettings
from medhash.configuration.grid import Cell
from medhash.configuration.papers import ArtefactSpec, Paper
from medhash.configuration.settings import Settings
from medhash.data.cards import DatasetCard

# They decide the last bits of a sum.
_ARITHMETIC = ("threads", "precision", "compile")


def preparation(card: DatasetCard, image_size: int) -> dict[str, Any]:
    """A prepared dataset depends on its card, but for the split, and on the image size."""
    return {"card": card.model_dump(mode="json", exclude={"split"}), "image_size": image_size}


def phantom(card: DatasetCard, image_size: int, phantoms: PhantomSettings) -> dict[str, Any]:
    """A phantom depends also on how many images it has and on its seed."""
    return preparation(card, image_size) | phantoms.model_dump(mode="json")


def split(card: DatasetCard, seed: int) -> dict[str, Any]:
    """A split depends on its rule and seed."""
    return {"rule": card.split.model_dump(mode="json"), "seed": seed}


def pretraining(settings: Settings, stage: str) -> dict[str, Any]:
    """A pretraining stage depends on the network and on its own settings."""
    return settings.model_dump(mode="json", include={"network", stage, *_ARITHMETIC})


def training(settings: Settings, cell: Cell) -> dict[str, Any]:
    """A cell depends on the network, its method and the parts of its variant.

    How its codes are scored is left out, but for the epoch that is chosen.
    """
    parts = VARIANTS[cell.variant]
    included = {"network", "hashing", *_ARITHMETIC}
    included |= {"dbw"} & set(parts)
    included |= {"lcr"} if {"lcr", "lfr"} & set(parts) else set()
    chosen = settings.model_dump(mode="json", include=included)
    own = settings.methods.get(cell.method, {})
    return chosen | {"method": own, "selection": settings.evaluation.selection}


def recording(settings: Settings) -> dict[str, Any]:
    """A record depends on how codes are scored."""
    return settings.evaluation.model_dump(mode="json", include={"protocol", "cutoffs"})


def artefact(spec: ArtefactSpec, paper: Paper, protocol: str) -> dict[str, Any]:
    """A table or figure depends on its grid, on the names that it prints and on the protocol."""
    names = paper.model_dump(mode="json", include={"datasets", "methods", "variants"})
    return {"spec": spec.model_dump(mode="json"), "names": names, "protocol": protocol}
