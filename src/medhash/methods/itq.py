"""ITQ: iterative quantisation (Gong, Lazebnik, Gordo, Perronnin; TPAMI 2013).

The features' first q principal components V are turned by the rotation R for which the corners of
the cube are nearest: minimise ``|B - V R|^2`` (the paper's Eq. 2) over signs B and rotations R in
turn. Unsupervised. OSDH compares with it on GIST.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from medhash.errors import MedhashError
from medhash.methods.families.fitted import FitResult, FittedMethod, Numbers, Parameters
from medhash.schema.base import Count, StrictModel


class ItqSettings(StrictModel):
    """ITQ's own hyperparameters."""

    iterations: Count = 50
    """The paper and its authors' code find 50 to be enough."""


class Method(FittedMethod[ItqSettings]):
    """ITQ."""

    title: ClassVar[str] = "ITQ"
    Settings: ClassVar[type[ItqSettings]] = ItqSettings

    def fit(
        self, features: Numbers, labels: NDArray[np.uint8], bits: int, rng: np.random.Generator
    ) -> FitResult:
        """Alternate between the codes and the rotation that fit each other (Section 3.2)."""
        if bits > min(len(features) - 1, features.shape[1]):
            raise MedhashError(
                f"itq: {bits} bits need as many principal components; {len(features)} training "
                f"images with {features.shape[1]} features have fewer"
            )
        mean = features.mean(axis=0)
        directions = principal_directions(features - mean, bits)
        projected = (features - mean) @ directions
        rotation = random_rotation(bits, rng)
        objective = []
        for _ in range(self.settings.iterations):
            codes = np.where(projected @ rotation >= 0, 1.0, -1.0)
            # Orthogonal Procrustes: of all rotations, this one turns V nearest to B.
            left, _, right = np.linalg.svd(projected.T @ codes)
            rotation = left @ right
            objective.append(float(np.square(codes - projected @ rotation).sum()))
        parameters = {"mean": mean, "directions": directions, "rotation": rotation}
        return FitResult(parameters, tuple(objective))

    @staticmethod
    def project(parameters: Parameters, features: Numbers) -> Numbers:
        """``(x - mean) W R``."""
        centred = features - parameters["mean"]
        projected: Numbers = centred @ parameters["directions"] @ parameters["rotation"]
        return projected


def principal_directions(centred: Numbers, count: int) -> Numbers:
    """The ``count`` directions of largest variance, largest first: (n, D) to (D, count)."""
    size = centred.shape[1]
    _, vectors = eigh(centred.T @ centred, subset_by_index=[size - count, size - 1])
    return vectors[:, ::-1]


def random_rotation(size: int, rng: np.random.Generator) -> Numbers:
    """An orthogonal matrix (size, size): the Q of a random matrix's QR decomposition."""
    return np.linalg.qr(rng.normal(size=(size, size)))[0]
