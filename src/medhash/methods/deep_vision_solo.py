"""Deep Vision (Salvador et al., CVPR workshops 2016): what a detector's regions look like.

The Y-Net paper pools the features of the objects that SOLO (Wang et al., ECCV 2020) proposes, with
weights trained on COCO, which are not to be had here; its notebook compares the objects' binary
masks instead, one bit for each of the 3072 columns of a fundus picture. medhash can train a Faster
R-CNN, the detector of Deep Vision's own paper, on boxes around the masks: the greatest answers of
the last two maps in the regions that it finds, 1024 and 2048 of ResNet-50, are the descriptor.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from medhash.methods.families.descriptor import DescriptorMethod
from medhash.methods.families.method import Start
from medhash.models.aggregation import unit
from medhash.models.detection import Detector
from medhash.schema.base import Count, StrictModel

_SIDE = 7


class DeepVisionSettings(StrictModel):
    """Deep Vision's own hyperparameters; ``detector`` has no default that could run."""

    detector: Literal["faster-rcnn"]
    regions: Count = 5
    """The surest ones count."""
    pyramid_channels: Count = 256
    head_units: Count = 1024


class DeepVisionOutputs(NamedTuple):
    """The maps of all stages, and in coding the regions of each image, (R, 4) in pixels."""

    maps: tuple[Tensor, ...]
    regions: list[Tensor]


class Method(DescriptorMethod[DeepVisionSettings]):
    """Deep Vision + SOLO, with another detector than SOLO."""

    title: ClassVar[str] = "Deep Vision + SOLO"
    Settings: ClassVar[type[DeepVisionSettings]] = DeepVisionSettings
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})
    start: ClassVar[Start] = "scratch"
    awaits: ClassVar[dict[str, str]] = {
        "detector": "SOLO with its weights of COCO is not to be had here; the setting "
        "methods.deep_vision_solo.detector: faster-rcnn trains a detector on the masks instead"
    }

    def stand_on(self, classes: int) -> None:
        """The detector."""
        channels, own = self.network.channels, self.settings
        length = sum(channels[-2:])
        self._require_length(range(length, length + 1), f"two maps of {self.kind}")
        size = self.network.image_size
        self.detector = Detector(
            channels, size, self.mask_classes, own.pyramid_channels, own.head_units
        )

    def look(self, pixels: Tensor) -> DeepVisionOutputs:
        """Normalised images (B, 3, S, S) to maps, and to what is found in them."""
        maps = tuple(each.float() for each in self.network.maps(pixels))
        found = [] if self.training else self.detector.detect(maps)
        return DeepVisionOutputs(maps, [boxes[: self.settings.regions] for boxes in found])

    def losses(
        self, outputs: DeepVisionOutputs, labels: Tensor, masks: Tensor | None
    ) -> dict[str, Tensor]:
        """The detector's, which are of a batch: each of its images has them as its value."""
        costs = {} if masks is None else self.detector.losses(outputs.maps, masks)
        return {name: cost.expand(len(labels)) for name, cost in costs.items()}

    def aggregate(self, outputs: DeepVisionOutputs) -> Tensor:
        """The greatest answers in an image's regions, each map's at length 1: (B, L)."""
        size = self.network.image_size
        vectors = []
        for maps in outputs.maps[-2:]:
            scale = maps.shape[-1] / size
            pooled = roi_align(maps, outputs.regions, _SIDE, scale, aligned=True)
            greatest = pooled.amax(dim=(2, 3)).split([len(boxes) for boxes in outputs.regions])
            vectors.append(unit(torch.stack([each.amax(dim=0) for each in greatest])))
        return unit(torch.cat(vectors, dim=1))
