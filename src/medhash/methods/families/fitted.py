"""The fitted family: what is fitted at once to features, in NumPy and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medhash.methods.families.method import Distance, Family, MethodDeclaration, Start
from medhash.schema.base import StrictModel

OwnSettings = TypeVar("OwnSettings", bound=StrictModel)
Numbers = NDArray[np.float64]
Parameters = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class FitResult:
    """What a fit gives.

    Attributes:
        parameters: all that :meth:`FittedMethod.project` needs.
        objective: what was minimised, after each iteration; one value where there is none.
    """

    parameters: Parameters
    objective: tuple[float, ...]


class FittedMethod(MethodDeclaration, Generic[OwnSettings]):
    """Base of all methods that are fitted at once. A code is the sign of a projection.

    Args:
        settings: the method's own hyperparameters, an instance of ``Settings``.
    """

    family: ClassVar[Family] = "fitted"
    distance: ClassVar[Distance] = "hamming"
    needs: ClassVar[frozenset[str]] = frozenset({"gist"})
    start: ClassVar[Start] = "scratch"

    def __init__(self, settings: OwnSettings) -> None:
        self.settings = settings

    def fit(
        self,
        features: Numbers,
        labels: NDArray[np.uint8],
        bits: int,
        rng: np.random.Generator,
    ) -> FitResult:
        """Find the parameters of the projection.

        Args:
            features: float64 (n, D), of the training images.
            labels: uint8 0/1 (n, C); an unsupervised method leaves them alone.
            bits: q.
            rng: for every random choice.

        Raises:
            MedhashError: the features do not suffice for that many bits.
        """
        raise NotImplementedError

    @staticmethod
    def project(parameters: Parameters, features: Numbers) -> Numbers:
        """Features (m, D) to float64 (m, q), whose signs are the codes; 0 counts as positive."""
        raise NotImplementedError
