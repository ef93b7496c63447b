"""Explain a trained cell: where it looks, what C2F-LP finds, what its features are (ACH V-E).

The step writes arrays, not pictures, and rows of the dataset instead of images. Of a network
without patch tokens these are its feature maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medhash.causal.class_codes import ClassCodes, class_softmax
from medhash.causal.lcr import LesionReasoning, Scene, frequency_scores
from medhash.causal.masking import blank_out, lesion_boxes
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.methods import family
from medhash.models.backbones import backbone_class, vit
from medhash.models.heads import HashHead, HashingNetwork
from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.schema.shown import ExplanationSettings
from medhash.trained.cell import check_trained
from medhash.trained.feature_maps import feature_maps
from medhash.training.devices import Device
from medhash.training.families.hashing import load_objective
from medhash.training.hashing import Coder, HashingObjective
from medhash.training.machine import seed_for
from medhash.training.task import CellInputs, Task

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class TrainedCell:
    """A cell's network, as trained, and the codes that it gave the database.

    Attributes:
        objective: network, method and :attr:`coder`.
        class_codes: the database's binary codes with their labels (Eq. 10).
        settings: those of the cell.
        device: where the network is.
    """

    objective: HashingObjective
    class_codes: ClassCodes
    settings: Settings
    device: Device

    @property
    def coder(self) -> Coder:
        """Network and method, tokens in, relaxed codes out."""
        return self.objective.coder

    @property
    def network(self) -> HashingNetwork:
        """Backbone and hash layer."""
        return self.coder.network


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Explain the cell of a step."""
    cell, folder = Cell.parse(step.key), step.inputs["checkpoint"].parent
    inputs = CellInputs.of(step.inputs)
    task = Task(cell, configuration.settings_of(cell), inputs, folder, job.device)
    explain_cell(task, configuration.explanation, step.outputs["explanation"])


def explain_cell(task: Task, chosen: ExplanationSettings, path: Path) -> None:
    """Write where a trained cell looks (``explanation.npz``).

    Its arrays, for n images:

    - ``rows`` int64 (n,): rows of the images in the dataset's index.

    Without patch tokens, what :func:`~medhash.trained.feature_maps.feature_maps` gives; with them,
    on a grid of G x G patches with S mask scales:

    - ``patch_embedding``, ``cam``, ``grad_cam`` float32 (n, G, G), see
      :func:`patch_embedding_map`, :func:`class_activation_map`, :func:`grad_cam`.
    - ``area``, ``key_point`` int64 (n, 2): top left of the salient window (Eq. 15) and the key
      point (Eq. 17), in patches; ``window`` int64 (2,): the window's height and width.
    - ``mask_scales`` int64 (S, 2); ``scale_weights`` float32 (n, S): Eq. 22 over the scales of
      one image; ``scale_shift`` float32 (n, S): mean squared change of the relaxed code.
    - ``feature_rows`` int64 (m,), ``features`` float32 (m, D): pooled features of query images.

    Args:
        task: the trained cell; its folder must hold ``codes.npz``, too.
        chosen: which images.
        path: the file that is written.

    Raises:
        MedhashError: the checkpoint is missing or of another cell; the method's hash layer is
            not linear in the pooled features, so that it has no class activation map; or the
            network has neither patch tokens nor feature maps.
    """
    dataset = PreparedDataset(task.inputs.data_folder)
    labels, images = dataset.labels, dataset.images
    queries = rows_of(task.inputs.split, "query")
    rows = choose_rows(queries, labels, chosen.images_per_class, chosen.seed)
    if not backbone_class(task.settings.network.kind).patch_tokens:
        write_arrays(path, {"rows": rows} | feature_maps(task, images[rows]))
        return
    trained = load_cell(task)
    arrays = {"rows": rows} | _look(trained, images[rows], labels[rows], chosen.seed)
    feature_rows = _some(queries, chosen.features, chosen.seed)
    arrays |= {"feature_rows": feature_rows, "features": _features(trained, images, feature_rows)}
    write_arrays(path, arrays)


def load_cell(task: Task) -> TrainedCell:
    """Put a cell's checkpoint back into its network.

    Raises:
        MedhashError: the checkpoint is missing, is of another cell or of other settings; the
            method is no hashing method, or its network has no patch tokens.
    """
    cell = task.cell
    if family(cell.method) != "hashing":
        raise MedhashError(
            f"cell {cell}: {cell.method} is a {family(cell.method)} method, without the patch "
            "tokens that are looked at; choose a hashing method"
        )
    check_trained(task)
    objective, where = load_objective(task)
    if objective.coder.grid is None:
        raise MedhashError(
            f"cell {cell}: its network '{task.settings.network.kind}' has no patch tokens that "
            "could be looked at; choose a cell on the network 'vit'"
        )
    memory = _class_codes(Codes.load(task.folder / "codes.npz")).to(where.torch_device)
    return TrainedCell(objective, memory, task.settings, where)


def choose_rows(queries: np.ndarray, labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Some queries of each class, class by class; the same for every cell of a dataset.

    Args:
        queries: int64 (n,), rows of the query set.
        labels: uint8 (N, C) of the whole dataset.
        per_class: how many; fewer where a class has fewer.
        seed: of the choice.

    Returns:
        int64 (m,); an image of several classes occurs once.
    """
    random = np.random.default_rng(seed)
    rows: list[int] = []
    for column in labels[queries].T:
        rows += random.permutation(queries[column > 0])[:per_class].tolist()
    return np.array(list(dict.fromkeys(rows)), dtype=np.int64)


def patch_embedding_map(tokens: Tensor, blank: Tensor) -> Tensor:
    """How strongly the linear projection answers to each patch: (B, N, D), (1, N, D) to (B, N).

    The length of the projected patch, without bias and position.
    """
    return (tokens - blank).norm(dim=2)


def class_activation_map(network: HashingNetwork, features: Tensor, class_code: Tensor) -> Tensor:
    """What each patch adds to the similarity with the own class (CAM, Zhou et al. 2016).

    The score is ``z . m / q``, with the hash layer's outputs z before activation and the mean
    code m of the image's class. Pooling is a mean, the final normalisation is affine once its
    statistics are those of the image, and the hash layer is linear: the score is the mean of
    these values over patches, plus a constant of biases.

    Args:
        network: its head must be a :class:`HashHead`.
        features: encoder outputs, float (B, N, D).
        class_code: float (B, q).

    Returns:
        float (B, N).

    Raises:
        MedhashError: another head.
    """
    head, backbone = network.head, network.backbone
    if not isinstance(head, HashHead) or not isinstance(backbone, vit.Backbone):
        raise MedhashError(
            f"{type(head).__module__}: the hash layer is not linear in the mean of patch features, "
            "so that there is no class activation map"
        )
    norm, pooled = backbone.norm, features.mean(dim=1, keepdim=True)
    deviation = (pooled.var(dim=2, correction=0, keepdim=True) + norm.eps).sqrt()
    centred = (features - features.mean(dim=2, keepdim=True)) / deviation
    weights = class_code @ head.projection.weight / class_code.shape[1]
    return torch.einsum("bnd,bd->bn", centred * norm.weight, weights)


def grad_cam(coder: Coder, features: Tensor, class_code: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) on the encoder's outputs: (B, N, D), (B, q) to (B, N).

    The target is the similarity ``b . m / q`` of the relaxed code b with the mean code m of the
    image's class. Channels are weighed by the gradient's mean over patches; what speaks against
    the class is cut off at 0.
    """
    leaf = features.detach().requires_grad_()
    codes = coder.code_of_features(leaf)
    similarity = (codes * class_code).sum() / class_code.shape[1]
    (gradient,) = torch.autograd.grad(similarity, leaf)
    weights = gradient.mean(dim=1, keepdim=True)
    return (leaf.detach() * weights).sum(dim=2).relu()


def scale_weights(distances: Tensor, labels: Tensor) -> Tensor:
    """Weights of an image's masks: Eq. 22, its softmax over the scales of that image.

    Args:
        distances: Eq. 10 of the masked codes, float (S, C).
        labels: float (C,), 0/1; several classes count equally.

    Returns:
        float (S,), adding up to 1.
    """
    members = labels.expand_as(distances)
    weights = class_softmax(frequency_scores(distances, members), members)
    return weights.sum(dim=1) / labels.sum()


def _look(
    trained: TrainedCell, images: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Maps, lesions and mask weights of all images, in batches."""
    generator = torch.Generator().manual_seed(seed_for("explanation", seed))
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        where = trained.device.torch_device
        pixels = trained.network.backbone.normalise(torch.from_numpy(images[part]).to(where))
        own = torch.from_numpy(labels[part]).to(where, torch.float32)
        parts.append(_look_at(trained, pixels, own, generator))
    arrays = {name: torch.cat([p[name] for p in parts]).cpu().numpy() for name in parts[0]}
    settings = trained.settings.lcr
    sizes = {"window": settings.window, "mask_scales": settings.mask_scales}
    return arrays | {name: np.array(value, dtype=np.int64) for name, value in sizes.items()}


def _look_at(
    trained: TrainedCell, pixels: Tensor, labels: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    coder, grid = trained.coder, trained.coder.grid
    with torch.no_grad():
        tokens, features = coder.look(pixels)
        class_code = _own_class_codes(trained.class_codes, labels)
        maps = {
            "patch_embedding": patch_embedding_map(tokens, coder.blank_tokens()),
            "cam": class_activation_map(trained.network, features, class_code),
        }
        scene = Scene(pixels, tokens, features, labels)
        reasoning = LesionReasoning(trained.settings.lcr, trained.class_codes)
        lesions = reasoning.locate(scene, coder, generator)
        found = {"area": lesions.area, "key_point": lesions.key_point}
        masks = _mask_importance(trained, scene, lesions.key_point)
    maps["grad_cam"] = grad_cam(coder, features, class_code)
    return {name: m.unflatten(1, (grid, grid)).float() for name, m in maps.items()} | found | masks


def _mask_importance(trained: TrainedCell, scene: Scene, key_points: Tensor) -> dict[str, Tensor]:
    """Weight and shift of each image's masks, (B, S) each."""
    coder, scales = trained.coder, trained.settings.lcr.mask_scales
    boxes = lesion_boxes(key_points, scales, coder.grid)
    masked = coder.code(blank_out(scene.tokens, coder.blank_tokens(), boxes))
    distances = trained.class_codes.distances(masked).unflatten(0, (-1, len(scales)))
    pairs = zip(distances, scene.labels, strict=True)
    original = coder.code_of_features(scene.features)[:, None]
    shift = (masked.unflatten(0, (-1, len(scales))) - original).pow(2).mean(dim=2)
    return {
        "scale_weights": torch.stack([scale_weights(d, own) for d, own in pairs]),
        "scale_shift": shift,
    }


@torch.no_grad()
def _features(trained: TrainedCell, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pooled features, float32 (n, D)."""
    parts = []
    for start in range(0, len(rows), IMAGES_AT_ONCE):
        chunk = torch.from_numpy(images[rows[start : start + IMAGES_AT_ONCE]])
        with trained.device.autocast():
            pooled = trained.network.backbone(chunk.to(trained.device.torch_device))
        parts.append(pooled.float().cpu().numpy())
    return np.concatenate(parts)


def _own_class_codes(memory: ClassCodes, labels: Tensor) -> Tensor:
    """Mean code of each image's classes, (B, C) to (B, q)."""
    members = memory.members()
    means = members.T @ memory.codes / members.sum(dim=0).clamp(min=1.0)[:, None]
    return labels @ means / labels.sum(dim=1, keepdim=True)


def _class_codes(codes: Codes) -> ClassCodes:
    bits = np.unpackbits(codes.database_codes, axis=1, count=codes.bits)
    memory = ClassCodes(torch.from_numpy(codes.database_labels).float(), codes.bits)
    memory.remember(torch.arange(len(bits)), torch.from_numpy(bits).float() * 2 - 1)
    return memory


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
