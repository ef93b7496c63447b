"""A detector of regions on the maps of a network: torchvision's Faster R-CNN, put together here.

Images come in their size and normalised, and their maps are made already.

Shapes: B images of S pixels a side, R regions of an image; boxes are (left, top, right, bottom) in
pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, masks_to_boxes

_SIDE = 7
_PROPOSALS, _SAMPLES = 256, 64
"""Of an image; a few objects need fewer than the thousands and hundreds of torchvision."""
_RATIOS = (0.5, 1.0, 2.0)
_SMALLEST = 16
"""Sides of anchors: S over this on the largest map, twice as much on each smaller one."""


class Detector(nn.Module):
    """What Faster R-CNN (Ren et al., NIPS 2015; Lin et al., CVPR 2017) puts on feature maps.

    Args:
        channels: of the maps, large maps first.
        size: S.
        classes: of regions, the background among them.
        width: channels of the pyramid.
        units: of the head's two layers.
    """

    def __init__(
        self, channels: tuple[int, ...], size: int, classes: int, width: int, units: int
    ) -> None:
        super().__init__()
        self.size = size
        self.names = [str(place) for place in range(len(channels))]
        self.pyramid = FeaturePyramidNetwork(list(channels), width)
        sides = tuple((max(1, size * 2**level // _SMALLEST),) for level in range(len(channels)))
        anchors = AnchorGenerator(sides, (_RATIOS,) * len(channels))
        head = RPNHead(width, len(_RATIOS))
        many = {"training": _PROPOSALS, "testing": _PROPOSALS}
        self.proposals = RegionProposalNetwork(
            anchors, head, 0.7, 0.3, _SAMPLES, 0.5, many, many, 0.7
        )
        self.regions = RoIHeads(
            MultiScaleRoIAlign(self.names, _SIDE, 2),
            TwoMLPHead(width * _SIDE**2, units),
            FastRCNNPredictor(units, classes),
            *(0.5, 0.5, _SAMPLES, 0.25, None, 0.05, 0.5, 100),
        )

    def losses(self, maps: tuple[Tensor, ...], masks: Tensor) -> dict[str, Tensor]:
        """The four losses of a batch, one number each; masks uint8 (B, S, S), class of pixels."""
        return self._run(maps, [targets_of(mask) for mask in masks])[1]

    def detect(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        """Boxes (R, 4) of each image, the surest first; of one without any, the whole image."""
        boxes = [each["boxes"] for each in self._run(maps, None)[0]]
        whole = maps[0].new_tensor([[0.0, 0.0, self.size, self.size]])
        return [each if len(each) else whole for each in boxes]

    def _run(
        self, maps: tuple[Tensor, ...], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        sizes = [(self.size, self.size)] * len(maps[0])
        images = ImageList(maps[0].new_zeros(len(maps[0]), 1, self.size, self.size), sizes)
        features: Any = self.pyramid(dict(zip(self.names, maps, strict=True)))
        boxes, proposing = self.proposals(images, features, targets)
        found, deciding = self.regions(features, boxes, sizes, targets)
        return found, {**proposing, **deciding}


def targets_of(mask: Tensor) -> dict[str, Tensor]:
    """What is to be found in an image: a box around the pixels of each class but the background.

    Args:
        mask: uint8 (S, S), class ids.

    Returns:
        ``boxes``, float (R, 4), and ``labels``, int64 (R,), of classes with two rows and columns
        of pixels at least.
    """
    present = torch.unique(mask)
    present = present[present > 0]
    if not len(present):
        return {"boxes": mask.new_zeros(0, 4, dtype=torch.float32), "labels": present.long()}
    boxes = masks_to_boxes(mask[None] == present[:, None, None]).float()
    large = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return {"boxes": boxes[large], "labels": present[large].long()}
