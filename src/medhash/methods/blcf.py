"""BLCF: bags of local convolutional features, weighed by saliency (Mohedano et al., CBMI 2018).

Each place of a classifier's last feature map is a word, the nearest of some that k-means finds in
the training images; an image is the histogram of its words, in which salient places count more.
The paper's saliency is a network of its own (SalGAN); the Y-Net paper's code takes the brightness
of the image in its place.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, normalize

from medhash.errors import MedhashError
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import bag_of_words
from medhash.schema.base import Count, StrictModel

_BLUE = 2


class BlcfSettings(StrictModel):
    """BLCF's own hyperparameters."""

    components: Count = 100
    """Principal components of local features; no more than the map has channels."""
    saliency: Literal["intensity", "l2norm", "uniform"] = "intensity"
    """What a place counts: the greatest brightness (blue) of its pixels, the length of its local
    feature, or 1; the first two as shares of the image's greatest."""


class LocalFeatures(NamedTuple):
    """The feature map (B, N, K) and what its places count (B, N)."""

    features: Tensor
    saliency: Tensor


class Method(DescriptorMethod[BlcfSettings]):
    """BLCF; the length of a descriptor is the number of words."""

    title: ClassVar[str] = "BLCF"
    Settings: ClassVar[type[BlcfSettings]] = BlcfSettings
    start: ClassVar[Start] = "classifier"
    mean: Tensor
    directions: Tensor
    words: Tensor

    def stand_on(self, classes: int) -> None:
        """Room for the components and the words."""
        channels = self.network.feature_width(self.network.settings)
        components = min(self.settings.components, channels)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("directions", torch.zeros(channels, components))
        self.register_buffer("words", torch.zeros(self.length, components))

    def look(self, pixels: Tensor) -> LocalFeatures:
        """Normalised images (B, 3, S, S) to local features, and what their places count."""
        features: Tensor = super().look(pixels)
        return LocalFeatures(features, self._saliency(pixels, features))

    def _saliency(self, pixels: Tensor, features: Tensor) -> Tensor:
        if self.settings.saliency == "uniform":
            return torch.ones_like(features[:, :, 0])
        if self.settings.saliency == "l2norm":
            found = features.norm(dim=2)
        else:
            blue = pixels[:, _BLUE] * self.network.deviation[_BLUE] + self.network.mean[_BLUE]
            found = adaptive_max_pool2d(blue[:, None], self.network.side).flatten(1)
        return found / found.amax(dim=1, keepdim=True).clamp(min=1e-12)

    def aggregate(self, outputs: LocalFeatures) -> Tensor:
        """The histogram of words (B, L), at length 1."""
        white = (normalize(outputs.features, dim=2) - self.mean) @ self.directions
        return bag_of_words(normalize(white, dim=2), self.words, outputs.saliency)

    def fit_sees(self, outputs: LocalFeatures) -> Tensor:
        """Local features (B, N, K)."""
        return outputs.features

    def fit(self, seen: Tensor) -> None:
        """Components, then words, of the training images' local features (n, N, K).

        Raises:
            MedhashError: there are fewer local features than words.
        """
        local = normalize(seen.flatten(0, 1), dim=1).cpu().double().numpy()
        if len(local) < self.length:
            raise MedhashError(
                f"{self.title}: the training images have {len(local)} local features, fewer than "
                f"the {self.length} words that the cell's bits ask for"
            )
        seed = int(torch.randint(2**31, (1,), generator=self.generator))
        # One thread: their number would decide the last bits of sums.
        with threadpool_limits(1):
            pca = PCA(self.directions.shape[1], svd_solver="full").fit(local)
            scales: Any = pca.explained_variance_.clip(min=1e-12) ** -0.5
            directions = torch.from_numpy((pca.components_ * scales[:, None]).T)
            white = normalize(torch.from_numpy(local - pca.mean_) @ directions, dim=1).numpy()
            words = KMeans(self.length, n_init=1, random_state=seed).fit(white).cluster_centers_
        self.mean.copy_(torch.from_numpy(pca.mean_))
        self.directions.copy_(directions)
        self.words.copy_(torch.from_numpy(words))
