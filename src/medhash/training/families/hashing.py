"""Hashing cells: from a backbone to relaxed codes and their signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.methods import method_class
from medhash.methods.families.hashing import HashingMethod
from medhash.models import backbones
from medhash.models.heads import HashingNetwork
from medhash.retrieval.codes import Codes
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.settings import Settings
from medhash.training.best_epoch import best_epoch
from medhash.training.checkpoints import (
    METHOD_PREFIX,
    NETWORK_PREFIX,
    load_backbone,
    load_network,
    load_part,
    load_tensors,
    save_tensors,
)
from medhash.training.devices import Device, choose_device
from medhash.training.encoding import Encoder
from medhash.training.hashing import HashingObjective
from medhash.training.images import load_images
from medhash.training.loop import Run, fit
from medhash.training.machine import seed_for
from medhash.training.task import CellInputs, Task, Trained


class HashingEncoder(Encoder):
    """Images through a hashing network to packed codes.

    Args:
        objective: network and method, on the device.
        device: where they are.
    """

    distance = Codes.distance

    def __init__(self, objective: HashingObjective, device: Device) -> None:
        self.network = objective.network
        self.method = objective.method
        self.device = device
        self.length = objective.method.bits

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored images, uint8 (n, T, T, 3), to packed codes, uint8 (n, ceil(q / 8))."""
        self.network.eval()
        with self.device.autocast():
            outputs = self.network(self.device.tensor(images))
        return self.packed(self.method.relax(outputs.float()).cpu().numpy())

    def learned_codes(self) -> NDArray[np.uint8] | None:
        """Those of a method with a discrete step."""
        learned = self.method.learned_codes()
        return None if learned is None else np.packbits(learned.cpu().numpy() > 0, axis=1)

    def machine(self) -> dict[str, Any]:
        """That of the network."""
        return self.device.machine()

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write network and method."""
        parts = ((NETWORK_PREFIX, self.network), (METHOD_PREFIX, self.method))
        tensors = {f"{pre}{name}": t for pre, m in parts for name, t in m.state_dict().items()}
        save_tensors(path, tensors, facts)


def train(task: Task) -> Trained:
    """Train network and method.

    Raises:
        MedhashError: a loss that is not finite, pretrained weights of another shape or none where
            the cell needs some, or no ``score`` where the selection needs one.
        PausedError: the task's ``pause`` said so.
    """
    cell, settings, inputs = task.cell, task.settings, task.inputs
    where = device_of(task, compile=settings.compile)
    masks = "masks" in inputs.needs
    images = load_images(inputs.data_folder, inputs.split, "train", where.torch_device, masks=masks)
    objective = build_objective(cell, settings, images.labels, where)
    _show_database(objective.method, inputs)
    _load_pretrained(objective, cell, settings, inputs.pretrained)
    objective.network.backbone.set_normalisation(images.images.cpu())
    objective.to(where.torch_device)
    encoder = HashingEncoder(objective, where)
    best = best_epoch(task, objective, encoder)
    run = Run(
        f"train {cell}",
        cell.seed,
        where,
        task.folder / ".resume.safetensors",
        task.identity,
        watch=best.look,
        keeps=best.keeps,
        pause=task.pause,
    )
    history = fit(objective, images, settings.hashing, run)
    facts = {
        "method_settings": objective.method.settings.model_dump(mode="json"),
        "epochs": settings.hashing.epochs,
        "states": history.states,
        "evaluated_epoch": best.restore(settings.hashing.epochs),
        "parameters": sum(p.numel() for p in objective.network.parameters()),
        "device": where.describe(),
    }
    return Trained(encoder, history.csv(), facts, (run.resume, *best.keeps))


def load(task: Task) -> HashingEncoder:
    """A trained cell, ready to encode.

    Raises:
        MedhashError: see :func:`load_objective`.
    """
    return HashingEncoder(*load_objective(task))


def load_objective(task: Task) -> tuple[HashingObjective, Device]:
    """Put a cell's checkpoint back into its network and method.

    Raises:
        MedhashError: the checkpoint is of another cell or of other settings.
    """
    where, inputs = device_of(task), task.inputs
    labels = PreparedDataset(inputs.data_folder).labels
    train_labels = torch.from_numpy(labels[rows_of(inputs.split, "train")]).float()
    objective = build_objective(task.cell, task.settings, train_labels, where)
    _show_database(objective.method, inputs)
    tensors, facts = load_tensors(task.checkpoint)
    task.check(facts)
    try:
        load_part(objective.network, tensors, NETWORK_PREFIX)
        load_part(objective.method, tensors, METHOD_PREFIX)
    except RuntimeError as error:
        raise task.misfit() from error
    objective.to(where.torch_device).eval()
    return objective, where


def build_objective(
    cell: Cell, settings: Settings, labels: torch.Tensor, device: Device
) -> HashingObjective:
    """Network, method and variant of a cell, with random hash layer and backbone.

    Args:
        cell: names method, variant, bits and seed.
        settings: network, method hyperparameters, DBW, LCR.
        labels: float (n, C), 0/1, of the training images.
        device: where it will run.
    """
    torch.manual_seed(seed_for(cell.seed, "network"))
    kind = method_class(cell.method)
    network = HashingNetwork(settings.network, kind.head(settings.network, cell.bits))
    own = kind.Settings(**settings.methods.get(cell.method, {}))
    generator = torch.Generator().manual_seed(seed_for(cell.seed, "method"))
    method: HashingMethod[Any] = kind(own, cell.bits, labels.cpu(), generator)
    method.stand_on(backbones.pooled_width(settings.network))
    return HashingObjective(network, method, cell.variant, settings, labels.cpu(), device)


def _show_database(method: HashingMethod[Any], inputs: CellInputs) -> None:
    """Tell a method what the split's database holds."""
    database, train = rows_of(inputs.split, "database"), rows_of(inputs.split, "train")
    labels = PreparedDataset(inputs.data_folder).labels[database]
    places = np.where(np.isin(train, database), np.searchsorted(database, train), -1)
    method.stand_among(torch.from_numpy(labels).float(), torch.from_numpy(places))


def device_of(task: Task, *, compile: bool = False) -> Device:  # noqa: A002
    """The device of a task, prepared."""
    settings = task.settings
    return choose_device(
        task.device, precision=settings.precision, threads=settings.threads, compile=compile
    )


def _load_pretrained(
    objective: HashingObjective, cell: Cell, settings: Settings, pretrained: Path | None
) -> None:
    """The weights that training starts from, by the cell's origin, its settings or its method."""
    start = settings.start or objective.method.start
    if cell.origin == SCRATCH or (start == "scratch" and cell.source is None):
        return
    if pretrained is None:
        raise MedhashError(f"cell {cell}: no pretrained weights were named")
    if cell.source:
        load_network(objective.network, pretrained)
    else:
        load_backbone(objective.network.backbone, pretrained)
