"""Pretraining of the backbone on the training split: MAE, then classification (ACH Table II)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medhash.configuration import relevant_settings
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, sha256_of_value, write_json, write_text
from medhash.flow.code import fingerprint
from medhash.models.backbone import ImageBackbone
from medhash.models.heads import ClassificationNetwork
from medhash.models.mae import MaskedAutoencoder
from medhash.schema.settings import (
    MaeSettings,
    NetworkSettings,
    OptimisationSettings,
    Settings,
    VitSettings,
)
from medhash.training.checkpoints import CLASSIFIER_PREFIX, load_backbone, save_tensors
from medhash.training.devices import Device, choose_device
from medhash.training.images import Batch, ImageSet, load_images, training_view
from medhash.training.loop import Objective, Run, fit
from medhash.training.machine import seed_for
from medhash.training.pausing import Pause, never

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Train the stage of a step."""
    pretrain(
        step.values[-1],
        configuration.stage_settings(*step.values),
        step.inputs["images"].parent,
        step.inputs["split"],
        step.outputs["weights"],
        previous=step.inputs.get("previous"),
        device=job.device,
        pause=job.pause,
    )


def pretrain(
    stage: str,
    settings: Settings,
    data_folder: Path,
    split: Path,
    out: Path,
    *,
    previous: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    pause: Pause = never,
) -> None:
    """Train one stage; write ``out`` (weights), and beside it losses and states of its epochs.

    Args:
        stage: ``mae``, then ``classification``, of the backbone that hashing starts from; or the
            kind of a network that several methods share, which is trained from random weights with
            the settings of ``classification``.
        settings: ``network`` and the stage's own are read.
        data_folder: a prepared dataset.
        split: its manifest; only training images are used.
        out: a ``.safetensors`` file; ``.csv`` and ``.json`` of the same name are written too.
        previous: weights of the stage before, for ``classification``.
        device: ``auto``, ``cpu`` or ``cuda``.
        seed: of initial weights and batches.
        pause: asked after each epoch whether to stop there.

    Raises:
        MedhashError: ``classification`` without ``previous``, or another kind of network than that
            of the settings; a loss that is not finite.
        PausedError: ``pause`` said so.
    """
    own = settings.mae if stage == "mae" else settings.classification
    if own is None:
        raise MedhashError(f"settings.{stage}: not given; nothing can be pretrained without them")
    if stage == "classification" and previous is None:
        raise MedhashError("classification pretraining starts from the MAE's weights; name them")
    if stage not in ("mae", "classification", settings.network.kind):
        raise MedhashError(
            f"stage {stage}: the settings are of a network of the kind '{settings.network.kind}'"
        )
    where = choose_device(
        device,
        precision=settings.precision,
        threads=settings.threads,
        compile=settings.compile,
    )
    images = load_images(data_folder, split, "train", where.torch_device)
    inputs = {"images": data_folder / "images.npy", "labels": data_folder / "labels.npy"}
    inputs |= {"split": split} | ({"previous": previous} if previous else {})
    hashes = {name: sha256_of_file(path) for name, path in inputs.items()}
    torch.manual_seed(seed_for(seed, stage))
    objective = _objective(own, settings.network, images, previous, where)
    code = fingerprint("medhash.training.pretraining", relevant_settings.backbone(settings))
    depends_on = relevant_settings.pretraining(settings, stage)
    identity = sha256_of_value([stage, seed, depends_on, hashes, code["fingerprint"]])
    run = Run(f"{stage} {data_folder.name}", seed, where, resume_file(out), identity, pause=pause)
    history = fit(objective, images, own, run)
    write_text(out.with_suffix(".csv"), history.csv())
    write_json(
        out.with_suffix(".json"),
        {"device": where.describe(), "epochs": own.epochs, "states": history.states},
    )
    save_tensors(out, _weights(objective, stage), {"stage": stage})
    run.resume.unlink(missing_ok=True)


class BackboneObjective(Objective):
    """A stage that trains a backbone."""

    @property
    def backbone(self) -> ImageBackbone:
        """What the next stage goes on with."""
        raise NotImplementedError


class MaeObjective(BackboneObjective):
    """Reconstruction of hidden patches."""

    def __init__(self, network: NetworkSettings, settings: MaeSettings, device: Device) -> None:
        super().__init__()
        if not isinstance(network, VitSettings):
            raise MedhashError(
                f"network.kind: '{network.kind}' cannot be pretrained as a masked "
                "autoencoder, whose tokens are patches; set start: scratch or start: classifier"
            )
        self.autoencoder = MaskedAutoencoder(network, settings)
        self.augmentation = settings.augmentation
        self.device = device

    @property
    def backbone(self) -> ImageBackbone:
        """The encoder."""
        return self.autoencoder.backbone

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean reconstruction error of the batch."""
        pixels, _ = training_view(batch, self.backbone, self.augmentation, generator)
        shape = (len(pixels), self.autoencoder.patches)
        order = torch.rand(shape, generator=generator).argsort(dim=1).to(pixels.device)
        with self.device.autocast():
            error = self.autoencoder(pixels, order)
        return {"reconstruction": error.float().mean()}


class ClassificationObjective(BackboneObjective):
    """Softmax cross-entropy; an image with several labels spreads its weight over them."""

    def __init__(
        self,
        network: NetworkSettings,
        settings: OptimisationSettings,
        classes: int,
        device: Device,
    ) -> None:
        super().__init__()
        self.network = ClassificationNetwork(network, classes)
        self.augmentation = settings.augmentation
        self.device = device

    @property
    def backbone(self) -> ImageBackbone:
        """All but the classifier."""
        return self.network.backbone

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean cross-entropy of the batch."""
        pixels, _ = training_view(batch, self.backbone, self.augmentation, generator)
        with self.device.autocast():
            scores = self.network(pixels)
        wished = batch.labels / batch.labels.sum(dim=1, keepdim=True)
        return {"cross_entropy": cross_entropy(scores.float(), wished)}


def _weights(objective: BackboneObjective, stage: str) -> dict[str, Tensor]:
    """Those of the backbone; of a classifier that methods share, its last layer's, too."""
    weights = objective.backbone.state_dict()
    if stage == "classification" or not isinstance(objective, ClassificationObjective):
        return weights
    last = objective.network.classifier.state_dict()
    return weights | {f"{CLASSIFIER_PREFIX}{name}": tensor for name, tensor in last.items()}


def resume_file(out: Path) -> Path:
    """Where the state of an unfinished run of ``out`` lies."""
    return out.with_name(f".{out.stem}.resume.safetensors")


def _objective(
    settings: OptimisationSettings,
    network: NetworkSettings,
    images: ImageSet,
    previous: Path | None,
    device: Device,
) -> BackboneObjective:
    """The stage's objective, with its starting weights, on the device."""
    objective: BackboneObjective
    if isinstance(settings, MaeSettings):
        objective = MaeObjective(network, settings, device)
    else:
        objective = ClassificationObjective(network, settings, images.labels.shape[1], device)
    if previous:
        load_backbone(objective.backbone, previous)
    objective.backbone.set_normalisation(images.images.cpu())
    return objective.to(device.torch_device)
