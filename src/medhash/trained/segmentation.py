"""What a trained cell calls each pixel of the query images, against their masks (Y-Net)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from medhash.data.prepared import PreparedDataset
from medhash.errors import MedhashError
from medhash.files import write_json
from medhash.records.segmentation import pixel_scores
from medhash.schema.cell import Cell
from medhash.trained.cell import check_trained
from medhash.training.encoding import IMAGES_AT_ONCE
from medhash.training.families.descriptor import DescriptorEncoder, load
from medhash.training.images import load_images
from medhash.training.task import CellInputs, Task

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SCHEMA = 1


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Score the pixels of a step's cell."""
    cell, folder = Cell.parse(step.key), step.inputs["checkpoint"].parent
    inputs = CellInputs(step.inputs["images"].parent, step.inputs["split"])
    task = Task(cell, configuration.settings_of(cell), inputs, folder, job.device)
    score_pixels(task, step.outputs["segmentation"], configuration.scale)


def score_pixels(task: Task, path: Path, scale: str) -> None:
    """Write how well a cell tells classes of pixels apart (``segmentation.json``).

    Args:
        task: the trained cell.
        path: the file that is written.
        scale: name of the scale.

    Raises:
        MedhashError: the cell is not trained, its method gives pixels no classes, or the dataset
            has no masks.
    """
    check_trained(task)
    dataset = PreparedDataset(task.inputs.data_folder)
    classes = dataset.mask_classes
    counts = _counts(load(task), task, len(classes))
    facts = {
        "schema": SCHEMA,
        "scale": scale,
        "cell": asdict(task.cell),
        "synthetic": dataset.synthetic,
        "queries": int(counts.sum()) // task.settings.network.image_size**2,
        "pixels": task.settings.network.image_size,
        "classes": list(classes),
        "counts": counts.tolist(),
        "metrics": pixel_scores(counts, classes),
        "chance": {"background": pixel_scores(_all_of_one(counts), classes)},
    }
    write_json(path, facts)


@torch.no_grad()
def _counts(encoder: DescriptorEncoder, task: Task, classes: int) -> NDArray[np.int64]:
    """Pixels of a class (row) that are called a class (column), of all query images."""
    method, device = encoder.method.eval(), encoder.device
    segment: Any = getattr(method, "segment", None)
    if segment is None:
        raise MedhashError(f"cell {task.cell}: {method.title} gives pixels no classes")
    where = device.torch_device
    inputs = task.inputs
    images = load_images(inputs.data_folder, inputs.split, "query", where, masks=True)
    counts = np.zeros((classes, classes), np.int64)
    each: tuple[Any, Any] = images.images, images.masks
    parts = (part.split(IMAGES_AT_ONCE) for part in each)
    for pixels, masks in zip(*parts, strict=True):
        with device.autocast():
            found = segment(pixels)
        network: Any = method.network
        truth = network.fit(network.shrink(masks[:, None].float(), "nearest-exact"))[:, 0].long()
        pairs = (truth * classes + found).flatten().cpu().numpy()
        counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return counts


def _all_of_one(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts if every pixel were called what most of them are."""
    truth = counts.sum(axis=1)
    one = np.zeros_like(counts)
    one[:, truth.argmax()] = truth
    return one
