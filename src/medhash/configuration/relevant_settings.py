"""Which settings, and which modules found by name, pretraining, training and scoring depend on.

What a step does not depend on must not make it run again. This module is reached by the training
code itself, so it imports nothing that training does not need.
"""

from __future__ import annotations

from typing import Any

from medhash.methods import family
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.schema.variants import parts_of, reasons_about_lesions

# They decide the last bits of a sum.
_ARITHMETIC = ("threads", "precision", "compile")


def pretraining(settings: Settings, stage: str) -> dict[str, Any]:
    """A pretraining stage depends on the network and on its own settings."""
    own = "mae" if stage == "mae" else "classification"
    return settings.model_dump(mode="json", include={"network", own, *_ARITHMETIC})


def backbone(settings: Settings) -> str:
    """The module of the network's backbone, which is found by name."""
    return f"medhash.models.backbones.{settings.network.kind}"


def training(settings: Settings, cell: Cell) -> dict[str, Any]:
    """A cell depends on its method, the parts of its variant, and the network if it has one.

    How its codes are scored is left out, but for the epoch that is chosen.
    """
    included = {"threads"}
    if family(cell.method) != "fitted":
        included |= {"network", "hashing", *_ARITHMETIC}
    included |= {"dbw"} & set(parts_of(cell.variant))
    chosen = settings.model_dump(mode="json", include=included)
    chosen |= _reasoning(settings, cell.variant)
    own = settings.methods.get(cell.method, {})
    chosen |= {"start": settings.start} if settings.start else {}
    return chosen | {"method": own, "selection": settings.evaluation.selection}


def _reasoning(settings: Settings, variant: str) -> dict[str, Any]:
    """What LCR or LFR reads: Eq. 21 is LCR's, and beside DBW both losses weigh the same."""
    if not reasons_about_lesions(variant):
        return {}
    parts = parts_of(variant)
    unread = {"other_classes"} if "lfr" in parts else set()
    unread |= {"share"} if "dbw" in parts else set()
    return {"lcr": settings.lcr.model_dump(mode="json", exclude=unread)}


def modules_of(settings: Settings, cell: Cell) -> tuple[str, ...]:
    """The modules that a cell finds by name: its family's training, its method, its backbone."""
    kind = family(cell.method)
    named = f"medhash.training.families.{kind}", f"medhash.methods.{cell.method}"
    return named if kind == "fitted" else (*named, backbone(settings))


def recording(settings: Settings) -> dict[str, Any]:
    """A record depends on how codes are scored."""
    keys = {"protocol", "cutoffs", "map_at", "graded"}
    return settings.evaluation.model_dump(mode="json", include=keys)
