"""The pointing game: how often C2F-LP finds a known lesion while a cell is trained.

The cell is trained once more, in the same bytes, and looked at after each epoch: a cell keeps the
last state of its training alone. What is looked at are its training images, unchanged, of which
the masks are known.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from medhash.causal.lcr import LesionReasoning, Scene
from medhash.causal.placing import lesion_shares
from medhash.causal.positioning import segment_patches
from medhash.errors import MedhashError
from medhash.files import write_json
from medhash.methods import family
from medhash.schema.cell import Cell
from medhash.schema.settings import LcrSettings
from medhash.training.families.hashing import assemble
from medhash.training.hashing import HashingObjective
from medhash.training.images import ImageSet
from medhash.training.loop import Run, fit
from medhash.training.machine import seed_for
from medhash.training.task import CellInputs, Task

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

IMAGES_AT_ONCE = 256


class Hits(NamedTuple):
    """Shares of images, see :class:`medhash.records.pointing.Epoch`."""

    hit: float
    window: float
    chance: float


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Play the game with the cell of a step."""
    cell = Cell.parse(step.key)
    inputs, settings = CellInputs.of(step.inputs), configuration.settings_of(cell)
    with TemporaryDirectory() as folder:
        task = Task(cell, settings, inputs, Path(folder), job.device)
        images, epochs = play(task)
    facts = {"schema": 1, "scale": configuration.scale, "cell": cell.__dict__, "images": images}
    write_json(step.outputs["pointing"], facts | {"epochs": epochs})


def play(task: Task) -> tuple[int, list[dict[str, object]]]:
    """Train a cell and look at it after each epoch.

    Returns:
        How many training images have a lesion, and a dictionary an epoch.

    Raises:
        MedhashError: it is no cell of a hashing method, or no training image has a lesion.
    """
    if family(task.cell.method) != "hashing":
        raise MedhashError(
            f"cell {task.cell}: {task.cell.method} is no hashing method, so that C2F-LP has no "
            "codes to go by; choose another cell"
        )
    objective, images, where = assemble(task)
    shown, masks = _with_lesions(images, task.cell)
    looks: list[Hits] = []

    def look(epoch: int) -> None:
        generator = torch.Generator().manual_seed(seed_for(task.cell.seed, "pointing", epoch))
        looks.append(hits(objective, shown, masks, task.settings.lcr, generator))

    resume = task.folder / ".resume.safetensors"
    once_more = Run(f"point {task.cell}", task.cell.seed, where, resume, task.identity, watch=look)
    history = fit(objective, images, task.settings.hashing, once_more)
    both = zip(history.states, looks, strict=True)
    epochs = [{"epoch": n, "state": s, **h._asdict()} for n, (s, h) in enumerate(both, start=1)]
    return len(masks), epochs


@torch.no_grad()
def hits(
    objective: HashingObjective,
    images: ImageSet,
    masks: Tensor,
    settings: LcrSettings,
    generator: torch.Generator,
) -> Hits:
    """How often C2F-LP, and chance, hit the lesions of n images.

    Args:
        objective: the network in training, with the codes that it remembers of each class.
        images: uint8 (n, T, T, 3), as stored.
        masks: (n, T, T), not 0 where the lesion is; each image has one.
        settings: those of C2F-LP.
        generator: draws the key points, of which C2F-LP chooses.
    """
    objective.eval()
    backbone, coder = objective.network.backbone, objective.coder
    reasoning = LesionReasoning(settings, objective.class_codes)
    parts: list[Tensor] = []
    for rows in torch.arange(len(masks), device=masks.device).split(IMAGES_AT_ONCE):
        pixels = backbone.fit(backbone.normalise(images.images[rows]))
        scene = Scene(pixels, *coder.look(pixels), images.labels[rows])
        found = reasoning.locate(scene, coder, generator)
        shown = backbone.fit(backbone.shrink(masks[rows][:, None].float(), "nearest-exact"))
        lesion = (lesion_shares(shown[:, 0], coder.grid) > 0).float()
        point = (found.key_point[:, 0] * coder.grid + found.key_point[:, 1])[:, None]
        window = segment_patches(found.area, settings.window, coder.grid)
        looked_at = (lesion.gather(1, point), lesion.gather(1, window), lesion)
        parts.append(torch.stack([each.mean(dim=1) for each in looked_at], dim=1))
    return Hits(*torch.cat(parts).double().mean(dim=0).tolist())


def _with_lesions(images: ImageSet, cell: Cell) -> tuple[ImageSet, Tensor]:
    """The images with a lesion, and their masks."""
    if images.masks is None or not images.masks.any():
        raise MedhashError(
            f"cell {cell}: no training image of {cell.dataset} has a lesion that is known, so that "
            "nothing can be pointed at; choose a phantom with lesions"
        )
    kept = (images.masks > 0).flatten(1).any(dim=1)
    rows = images.rows[kept.cpu().numpy()]
    return ImageSet(images.images[kept], images.labels[kept], rows), images.masks[kept]
