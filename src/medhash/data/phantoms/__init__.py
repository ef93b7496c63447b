"""Procedural images with known lesions and known confounders."""

from medhash.data.phantoms.confounding import Confounding
from medhash.data.phantoms.generation import MODALITIES, generate

__all__ = ["MODALITIES", "Confounding", "generate"]
