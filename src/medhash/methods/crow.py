"""CroW: cross-dimensional weighting (Kalantidis, Mellina, Osindero; ECCV workshops 2016).

The last feature map of a classifier, weighted by place and by channel, and summed: see
:func:`medhash.models.aggregation.crow`. Nothing is trained. The paper brings the vector to length
1, whitens it by components learned on other images and brings it to length 1 again; the Y-Net
paper's 512 numbers are as many as the map has channels, so that nothing is whitened by default.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import crow, unit
from medhash.schema.base import StrictModel


class CrowSettings(StrictModel):
    """CroW's own hyperparameters."""

    whiten: Literal["none", "train"] = "none"
    """``train``: principal components of the training images' vectors, to unit variance."""


class Method(DescriptorMethod[CrowSettings]):
    """CroW."""

    title: ClassVar[str] = "CroW"
    Settings: ClassVar[type[CrowSettings]] = CrowSettings
    start: ClassVar[Start] = "classifier"
    mean: Tensor
    directions: Tensor

    def stand_on(self, classes: int) -> None:
        """Room for the components, if they are asked for."""
        channels = self.network.feature_width(self.network.settings)
        whitened = self.settings.whiten != "none"
        possible = range(1 if whitened else channels, channels + 1)
        self._require_length(possible, f"the feature map of {self.kind}")
        if whitened:
            self.register_buffer("mean", torch.zeros(channels))
            self.register_buffer("directions", torch.zeros(channels, self.length))

    def aggregate(self, outputs: Tensor) -> Tensor:
        """The weighted sum of the feature map, (B, N, K) to (B, L), at length 1."""
        vectors = unit(crow(outputs))
        if self.settings.whiten == "none":
            return vectors
        return unit((vectors - self.mean) @ self.directions)

    def is_fitted(self) -> bool:
        """Only if it whitens."""
        return self.settings.whiten != "none"

    def fit(self, seen: Tensor) -> None:
        """Learn the components."""
        vectors = unit(crow(seen)).cpu().double().numpy()
        pca = PCA(self.length, svd_solver="full").fit(vectors)
        scales = pca.explained_variance_.clip(min=1e-12) ** -0.5
        self.mean.copy_(torch.from_numpy(pca.mean_))
        self.directions.copy_(torch.from_numpy((pca.components_ * scales[:, None]).T))
