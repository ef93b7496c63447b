"""VGG-16 with batch normalisation (Simonyan and Zisserman 2015; torchvision's layers)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from medhash.models.backbone import ImageBackbone
from medhash.schema.base import Count
from medhash.schema.settings import NetworkSettings

_FULLY_CONNECTED = 4096
_GRID = 7
_HALVINGS = 5


class Vgg16Settings(NetworkSettings):
    """Size of the network."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["vgg16_bn"] = "vgg16_bn"
    image_size: Annotated[Count, Field(ge=2**_HALVINGS)] = 224
    width: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the channels and of the fully connected units that are kept"
    )

    def scaled(self, channels: int) -> int:
        """A number of channels of the whole network, in this one; at least 1."""
        return max(1, round(channels * self.width))


class Backbone(ImageBackbone):
    """Images to the feature map after the last pooling, and that to the last hidden layer.

    Shapes: N = (S / 32)^2 places of 512 channels, D = 4096; both times ``settings.width``.
    """

    Settings = Vgg16Settings

    def __init__(self, settings: Vgg16Settings) -> None:
        super().__init__(settings)
        self.settings = settings
        layers: list[Any] = [
            step if isinstance(step, str) else settings.scaled(step) for step in cfgs["D"]
        ]
        self.features = make_layers(layers, batch_norm=True)
        hidden = settings.scaled(_FULLY_CONNECTED)
        self.side = settings.image_size // 2**_HALVINGS
        self.hidden = nn.Sequential(
            nn.AdaptiveAvgPool2d(_GRID),
            nn.Flatten(),
            nn.Linear(layers[-2] * _GRID**2, hidden),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(),
        )
        self.apply(_start_as_torchvision)

    @classmethod
    def pooled_width(cls, settings: Vgg16Settings) -> int:
        """Units of the last hidden layer."""
        return settings.scaled(_FULLY_CONNECTED)

    @classmethod
    def feature_width(cls, settings: Vgg16Settings) -> int:
        """Channels of the feature map."""
        return settings.scaled(cfgs["D"][-2])

    def encode(self, tokens: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to the feature map (B, N, 512)."""
        return self.features(tokens).flatten(2).transpose(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """The feature map (B, N, 512) to the last hidden layer (B, 4096)."""
        side = self.side
        return self.hidden(features.transpose(1, 2).unflatten(2, (side, side)))


def _start_as_torchvision(module: nn.Module) -> None:
    """The initial weights of ``torchvision.models.VGG``."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
