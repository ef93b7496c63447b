"""A toy of the fitted family in one file: random hyperplanes through the features' mean."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medhash.methods.families.fitted import FitResult, FittedMethod, Numbers, Parameters
from medhash.schema.base import StrictModel


class ToySettings(StrictModel):
    """The toy has no hyperparameters."""


class Method(FittedMethod[ToySettings]):
    """Locality-sensitive hashing; nothing here imports torch."""

    title: ClassVar[str] = "Random hyperplanes"
    Settings: ClassVar[type[ToySettings]] = ToySettings

    def fit(
        self, features: Numbers, labels: NDArray[np.uint8], bits: int, rng: np.random.Generator
    ) -> FitResult:
        """Draw the normals; nothing is minimised."""
        normals = rng.normal(size=(features.shape[1], bits))
        return FitResult({"mean": features.mean(axis=0), "normals": normals}, (0.0,))

    @staticmethod
    def project(parameters: Parameters, features: Numbers) -> Numbers:
        """On which side of each hyperplane."""
        sides: Numbers = (features - parameters["mean"]) @ parameters["normals"]
        return sides
