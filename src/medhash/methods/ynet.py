"""Y-Net (Fang et al., JBHI 2021): segmentation and classification train the features of a code.

A main branch makes feature maps; the FPN branch finds the pixels' classes from them (Section
III-D), the R-MAC branch tells images apart (Section III-C), and Eq. 2 couples the two losses. In
the test only the main branch is left: its last map, the core node, is made a code by a step that
is not trained (Section III-B). Where the paper is silent or contradicts its public code:
docs/fidelity.md, Y1 to Y20.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from medhash.errors import MedhashError
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Distance, Start
from medhash.models.metric_losses import circle_loss, triplet_loss
from medhash.models.regions import RegionGrid, region_grid
from medhash.models.ynet import (
    HashAggregation,
    HashStep,
    MaskNorm,
    RegionBranch,
    SegmentationBranch,
    code_shape,
)
from medhash.schema.base import Count, Fraction, StrictModel


class YnetSettings(StrictModel):
    """Y-Net's own hyperparameters; the defaults are the paper's where it names some."""

    segmentation: bool = Field(True, description="whether there is an FPN branch")
    classification: Literal["circle", "cross-entropy", "none"] = Field(
        "circle", description="the loss of the R-MAC branch; none: there is no such branch"
    )
    loss: Literal["coupled", "sum"] = "coupled"
    omega: Fraction = Field(0.5, description="omega of Eq. 2, the weight of segmentation")
    learned_omega: bool = Field(False, description="whether training changes omega")
    scale: float = Field(32.0, gt=0, description="gamma of the circle loss")
    margin: Fraction = Field(0.25, description="m of the circle loss")
    pairs: Literal["anchor", "batch"] = "anchor"
    detach: bool = True
    region_channels: Count = 512
    region_norm: Literal["batch", "none"] = "batch"
    region_grid: RegionGrid = "tolias"
    region_levels: Count = 3
    mask_norm: MaskNorm = "none"
    hash: HashStep = "convolution"
    shape: Literal["wide", "deep"] = "wide"
    threshold: Literal["zero", "train-mean"] = Field(
        "zero", description="from where on a number is a 1: 0, or its mean over training images"
    )
    main: Literal["triplet", "triplet-cross-entropy", "untrained"] = Field(
        "triplet",
        description="without branches: what trains the main branch, and the hash layer with it",
    )
    triplet_margin: float = Field(0.5, gt=0, description="of main, times the number of bits")


class YNetOutputs(NamedTuple):
    """The core node (B, C, H, H), and what the branches make of a training batch."""

    core: Tensor
    pixels: Tensor | None
    """Scores of the classes of pixels, (B, mask classes, S, S)."""
    regions: Tensor | None
    """The R-MAC vector, (B, region channels)."""


class Method(DescriptorMethod[YnetSettings]):
    """Y-Net."""

    title: ClassVar[str] = "Y-Net"
    Settings: ClassVar[type[YnetSettings]] = YnetSettings
    distance: ClassVar[Distance] = "hamming"
    backbone: ClassVar[str] = "ynet_main"
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})
    start: ClassVar[Start] = "scratch"
    omega: Tensor
    threshold: Tensor

    def stand_on(self, classes: int) -> None:
        """The branches and the hash layer."""
        try:
            self._build_branches(classes)
            self.hashing = self._hash_layer()
        except ValueError as error:
            raise MedhashError(f"{self.title}: {error}; change its settings or the bits") from None
        omega = torch.tensor(self.settings.omega)
        if self.settings.learned_omega:
            self.omega = nn.Parameter(omega)
        else:
            self.register_buffer("omega", omega)
        self.register_buffer("threshold", torch.zeros(self.length))

    def _build_branches(self, classes: int) -> None:
        own, channels = self.settings, self.network.channels
        self.fpn = self.rmac = self.classes = None
        if own.segmentation:
            size = self.network.image_size
            self.fpn = SegmentationBranch(channels, size, self.mask_classes, own.mask_norm)
        if own.classification != "none":
            regions = region_grid(self.network.side, own.region_levels, own.region_grid)
            self.rmac = RegionBranch(channels[-1], own.region_channels, regions, own.region_norm)
        if own.classification == "cross-entropy":
            self.classes = nn.Linear(own.region_channels, classes)
        elif self._ranks and own.main == "triplet-cross-entropy":
            self.classes = nn.Linear(channels[-1] * self.network.side**2, classes)

    def _hash_layer(self) -> nn.Module:
        own, side, channels = self.settings, self.network.side, self.network.channels[-1]
        if self._ranks:
            return nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, self.length))
        shape = code_shape(self.length, side, own.shape)
        return HashAggregation(channels, side, shape, own.hash, self.generator)

    @property
    def _ranks(self) -> bool:
        """Whether a ranking loss trains the main branch and the hash layer, instead of branches."""
        cut = not self.settings.segmentation and self.settings.classification == "none"
        return cut and self.settings.main != "untrained"

    def look(self, pixels: Tensor) -> YNetOutputs:
        """Normalised images (B, 3, S, S) to the core node, and in training through the branches."""
        maps = self.network.maps(pixels)
        scores = self.fpn(maps) if self.training and self.fpn is not None else None
        vectors = self.rmac(maps[-1]) if self.training and self.rmac is not None else None
        return YNetOutputs(maps[-1], scores, vectors)

    def feature_maps(self, images: Tensor) -> dict[str, Tensor]:
        """Stored images, uint8 (B, T, T, 3), to the maps of Figs. 3 to 5, (B, channels, h, h) each.

        The core node; ``rmac``, which the R-MAC branch cuts its regions from; the blocks of the
        FPN branch. A branch that is cut has none.
        """
        maps = self.network.maps(self.network.fit(self.network.normalise(images)))
        found = {"core": maps[-1]}
        if self.rmac is not None:
            found["rmac"] = self.rmac.maps(maps[-1])
        if self.fpn is not None:
            found |= zip(("t3", "t2", "t1"), self.fpn.top_down(maps), strict=True)
        return found

    def losses(
        self, outputs: YNetOutputs, labels: Tensor, masks: Tensor | None
    ) -> dict[str, Tensor]:
        """Eq. 2, its two parts by themselves; of one branch alone, its loss."""
        if self._ranks:
            return self._ranking(outputs.core.float(), labels)
        parts = {}
        if outputs.pixels is not None and masks is not None:
            each = cross_entropy(outputs.pixels.float(), masks.long(), reduction="none")
            parts["segmentation"] = each.mean(dim=(1, 2))
        if outputs.regions is not None:
            parts["classification"] = self._classification(outputs.regions.float(), labels)
        if self.settings.loss == "sum" or len(parts) < 2:
            return parts
        weights = {"segmentation": self.omega.abs(), "classification": (1 - self.omega).abs()}
        return {name: weights[name] * part for name, part in parts.items()}

    def _classification(self, vectors: Tensor, labels: Tensor) -> Tensor:
        own = self.settings
        if self.classes is not None:
            return _cross_entropy(self.classes(vectors), labels)
        return circle_loss(
            vectors,
            labels,
            scale=own.scale,
            margin=own.margin,
            pairs=own.pairs,
            detach=own.detach,
        )

    def _ranking(self, core: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Triplets of the batch by the mean squared difference of the hash layer's outputs."""
        numbers = self.hashing(core)
        distances = (numbers[:, None] - numbers[None]).square().mean(dim=2)
        margin = self.settings.triplet_margin * self.length
        terms = {"triplet": triplet_loss(distances, labels, margin)}
        if self.classes is not None:
            terms["cross_entropy"] = _cross_entropy(self.classes(core.flatten(1)), labels)
        return terms

    def aggregate(self, outputs: YNetOutputs) -> Tensor:
        """The core node to k numbers (B, k); the paper's tanh behind it changes no sign."""
        return self.fit_sees(outputs) - self.threshold

    def is_trained(self) -> bool:
        """Unless all that has a loss is cut."""
        return self._ranks or self.fpn is not None or self.rmac is not None

    def is_fitted(self) -> bool:
        """Only if it learns thresholds."""
        return self.settings.threshold == "train-mean"

    def fit_sees(self, outputs: YNetOutputs) -> Tensor:
        """The k numbers before the threshold (B, k)."""
        numbers: Tensor = self.hashing(outputs.core.float())
        return numbers

    def fit(self, seen: Tensor) -> None:
        """Means over the training images (n, k) as thresholds."""
        self.threshold.copy_(seen.mean(dim=0))


def _cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """One value an image; one with several labels spreads its weight over them."""
    return cross_entropy(scores, labels / labels.sum(dim=1, keepdim=True), reduction="none")
