"""AlexNet (Krizhevsky, Sutskever and Hinton, NIPS 2012) as Caffe has it.

Caffe's ``bvlc_alexnet``: five convolutions, the second, fourth and fifth of them in two groups,
local response normalisation after the first two, and two fully connected layers; 57.0 million
parameters. torchvision's network of that name is another one, of "One weird trick for
parallelizing convolutional neural networks" (Krizhevsky 2014): other widths, no groups, no
normalisation, its last features pooled to 6 x 6.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field
from torch import Tensor, nn

from medhash.models.backbone import CHANNELS
from medhash.models.caffe import CaffeBackbone, CaffeSettings
from medhash.schema.base import Count, Fraction
from medhash.schema.settings import NetworkSettings


class AlexNetSettings(CaffeSettings):
    """AlexNet's own settings."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["alexnet"] = "alexnet"
    # A limit beside the default would give way to Count's own.
    image_size: Annotated[Count, Field(ge=67)] = Field(
        227, description="three poolings need 67 pixels"
    )
    layout: Literal["caffe", "torchvision"] = "caffe"
    normalised: Literal["before-pooling", "after-pooling"] = "before-pooling"
    """Where layout caffe normalises: as ``bvlc_alexnet`` and the paper, or as ``CaffeNet``."""
    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the channels of every layer, for machines that cannot carry them all."""
    dropout: Fraction = 0.5
    initialisation: Literal["caffe", "torch", "he"] = "caffe"
    """Caffe's is normal with deviation 0.01 (0.005 in fc6 and fc7), biases 0 or 0.1; He's keeps the
    scale of activations through the layers, for short trainings."""


class _Convolution(NamedTuple):
    channels: int
    kernel: int
    stride: int
    padding: int
    groups: int
    bias: float
    """What Caffe's initialisation starts its biases from."""
    pooled: bool


_LAYOUTS = {
    "caffe": (
        _Convolution(96, 11, 4, 0, 1, 0.0, True),
        _Convolution(256, 5, 1, 2, 2, 0.1, True),
        _Convolution(384, 3, 1, 1, 1, 0.0, False),
        _Convolution(384, 3, 1, 1, 2, 0.1, False),
        _Convolution(256, 3, 1, 1, 2, 0.1, True),
    ),
    "torchvision": (
        _Convolution(64, 11, 4, 2, 1, 0.0, True),
        _Convolution(192, 5, 1, 2, 1, 0.1, True),
        _Convolution(384, 3, 1, 1, 1, 0.0, False),
        _Convolution(256, 3, 1, 1, 1, 0.1, False),
        _Convolution(256, 3, 1, 1, 1, 0.1, True),
    ),
}
_FULLY_CONNECTED = 4096
_TORCHVISION_SIDE = 6


class Backbone(CaffeBackbone):
    """Images to what fc7 says of them.

    Shapes: B images of S pixels; features are the n places of the last pooling (6 x 6 of 227
    pixels), D' channels each; D units of fc7.
    """

    Settings: ClassVar[type[NetworkSettings]] = AlexNetSettings

    def __init__(self, settings: AlexNetSettings) -> None:
        super().__init__(settings)
        plan = _LAYOUTS[settings.layout]
        self.convolutions = nn.Sequential(*_convolutional(settings, plan))
        side = _side(settings.image_size, plan)
        if settings.layout == "torchvision":
            self.convolutions.append(nn.AdaptiveAvgPool2d(_TORCHVISION_SIDE))
            side = _TORCHVISION_SIDE
        inputs, units = _scaled(plan[-1].channels, settings) * side**2, self.pooled_width(settings)
        # Caffe drops out after each layer, torchvision before.
        first, second = nn.Linear(inputs, units), nn.Linear(units, units)
        layers: list[nn.Module] = [first, nn.ReLU(), second, nn.ReLU()]
        for place in (2, 5) if settings.layout == "caffe" else (0, 3):
            layers.insert(place, nn.Dropout(settings.dropout))
        self.fully_connected = nn.Sequential(*layers)
        if settings.initialisation == "caffe":
            self._start_as_caffe(plan)
        elif settings.initialisation == "he":
            for layer in (*self.convolutions, first, second):
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    @classmethod
    def pooled_width(cls, settings: AlexNetSettings) -> int:
        """Units of fc7."""
        return _scaled(_FULLY_CONNECTED, settings)

    def encode(self, tokens: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) to the places of the last feature map, (B, n, D')."""
        return self.convolutions(tokens).flatten(2).movedim(1, 2)

    def pool(self, features: Tensor) -> Tensor:
        """The places (B, n, D') through fc6 and fc7 to (B, D)."""
        return self.fully_connected(features.movedim(2, 1).flatten(1))

    def _start_as_caffe(self, plan: tuple[_Convolution, ...]) -> None:
        convolutions = [each for each in self.convolutions if isinstance(each, nn.Conv2d)]
        for layer, planned in zip(convolutions, plan, strict=True):
            _start(layer, 0.01, planned.bias)
        for dense in self.fully_connected:
            if isinstance(dense, nn.Linear):
                _start(dense, 0.005, 0.1)


def _convolutional(settings: AlexNetSettings, plan: tuple[_Convolution, ...]) -> list[nn.Module]:
    """Convolution, ReLU, in Caffe's layout normalisation, pooling: in this order by default."""
    layers: list[nn.Module] = []
    channels = CHANNELS
    normalised = (0, 1) if settings.layout == "caffe" else ()
    for place, (width, kernel, stride, padding, groups, _, pooled) in enumerate(plan):
        scaled = _scaled(width, settings)
        layers += [nn.Conv2d(channels, scaled, kernel, stride, padding, groups=groups), nn.ReLU()]
        pool = [nn.MaxPool2d(3, 2)] if pooled else []
        norm = [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)] if place in normalised else []
        layers += [*norm, *pool] if settings.normalised == "before-pooling" else [*pool, *norm]
        channels = scaled
    return layers


def _side(size: int, plan: tuple[_Convolution, ...]) -> int:
    """Places along one side of the last feature map."""
    for _, kernel, stride, padding, _, _, pooled in plan:
        size = (size + 2 * padding - kernel) // stride + 1
        size = (size - 3) // 2 + 1 if pooled else size
    return size


def _scaled(channels: int, settings: AlexNetSettings) -> int:
    """The share of the channels that is kept: an even number, for two groups."""
    return max(2, 2 * round(channels * settings.width / 2))


def _start(layer: nn.Conv2d | nn.Linear, deviation: float, bias: float) -> None:
    nn.init.normal_(layer.weight, std=deviation)
    nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]
