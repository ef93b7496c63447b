"""Train one cell: from a pretrained backbone to codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from medhash.configuration import relevant_settings
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, sha256_of_value, write_json, write_text
from medhash.flow.code import fingerprint
from medhash.methods import method_class
from medhash.methods.families.hashing import HashingMethod
from medhash.models.heads import HashingNetwork
from medhash.retrieval.codes import Codes
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.settings import Settings
from medhash.training.checkpoints import (
    NETWORK_PREFIX,
    load_backbone,
    load_network,
    load_tensors,
    save_tensors,
)
from medhash.training.devices import Device, choose_device, seed_for
from medhash.training.encoding import encode_split
from medhash.training.facts import Stopwatch, training_facts
from medhash.training.hashing import HashingObjective
from medhash.training.images import load_images
from medhash.training.loop import Pause, Run, fit, never

Score = Callable[[Codes], float]


@dataclass(frozen=True)
class CellInputs:
    """The files that a cell is trained from.

    Attributes:
        data_folder: a prepared dataset.
        split: its manifest.
        pretrained: weights of the backbone; for a cell with an origin the checkpoint of its
            source, or None for random weights.
        masks: whether the dataset's masks are read, too.
    """

    data_folder: Path
    split: Path
    pretrained: Path | None
    masks: bool = False

    def files(self) -> dict[str, Path]:
        """Every file that decides the result, by name."""
        files = {
            "images": self.data_folder / "images.npy",
            "labels": self.data_folder / "labels.npy",
            "split": self.split,
        }
        files |= {"pretrained": self.pretrained} if self.pretrained else {}
        return files | ({"masks": self.data_folder / "masks.npy"} if self.masks else {})


def train_cell(
    cell: Cell,
    settings: Settings,
    inputs: CellInputs,
    folder: Path,
    *,
    device: str = "auto",
    score: Score | None = None,
    pause: Pause = never,
) -> None:
    """Train a cell and write its folder.

    ``folder`` gets ``checkpoint.safetensors`` (network and method), ``codes.npz``, ``train.csv``
    (loss terms an epoch) and, last, ``training.json`` (what went in, with what, for how long).
    A run that was interrupted goes on after its last finished epoch.

    Args:
        cell: what to train.
        settings: with what.
        inputs: from what.
        folder: the cell's folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        score: how good codes are; only the selection ``best-query-map`` asks for it, and it
            comes from outside so that training does not depend on the code of the metrics.
        pause: asked after each epoch whether to stop there.

    Raises:
        MedhashError: a loss that is not finite, pretrained weights of another shape or none where
            the cell needs some, or no ``score`` where the selection needs one.
        PausedError: ``pause`` said so.
    """
    watch = Stopwatch()
    where = choose_device(
        device, precision=settings.precision, threads=settings.threads, compile=settings.compile
    )
    files = inputs.files()
    hashes = {name: sha256_of_file(path) for name, path in files.items()}
    code = fingerprint("medhash.training.cells", *modules_of(cell, settings))
    depends_on = relevant_settings.training(settings, cell)
    identity = sha256_of_value([str(cell), depends_on, hashes, code["fingerprint"]])
    images = load_images(
        inputs.data_folder, inputs.split, "train", where.torch_device, masks=inputs.masks
    )
    objective = build_objective(cell, settings, images.labels, where)
    _load_pretrained(objective, cell, settings, inputs.pretrained)
    objective.network.backbone.set_normalisation(images.images.cpu())
    objective.to(where.torch_device)

    best = _best_epoch(objective, folder, inputs, where, settings, score)
    run = Run(
        f"train {cell}",
        cell.seed,
        where,
        folder / ".resume.safetensors",
        identity,
        watch=best.look if best else _look_away,
        pause=pause,
    )
    history = fit(objective, images, settings.hashing, run)
    chosen = best.restore() if best else settings.hashing.epochs
    _write(cell, folder, objective, inputs, where, history.csv())
    facts = training_facts(settings, files, hashes, where, watch, code)
    write_json(
        folder / "training.json",
        facts
        | {
            "cell": asdict(cell),
            "method_settings": objective.method.settings.model_dump(mode="json"),
            "epochs": settings.hashing.epochs,
            "states": history.states,
            "evaluated_epoch": chosen,
            "selection": settings.evaluation.selection,
            "parameters": sum(p.numel() for p in objective.network.parameters()),
            "outputs": _outputs(folder),
        },
    )
    run.resume.unlink(missing_ok=True)
    if best:
        best.path.unlink(missing_ok=True)


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
    return HashingObjective(network, method, cell.variant, settings, labels.cpu(), device)


def modules_of(cell: Cell, settings: Settings) -> tuple[str, str]:
    """The modules that a cell finds by name, which its version must therefore name."""
    return f"medhash.methods.{cell.method}", f"medhash.models.backbones.{settings.network.kind}"


class BestEpoch:
    """The protocol ``best-query-map``: keep the epoch that retrieves best for the query set.

    It looks at the test data and exists only to compare with public codes that do so.
    """

    def __init__(
        self,
        objective: HashingObjective,
        path: Path,
        inputs: CellInputs,
        device: Device,
        score: Score,
    ) -> None:
        self.objective = objective
        self.path = path
        self.inputs = inputs
        self.device = device
        self.score = score

    def look(self, epoch: int) -> None:
        """Evaluate after an epoch, and keep the state if it is the best so far."""
        objective, inputs = self.objective, self.inputs
        codes = encode_split(
            objective.network, objective.method, inputs.data_folder, inputs.split, self.device
        )
        score = self.score(codes)
        # An epoch that is run again after an interruption is compared with what came before it.
        if epoch == 0 or score > self._kept()["map"]:
            save_tensors(self.path, objective.state_dict(), {"map": score, "epoch": epoch + 1})

    def restore(self) -> int:
        """Put the best state back; its epoch, from 1."""
        tensors, facts = load_tensors(self.path)
        self.objective.load_state_dict(tensors)
        best: int = facts["epoch"]
        return best

    def _kept(self) -> dict[str, Any]:
        return load_tensors(self.path)[1]


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


def _best_epoch(
    objective: HashingObjective,
    folder: Path,
    inputs: CellInputs,
    device: Device,
    settings: Settings,
    score: Score | None,
) -> BestEpoch | None:
    if settings.evaluation.selection == "last-epoch":
        return None
    if score is None:
        raise MedhashError("evaluation.selection is best-query-map, but no score was given")
    return BestEpoch(objective, folder / ".best.safetensors", inputs, device, score)


def _look_away(epoch: int) -> None:
    """The honest protocol: nothing is evaluated before training ends."""


def _write(
    cell: Cell,
    folder: Path,
    objective: HashingObjective,
    inputs: CellInputs,
    device: Device,
    losses: str,
) -> None:
    network, method = objective.network, objective.method
    codes = encode_split(network, method, inputs.data_folder, inputs.split, device)
    tensors = {f"{NETWORK_PREFIX}{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"method.{name}": value for name, value in method.state_dict().items()}
    save_tensors(folder / "checkpoint.safetensors", tensors, {"cell": cell.coordinates})
    write_text(folder / "train.csv", losses)
    codes.save(folder / "codes.npz")


def _outputs(folder: Path) -> dict[str, dict[str, str]]:
    names = {"checkpoint": "checkpoint.safetensors", "codes": "codes.npz", "losses": "train.csv"}
    return {
        name: {"path": file, "sha256": sha256_of_file(folder / file)}
        for name, file in names.items()
    }
