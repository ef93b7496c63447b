"""SSH: semi-supervised hashing (Wang, Kumar and Chang, TPAMI 2012).

Directions w on which labelled pairs fall on the same side if they share a label, on different
sides if not, and on which all images spread: the largest eigenvectors of the adjusted covariance
``M = Xl' S Xl + eta C``, with the covariance ``C = X' X`` and S of +1 and -1 for labelled pairs.
Orthogonal hashing takes the first q of them. Sequential hashing, which the paper recommends, takes
one at a time, corrects S where it was wrong and removes it from the features. OSDH compares with
it on GIST.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import eigh

from medhash.errors import MedhashError
from medhash.methods.families.fitted import FitResult, FittedMethod, Numbers, Parameters
from medhash.schema.base import Count, StrictModel


class SshSettings(StrictModel):
    """SSH's own hyperparameters."""

    form: Literal["sequential", "orthogonal"] = "sequential"
    """Which of the paper's forms: one direction after the other, or all at once."""
    labelled: Count = 2000
    """Training images whose pairs make S, drawn at random; all if there are fewer."""
    variance_weight: Annotated[float, Field(ge=0)] = 1.0
    """eta, once both terms of M have the same Frobenius norm."""
    correction: Annotated[float, Field(ge=0)] | None = None
    """alpha, the weight of a direction's errors in the next S; None is 1 / q."""


class Method(FittedMethod[SshSettings]):
    """SSH."""

    title: ClassVar[str] = "SSH"
    Settings: ClassVar[type[SshSettings]] = SshSettings

    def fit(
        self, features: Numbers, labels: NDArray[np.uint8], bits: int, rng: np.random.Generator
    ) -> FitResult:
        """Find the directions; the objective is what each of them reaches, w' M w."""
        count, size = features.shape
        if bits > min(count - 1, size):
            raise MedhashError(
                f"ssh: {bits} bits need as many directions; {count} training images with {size} "
                "features have fewer"
            )
        mean = features.mean(axis=0)
        centred = features - mean
        # Of length 1 in the mean, so that a direction's errors weigh as much as labels do.
        centred = centred / np.sqrt(np.square(centred).sum(axis=1).mean())
        chosen = np.sort(rng.permutation(count)[: self.settings.labelled])
        similarity = np.where(labels[chosen].astype(np.int64) @ labels[chosen].T > 0, 1.0, -1.0)
        if self.settings.form == "orthogonal":
            directions, reached = self._orthogonal(centred, chosen, similarity, bits)
        else:
            directions, reached = self._sequential(centred, chosen, similarity, bits)
        return FitResult({"mean": mean, "directions": directions}, tuple(map(float, reached)))

    @staticmethod
    def project(parameters: Parameters, features: Numbers) -> Numbers:
        """``(x - mean) W``."""
        projected: Numbers = (features - parameters["mean"]) @ parameters["directions"]
        return projected

    def _orthogonal(
        self, centred: Numbers, chosen: NDArray[np.intp], similarity: Numbers, bits: int
    ) -> tuple[Numbers, Numbers]:
        """The q largest eigenvectors of M. M is indefinite: the largest, not of size."""
        weight = self._variance_weight(centred, chosen, similarity)
        return largest(adjusted_covariance(centred, chosen, similarity, weight), bits)

    def _sequential(
        self, centred: Numbers, chosen: NDArray[np.intp], similarity: Numbers, bits: int
    ) -> tuple[Numbers, Numbers]:
        """Algorithm 1: a direction, the errors that it makes, what it leaves of the features."""
        correction = self.settings.correction
        alpha = 1 / bits if correction is None else correction
        weight = self._variance_weight(centred, chosen, similarity)
        directions, reached = [], []
        for _ in range(bits):
            matrix = adjusted_covariance(centred, chosen, similarity, weight)
            direction, value = largest(matrix, 1)
            projected = centred @ direction
            found = projected[chosen] @ projected[chosen].T
            similarity = similarity - alpha * np.where(found * similarity < 0, found, 0.0)
            centred = centred - projected @ direction.T
            directions.append(direction)
            reached.append(value)
        return np.concatenate(directions, axis=1), np.concatenate(reached)

    def _variance_weight(
        self, centred: Numbers, chosen: NDArray[np.intp], similarity: Numbers
    ) -> float:
        """What C is multiplied by, so that eta weighs terms of one norm.

        Not of one trace: that of the labelled term may be 0 or negative.
        """
        labelled = adjusted_covariance(centred, chosen, similarity, 0.0)
        ratio = np.linalg.norm(labelled) / np.linalg.norm(centred.T @ centred)
        return self.settings.variance_weight * float(ratio)


def adjusted_covariance(
    centred: Numbers, chosen: NDArray[np.intp], similarity: Numbers, weight: float
) -> Numbers:
    """M for features (n, D), rows (l,) of the labelled ones and their S (l, l): (D, D)."""
    labelled = centred[chosen]
    matrix: Numbers = labelled.T @ similarity @ labelled + weight * centred.T @ centred
    return matrix


def largest(matrix: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """The eigenvectors (D, count) of the largest eigenvalues, and these, largest first."""
    size = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=[size - count, size - 1])
    return vectors[:, ::-1], values[::-1]
