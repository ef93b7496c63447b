"""Descriptor cells: a network of the method's own, trained or not, and what is fitted after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.methods import method_class
from medhash.methods.families.descriptor import DescriptorMethod
from medhash.retrieval.codes import Codes
from medhash.schema.settings import Augmentation
from medhash.training.best_epoch import best_epoch
from medhash.training.checkpoints import (
    CLASSIFIER_PREFIX,
    METHOD_PREFIX,
    load_backbone,
    load_part,
    load_tensors,
    save_tensors,
)
from medhash.training.devices import Device, choose_device
from medhash.training.encoding import IMAGES_AT_ONCE, Encoder
from medhash.training.images import Batch, ImageSet, load_images, training_view
from medhash.training.loop import History, Objective, Run, fit
from medhash.training.machine import seed_for
from medhash.training.task import Task, Trained

_NO_LOSSES = "epoch,learning_rate\n"


class DescriptorEncoder(Encoder):
    """Images through a method's network to descriptors, or to the codes of their signs.

    Args:
        method: on the device.
        device: where it is.
    """

    def __init__(self, method: DescriptorMethod[Any], device: Device) -> None:
        self.method = method
        self.device = device
        self.length = method.length
        self.distance = method.distance

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Stored images, uint8 (n, T, T, 3), to float32 (n, L), or to packed codes."""
        self.method.eval()
        with self.device.autocast():
            described = self.method.describe(self.device.tensor(images))
        vectors = described.float().cpu().numpy()
        return self.packed(vectors) if self.distance == Codes.distance else vectors

    def machine(self) -> dict[str, Any]:
        """That of the network."""
        return self.device.machine()

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the method, its network included."""
        tensors = {f"{METHOD_PREFIX}{n}": t for n, t in self.method.state_dict().items()}
        save_tensors(path, tensors, facts)


class DescriptorObjective(Objective):
    """The mean of each of a method's losses; their sum is minimised."""

    def __init__(
        self, method: DescriptorMethod[Any], augmentation: Augmentation, device: Device
    ) -> None:
        super().__init__()
        self.method = method
        self.augmentation = augmentation
        self.device = device

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Means over the batch."""
        network = self.method.network
        pixels, masks = training_view(batch, network, self.augmentation, generator)
        with self.device.autocast():
            outputs = self.method.look(pixels)
        losses = self.method.losses(outputs, batch.labels, masks)
        return {name: values.float().mean() for name, values in losses.items()}


def train(task: Task) -> Trained:
    """Train the network if the method has losses, then fit what it fits.

    Raises:
        MedhashError: a length that the network does not have, weights of another shape or none
            where the method starts from some, a loss that is not finite.
        PausedError: the task's ``pause`` said so.
    """
    settings, inputs = task.settings, task.inputs
    where = _device_of(task)
    masks = "masks" in inputs.needs
    images = load_images(inputs.data_folder, inputs.split, "train", where.torch_device, masks=masks)
    method = build_method(task, inputs.data_folder)
    _load_start(method, task)
    method.network.set_normalisation(images.images.cpu())
    method.to(where.torch_device)
    objective = DescriptorObjective(method, settings.hashing.augmentation, where)
    encoder = DescriptorEncoder(method, where)
    best = best_epoch(task, objective, encoder)
    resume = task.folder / ".resume.safetensors"
    history, epochs = History(), 0
    if method.is_trained():
        epochs = settings.hashing.epochs
        title = f"train {task.cell}"
        seed, identity = task.cell.seed, task.identity
        run = Run(title, seed, where, resume, identity, best.look, best.keeps, task.pause)
        history = fit(objective, images, settings.hashing, run)
        epochs = best.restore(epochs)
    if method.is_fitted():
        _fit(method, images, where)
    facts = {
        "method_settings": method.settings.model_dump(mode="json"),
        "epochs": len(history.losses),
        "states": history.states,
        "evaluated_epoch": epochs,
        "parameters": sum(p.numel() for p in method.parameters()),
        "device": where.describe(),
    }
    losses = history.csv() if history.losses else _NO_LOSSES
    return Trained(encoder, losses, facts, (resume, *best.keeps))


def load(task: Task) -> DescriptorEncoder:
    """A trained cell, ready to encode.

    Raises:
        MedhashError: the checkpoint is of another cell or of other settings.
    """
    where = _device_of(task)
    method = build_method(task, task.inputs.data_folder)
    tensors, facts = load_tensors(task.checkpoint)
    task.check(facts)
    try:
        load_part(method, tensors, METHOD_PREFIX)
    except RuntimeError as error:
        raise task.misfit() from error
    return DescriptorEncoder(method.to(where.torch_device).eval(), where)


def build_method(task: Task, data_folder: Path) -> DescriptorMethod[Any]:
    """The method of a cell with random weights, for the classes of its dataset."""
    cell, dataset = task.cell, PreparedDataset(data_folder)
    kind = method_class(cell.method)
    masks = len(dataset.mask_classes) if "masks" in kind.needs else 0
    torch.manual_seed(seed_for(cell.seed, "network"))
    own = kind.Settings(**task.own_settings)
    generator = torch.Generator().manual_seed(seed_for(cell.seed, "method"))
    classes, network = dataset.labels.shape[1], task.settings.network
    method: DescriptorMethod[Any] = kind(own, network, cell.bits, classes, generator, masks)
    return method


def _device_of(task: Task) -> Device:
    settings = task.settings
    return choose_device(
        task.device,
        precision=settings.precision,
        threads=settings.threads,
        compile=settings.compile,
    )


def _load_start(method: DescriptorMethod[Any], task: Task) -> None:
    """The weights that the network starts from, by the settings or the method."""
    if (task.settings.start or method.start) == "scratch":
        return
    if task.inputs.pretrained is None:
        raise MedhashError(f"cell {task.cell}: no weights were named that its network starts from")
    load_backbone(method.network, task.inputs.pretrained)
    if method.class_layer is None:
        return
    tensors, _ = load_tensors(task.inputs.pretrained)
    try:
        load_part(method.class_layer, tensors, CLASSIFIER_PREFIX)
    except RuntimeError as error:
        raise MedhashError(
            f"{task.inputs.pretrained}: the last layer of this classifier does not stand on the "
            f"mean of its feature map, as {method.title} needs it; set network.kind to a residual "
            f"network, or pretrain it again ({error})"
        ) from error


@torch.no_grad()
def _fit(method: DescriptorMethod[Any], images: ImageSet, device: Device) -> None:
    """Show the method what its network makes of all training images."""
    method.eval()
    network, seen = method.network, []
    for part in images.images.split(IMAGES_AT_ONCE):
        with device.autocast():
            outputs = method.look(network.fit(network.normalise(part)))
        seen.append(method.fit_sees(outputs).float())
    method.fit(torch.cat(seen))
