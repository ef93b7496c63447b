"""Weights that were trained elsewhere, under the names that medhash's backbones have for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from torch import Tensor

from medhash.errors import MedhashError
from medhash.models import backbones
from medhash.schema.settings import NetworkSettings
from medhash.stored import reading
from medhash.training.checkpoints import save_tensors

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

_RESIDUAL = {"conv1.": "stem.0.", "bn1.": "stem.1."} | {
    f"layer{stage + 1}.": f"stages.{stage}." for stage in range(4)
}
PUBLISHED_NAMES = {
    "alexnet": {
        "features.": "convolutions.",
        "classifier.1.": "fully_connected.1.",
        "classifier.4.": "fully_connected.4.",
    },
    "resnet50": _RESIDUAL,
    "resnet101": _RESIDUAL,
    "vgg16_bn": {"classifier.0.": "hidden.2.", "classifier.3.": "hidden.5."},
    "vit": {
        part: f"transformer.{part}" for part in ("cls_token", "pos_embed", "patch_", "blocks.")
    },
}
"""Kind of network -> how names begin in torchvision's files (of vit: timm's) -> and in ours."""
_OF_THE_IMAGES = ("mean", "deviation")


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Take the weights of a network."""
    paper, kind = step.values
    network = configuration.starting_network(paper, kind)
    take_weights(step.inputs["file"], network, step.outputs["weights"])


def take_weights(file: Path, network: NetworkSettings, out: Path) -> None:
    """Write the weights of a backbone as its pretraining would.

    Tensors that the backbone has no place for, such as a layer of other classes, are left out.
    What its images are normalised by is not taken: training measures it.

    Args:
        file: ``.safetensors``, with the names of medhash's own checkpoints, or with those of
            torchvision's networks (alexnet, resnet50, resnet101, vgg16_bn) and timm's (vit).
        network: that the weights are for.
        out: a ``.safetensors`` file.

    Raises:
        MedhashError: the file cannot be read, lacks a tensor, or has one of another shape.
    """
    given = renamed(_tensors(file), network.kind)
    wanted = backbones.build(network).state_dict()
    taken: dict[str, Tensor] = {}
    for name, own in wanted.items():
        tensor = own if name in _OF_THE_IMAGES else given.get(name)
        if tensor is None:
            raise MedhashError(
                f"{file}: has no tensor '{name}' of the network '{network.kind}'; name its tensors "
                "as torchvision or timm or medhash does, or name another file under weights"
            )
        if tensor.shape != own.shape:
            raise MedhashError(
                f"{file}: tensor '{name}' is of shape {list(tensor.shape)}, the network "
                f"'{network.kind}' of these settings needs {list(own.shape)}; set network to the "
                "size that the weights are of (width, image_size, …)"
            )
        taken[name] = tensor.to(own.dtype)
    save_tensors(out, taken, {"stage": "weights"})


def _tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a file, which may be of any maker."""
    remedy = "name a .safetensors file under weights in config.yaml"
    with reading(file, remedy, "file of weights"), safe_open(file, framework="pt") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118


def renamed(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Under our names, whosever they were."""
    published = PUBLISHED_NAMES.get(kind, {})
    return {
        next(
            (
                ours + name.removeprefix(theirs)
                for theirs, ours in published.items()
                if name.startswith(theirs)
            ),
            name,
        ): tensor
        for name, tensor in tensors.items()
    }
