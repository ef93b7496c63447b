"""The descriptor family: a method with a network of its own that describes images by vectors.

It may train the network by several losses, by one, or not at all, and may fit something to the
descriptions once training is over. What it gives is compared by its ``distance``; with
``hamming`` the signs of its numbers are the code.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from medhash.errors import MedhashError
from medhash.methods.families.method import Distance, Family, MethodDeclaration
from medhash.models import backbones
from medhash.schema.base import StrictModel
from medhash.schema.settings import NetworkSettings

OwnSettings = TypeVar("OwnSettings", bound=StrictModel)


class DescriptorMethod(MethodDeclaration, nn.Module, Generic[OwnSettings]):
    """Base of all methods that describe. Parameters and buffers are its whole state.

    Shapes: B images of S pixels a side, L numbers a descriptor, C classes.

    Attributes:
        kind: of the backbone.
        class_layer: the last layer of the shared classifier, for a method that makes room for it;
            filled where it starts from that classifier.

    Args:
        settings: the method's own hyperparameters, an instance of ``Settings``.
        network: the backbone that it stands on.
        length: L.
        classes: C.
        generator: for every random choice of the method.
        mask_classes: what the numbers of masks stand for, how many; 0 without masks.

    Raises:
        MedhashError: it cannot give descriptors of that length.
    """

    family: ClassVar[Family] = "descriptor"
    distance: ClassVar[Distance] = "euclidean"
    class_layer: nn.Linear | None

    def __init__(
        self,
        settings: OwnSettings,
        network: NetworkSettings,
        length: int,
        classes: int,
        generator: torch.Generator,
        mask_classes: int = 0,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.kind = network.kind
        self.length = length
        self.generator = generator
        self.mask_classes = mask_classes
        self.network = self.build(network, classes)
        self.class_layer = None
        self.stand_on(classes)

    def build(self, network: NetworkSettings, classes: int) -> Any:
        """The network, with random weights; by default the backbone alone."""
        return backbones.build(network)

    def stand_on(self, classes: int) -> None:
        """Build what the method itself puts on the network, for C classes; by default nothing."""

    def look(self, pixels: Tensor) -> Any:
        """Normalised images (B, 3, S, S) to all that losses and descriptors need.

        By default the backbone's features (B, n, D).
        """
        return self.network.encode(self.network.embed(pixels))

    def losses(self, outputs: Any, labels: Tensor, masks: Tensor | None) -> dict[str, Tensor]:
        """Named costs of a batch, one value a sample each; a method without any is not trained.

        Args:
            outputs: what :meth:`look` gave.
            labels: float (B, C), 0/1.
            masks: uint8 (B, S, S), class of each pixel, for a method that needs masks.

        Returns:
            float (B,) each.
        """
        return {}

    def aggregate(self, outputs: Any) -> Tensor:
        """What :meth:`look` gave, to descriptors (B, L)."""
        raise NotImplementedError

    def fit_sees(self, outputs: Any) -> Tensor:
        """What of a batch's outputs :meth:`fit` needs, one row an image; by default all."""
        return outputs

    def fit(self, seen: Tensor) -> None:
        """Called once after training, without gradients: words, principal components.

        Args:
            seen: what :meth:`fit_sees` gives of all training images, in their order.
        """

    def describe(self, images: Tensor) -> Tensor:
        """Stored images, uint8 (B, T, T, 3), to descriptors (B, L)."""
        network = self.network
        return self.aggregate(self.look(network.fit(network.normalise(images))))

    def is_trained(self) -> bool:
        """Whether it has losses, with its settings."""
        return type(self).losses is not DescriptorMethod.losses

    def is_fitted(self) -> bool:
        """Whether something is fitted after training, with its settings."""
        return type(self).fit is not DescriptorMethod.fit

    def _channels_as_length(self) -> int:
        """The channels of the backbone's feature map; a descriptor has as many numbers.

        Raises:
            MedhashError: the cell asks for another length.
        """
        channels: int = self.network.feature_width(self.network.settings)
        self._require_length(range(channels, channels + 1), f"the feature map of {self.kind}")
        return channels

    def _require_length(self, lengths: range, what: str) -> None:
        """Refuse a length that a network cannot give.

        Raises:
            MedhashError: says which it can.
        """
        if self.length not in lengths:
            possible = f"{lengths[-1]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
            raise MedhashError(
                f"{self.title}: {what} gives descriptors of {possible} numbers, not {self.length}; "
                "the cell's bits must name that length"
            )
