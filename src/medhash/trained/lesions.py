"""Search with lesion patches instead of whole images (ACH Section V-D-2, Fig. 9).

The patches that a lesion covers go through the trained network alone, as tokens with their
positions; the database's codes stay those of whole images.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medhash.causal.lcr import LesionReasoning, Scene, gather_tokens
from medhash.causal.positioning import segment_patches
from medhash.data.lesions import MarkedLesions, marked_lesions
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.files import sha256_of_value, write_json
from medhash.flow.code import fingerprint
from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import packed_width
from medhash.retrieval.patches import patch_scores
from medhash.schema.cell import Cell
from medhash.schema.shown import LesionSettings
from medhash.trained.explanation import TrainedCell, choose_rows, load_cell
from medhash.trained.speed import (
    TIMED,
    WARM_UP,
    Search,
    machine_facts,
    query_images,
    time_in_turn,
)
from medhash.training.families.hashing import HashingEncoder
from medhash.training.machine import seed_for
from medhash.training.task import CellInputs, Score, Task

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SCHEMA = 1
DEPTH = 10
"""Results that a search is judged by: P@10."""


class PatchSearch(Search):
    """A search whose query may be a patch of an image.

    Args:
        trained: the cell.
        codes: its codes.
    """

    def __init__(self, trained: TrainedCell, codes: Codes) -> None:
        encoder = HashingEncoder(trained.objective, trained.device)
        super().__init__(encoder, codes, trained.settings.stored)
        self.coder = trained.coder

    def rank_patch(self, image: NDArray[np.uint8], patch: NDArray[np.int64]) -> NDArray[np.int64]:
        """The whole database for a patch, nearest first: int64 (1, items), see :meth:`rank`."""
        return self.nearest(self.encode_patch(image, patch))

    @torch.no_grad()
    def encode_patch(self, image: NDArray[np.uint8], patch: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The packed code of a patch, uint8 (1, ceil(q / 8)).

        Args:
            image: RGB pixels of the whole image, uint8 (height, width, 3) of any size.
            patch: int64 (4,): top, left, height and width in patches of the network.
        """
        backbone, where = self.coder.network.backbone, self.coder.device.torch_device
        pixels = torch.from_numpy(self.prepare([image])).to(where)
        tokens = self.coder.embed(backbone.fit(backbone.normalise(pixels)))
        codes = self.coder.code(gather_tokens(tokens, self._places(patch)))
        return np.packbits((codes >= 0).cpu().numpy(), axis=1)

    def _places(self, patch: NDArray[np.int64]) -> Tensor:
        """Places of the patch's tokens in the sequence, int64 (1, 1, height * width)."""
        corner = torch.from_numpy(patch[:2])
        places = segment_patches(corner, (int(patch[2]), int(patch[3])), self.coder.grid)
        return places[None, None].to(self.coder.device.torch_device)


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Search with the lesion patches of a step's cell."""
    cell, folder = Cell.parse(step.key), step.inputs["checkpoint"].parent
    settings, finder = configuration.settings_of(cell), configuration.finder_of(cell)
    task = Task(cell, settings, CellInputs.of(step.inputs), folder, job.device)
    # By its name, as a method is: whoever finds lesions or reads patches needs no metrics.
    score = import_module("medhash.retrieval.precision").precision_at_ten
    finding = replace(
        task,
        cell=finder,
        settings=configuration.settings_of(finder),
        folder=configuration.layout.cell(finder),
    )
    search_lesions(
        task,
        configuration.lesions,
        step.outputs["lesions"].parent,
        boxes=configuration.lesion_boxes(cell.dataset),
        scale=configuration.scale,
        score=partial(score, protocol=settings.evaluation.protocol),
        finder=finding,
    )


def search_lesions(
    task: Task,
    chosen: LesionSettings,
    out: Path,
    *,
    boxes: Path,
    scale: str,
    score: Score,
    finder: Task | None = None,
) -> Path:
    """Search a cell's database with lesion patches; write ``lesions.npz`` and ``lesions.json``.

    ``lesions.npz`` holds, for n patches: ``rows`` int64 (n,), their images as rows of the
    dataset's index; ``areas`` float64 (n, 4), the marked boxes as fractions of the image's sides;
    ``patches`` int64 (n, 4), what is searched with: top, left, height and width in patches;
    ``codes`` uint8 (n, ceil(q / 8)). ``lesions.json`` holds P@10 of the patches and of their
    whole images, and how long a search takes with either: one query at a time, in turn, from
    decoded pixels at the original size to the list of the whole database. Where nobody has marked
    a lesion, and C2F-LP is not asked for, there are no patches and ``lesions.json`` says why.

    Args:
        task: the trained cell; its folder must hold ``codes.npz``, too.
        chosen: which patches.
        out: the folder that both files go to.
        boxes: CSV of the dataset's boxes; need not be there.
        scale: name of the scale.
        score: P@10 of codes under the settings' protocol; it comes from outside so that training
            does not know the metrics.
        finder: the trained cell whose C2F-LP finds lesions that nobody has marked, with the
            settings of ``lcr`` that say how it looks; needed where the settings ask for it.

    Returns:
        The path of ``lesions.json``.

    Raises:
        MedhashError: a box is refused, or the cell is not trained.
    """
    lesions, reason = _choose(chosen, task.inputs, boxes, finder)
    facts = _facts(task, chosen, scale)
    path = out / "lesions.json"
    if not len(lesions.rows):
        nothing = np.zeros((0, 4), dtype=np.int64)
        _write_patches(out, lesions, nothing, np.zeros((0, packed_width(task.cell.bits)), np.uint8))
        write_json(path, facts | {"patches": 0, "reason": reason})
        return path
    trained, data_folder = load_cell(task), task.inputs.data_folder
    codes = Codes.load(task.folder / "codes.npz")
    search = PatchSearch(trained, codes)
    patches = lesions.patches(trained.coder.grid)
    images = PreparedDataset(data_folder).images[lesions.rows]
    pairs = zip(images, patches, strict=True)
    packed = np.concatenate([search.encode_patch(image, patch) for image, patch in pairs])
    facts |= {
        "source": lesions.source,
        "patches": len(patches),
        "areas_sha256": sha256_of_value([lesions.rows.tolist(), lesions.areas.tolist()]),
        "covered": float(patches[:, 2:].prod(axis=1).mean() / trained.coder.grid**2),
        "runtime": _runtime(search, data_folder, lesions.rows, patches),
    }
    facts |= patch_scores(codes, lesions.rows, packed, facts["classes"], score)
    _write_patches(out, lesions, patches, packed)
    write_json(path, facts | machine_facts(search.encoder))
    return path


def find_lesions(
    trained: TrainedCell,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    seed: int,
) -> NDArray[np.float64]:
    """What C2F-LP takes for the lesion: the largest mask around the key point that it chooses.

    Choosing between key points it compares with the image's own class (Eq. 17).

    Args:
        trained: the finder.
        images: uint8 (n, S, S, 3).
        labels: uint8 (n, C).
        seed: of the key points.

    Returns:
        float64 (n, 4): top, left, height and width as fractions of the image's sides; a box is
        cut off at the border of the image.
    """
    coder, where = trained.coder, trained.device.torch_device
    generator = torch.Generator().manual_seed(seed_for("lesions", seed))
    reasoning = LesionReasoning(trained.settings.lcr, trained.class_codes)
    with torch.no_grad():
        pixels = trained.network.backbone.normalise(torch.from_numpy(images).to(where))
        own = torch.from_numpy(labels).to(where, torch.float32)
        scene = Scene(pixels, *coder.look(pixels), own)
        key_points = reasoning.locate(scene, coder, generator).key_point.cpu().numpy()
    size = np.array(max(trained.settings.lcr.mask_scales, key=lambda scale: scale[0] * scale[1]))
    first = key_points - size // 2
    last = np.minimum(first + size, coder.grid)
    first = np.maximum(first, 0)
    return np.concatenate([first, last - first], axis=1) / coder.grid


def _choose(
    chosen: LesionSettings, inputs: CellInputs, boxes: Path, finder: Task | None
) -> tuple[MarkedLesions, str]:
    """The lesions to search with; none, and why, where nobody has marked any."""
    dataset = PreparedDataset(inputs.data_folder)
    labels = dataset.labels
    if chosen.source != "found":
        given = marked_lesions(boxes, inputs.data_folder, inputs.split)
        if given is not None and len(given.rows):
            own = labels[given.rows]
            places = choose_rows(np.arange(len(own)), own, chosen.per_class, chosen.seed)
            return given.take(places), ""
        if chosen.source == "given":
            return _NONE, _why_none(given, boxes)
    if finder is None:
        raise MedhashError("lesions.source asks for C2F-LP, but no cell that finds was named")
    rows = choose_rows(rows_of(inputs.split, "query"), labels, chosen.per_class, chosen.seed)
    images = dataset.images[rows]
    areas = find_lesions(load_cell(finder), images, labels[rows], chosen.seed)
    return MarkedLesions("found", rows, areas), ""


_NONE = MarkedLesions("boxes", np.zeros(0, dtype=np.int64), np.zeros((0, 4)))


def _why_none(given: MarkedLesions | None, boxes: Path) -> str:
    if given is None:
        return f"no lesion is marked: there is neither {boxes.as_posix()} nor a mask"
    return "no lesion is marked: the masks of all query images are empty"


def _facts(task: Task, chosen: LesionSettings, scale: str) -> dict[str, Any]:
    """What is known before anything is searched."""
    dataset = PreparedDataset(task.inputs.data_folder)
    return {
        "schema": SCHEMA,
        "scale": scale,
        "cell": asdict(task.cell),
        "synthetic": dataset.synthetic,
        "classes": dataset.classes,
        "asked_per_class": chosen.per_class,
        "depth": DEPTH,
        "code": fingerprint("medhash.trained.lesions", f"medhash.methods.{task.cell.method}"),
        "protocol": task.settings.evaluation.protocol,
    }


def _runtime(
    search: PatchSearch, data_folder: Path, rows: NDArray[np.int64], patches: NDArray[np.int64]
) -> dict[str, Any]:
    """Latency of a search with whole images and with patches of them, and its change."""
    queries = list(zip(query_images(data_folder, rows), patches, strict=True))
    ways = {
        "images": lambda query: search.rank([query[0]]),
        "patches": lambda query: search.rank_patch(*query),
    }
    latency = time_in_turn(ways, queries, WARM_UP, TIMED)
    medians = {name: each["median_seconds"] for name, each in latency.items()}
    return latency | {"change": medians["patches"] / medians["images"] - 1}


def _write_patches(
    folder: Path, lesions: MarkedLesions, patches: NDArray[np.int64], packed: NDArray[np.uint8]
) -> None:
    arrays: dict[str, NDArray[Any]] = {"rows": lesions.rows, "areas": lesions.areas}
    arrays |= {"patches": patches, "codes": packed}
    write_arrays(folder / "lesions.npz", arrays)
