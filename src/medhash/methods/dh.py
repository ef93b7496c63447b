"""DH: deep hashing (Liong, Lu, Wang, Moulin and Zhou, CVPR 2015).

A network of tanh layers on a hand-made feature, ``h_m = tanh(W_m h_{m-1} + c_m)``, whose last
layer's signs B are the code. With H of n images it minimises, by gradient descent,

``|B - H|^2 / 2 - lambda_1 tr(H H') / 2n + lambda_2 sum |W_m W_m' - I|^2 / 2
+ lambda_3 sum (|W_m|^2 + |c_m|^2) / 2``:

codes near their signs, bits that vary, independent directions, small weights. Unsupervised. OSDH
compares with it on GIST. The supervised form of the same paper is :mod:`medhash.methods.sdh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medhash.errors import MedhashError
from medhash.methods.families.fitted import FitResult, FittedMethod, Numbers, Parameters
from medhash.methods.itq import principal_directions
from medhash.schema.base import Count, StrictModel

Weight = Annotated[float, Field(ge=0)]

_HIDDEN = {16: (60, 30), 32: (80, 50), 48: (90, 65), 64: (100, 80)}


class DhSettings(StrictModel):
    """DH's own hyperparameters."""

    hidden: tuple[Count, ...] | None = None
    """Units of the layers before the last; None is 60-30, 80-50, 90-65 or 100-80 for codes of up
    to 16, 32, 48 or 64 bits."""
    variance_weight: Weight = 100.0
    """lambda_1."""
    orthogonality_weight: Weight = 0.001
    """lambda_2."""
    decay_weight: Weight = 0.001
    """lambda_3."""
    iterations: Count = 300
    """Passes over the training images."""
    batch_size: Count | None = None
    """n, images of a step, at most; None is all of them."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Of the objective over n."""


OwnSettings = TypeVar("OwnSettings", bound=DhSettings)
Layers = tuple[list[Numbers], list[Numbers]]
"""Weights (units, inputs) and biases (units,) of each layer."""


class DeepHashing(FittedMethod[OwnSettings]):
    """What DH and its supervised form share; DH's own terms are zero in ``supervision``."""

    def fit(
        self, features: Numbers, labels: NDArray[np.uint8], bits: int, rng: np.random.Generator
    ) -> FitResult:
        """Gradient descent from principal components, which later layers hand on.

        The objective is given over n, in the mean of each pass.
        """
        units = self._units(bits, *features.shape)
        mean = features.mean(axis=0)
        first = principal_directions(features - mean, units[0]).T
        # Of variance 1 in the mean, whatever the feature's unit is: with smaller inputs the biases
        # outgrow the weights, and all images get one code.
        scale = np.sqrt(np.square((features - mean) @ first.T).mean())
        inputs = (features - mean) / scale
        weights = [first, *(np.eye(after, before) for before, after in pairwise(units))]
        biases = [np.zeros(count) for count in units]
        layers = (weights, biases)
        # Alike in size: the weight of some terms depends on it.
        parts = ceil(len(inputs) / (self.settings.batch_size or len(inputs)))
        objective = []
        for _ in range(self.settings.iterations):
            order = rng.permutation(len(inputs)) if parts > 1 else np.arange(len(inputs))
            batches = np.array_split(order, parts)
            costs = [self._descend(layers, inputs[rows], labels[rows]) for rows in batches]
            objective.append(float(np.mean(costs)))
        parameters = {"mean": mean}
        parameters |= {f"weight{m}": w / (1 if m else scale) for m, w in enumerate(weights)}
        return FitResult(
            parameters | {f"bias{m}": b for m, b in enumerate(biases)}, tuple(objective)
        )

    @staticmethod
    def project(parameters: Parameters, features: Numbers) -> Numbers:
        """The last layer's outputs."""
        count = sum(name.startswith("weight") for name in parameters)
        weights, biases = (
            [parameters[f"{n}{m}"] for m in range(count)] for n in ("weight", "bias")
        )
        return forward((weights, biases), features - parameters["mean"])[-1]

    def step(
        self, layers: Layers, inputs: Numbers, labels: NDArray[np.uint8]
    ) -> tuple[float, Layers]:
        """The objective of n images and its gradient.

        Args:
            layers: the network.
            inputs: float64 (n, D).
            labels: uint8 0/1 (n, C).

        Returns:
            The objective, and its slopes in the form of the layers.
        """
        own, (weights, biases) = self.settings, layers
        outputs = forward(layers, inputs)
        relaxed = outputs[-1]
        error = relaxed - np.where(relaxed >= 0, 1.0, -1.0)
        supervised, slope = self.supervision(relaxed, labels)
        share = own.variance_weight / len(inputs)
        cost = (np.square(error).sum() - share * np.square(relaxed).sum()) / 2 + supervised
        slope = error - share * relaxed + slope
        slopes: Layers = ([], [])
        for place in reversed(range(len(weights))):
            weight, bias = weights[place], biases[place]
            skew = weight @ weight.T - np.eye(len(weight))
            cost += own.orthogonality_weight * np.square(skew).sum() / 2
            cost += own.decay_weight * (np.square(weight).sum() + np.square(bias).sum()) / 2
            delta = slope * (1 - np.square(outputs[place + 1]))
            decay = 2 * own.orthogonality_weight * skew @ weight + own.decay_weight * weight
            slopes[0].insert(0, delta.T @ outputs[place] + decay)
            slopes[1].insert(0, delta.sum(axis=0) + own.decay_weight * bias)
            slope = delta @ weight
        return float(cost), slopes

    def supervision(self, relaxed: Numbers, labels: NDArray[np.uint8]) -> tuple[float, Numbers]:
        """What the labels add to the objective, and its slope: H (n, q) to a number and (n, q)."""
        return 0.0, np.zeros_like(relaxed)

    def _descend(self, layers: Layers, inputs: Numbers, labels: NDArray[np.uint8]) -> float:
        """One step of gradient descent; the objective over n before it."""
        cost, slopes = self.step(layers, inputs, labels)
        for own, towards in zip(layers, slopes, strict=True):
            for place, slope in enumerate(towards):
                own[place] = own[place] - self.settings.learning_rate * slope / len(inputs)
        return cost / len(inputs)

    def _units(self, bits: int, count: int, size: int) -> tuple[int, ...]:
        """Units of every layer, for ``count`` images of ``size`` features."""
        units = (*(self.settings.hidden or _hidden(bits)), bits)
        if units[0] > min(count - 1, size):
            raise MedhashError(
                f"{self.title}: its first layer has {units[0]} units, which start as principal "
                f"components; {count} training images with {size} features have fewer. Give it "
                "fewer by `hidden`"
            )
        return units


class Method(DeepHashing[DhSettings]):
    """DH."""

    title: ClassVar[str] = "DH"
    Settings: ClassVar[type[DhSettings]] = DhSettings


def forward(layers: Layers, inputs: Numbers) -> Sequence[Numbers]:
    """The inputs (n, D) and every layer's outputs."""
    outputs = [inputs]
    for weight, bias in zip(*layers, strict=True):
        outputs.append(np.tanh(outputs[-1] @ weight.T + bias))
    return outputs


def _hidden(bits: int) -> tuple[int, int]:
    """Of the shortest code that is as long, or longer."""
    longer = [length for length in _HIDDEN if length >= bits]
    if not longer:
        raise MedhashError(f"dh: {bits} bits: say by `hidden` how many units its layers have")
    return _HIDDEN[longer[0]]
