"""What is asked of a family, and what it gives back. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.training.encoding import Encoder
from medhash.training.pausing import Pause, never

CHECKPOINT = "checkpoint.safetensors"

Score = Callable[[Representation], float]


@dataclass(frozen=True)
class CellInputs:
    """The files that a cell is trained from.

    Attributes:
        data_folder: a prepared dataset.
        split: its manifest.
        pretrained: weights of the network; for a cell with an origin the checkpoint of its
            source, or None for random weights.
        needs: what of the dataset is read beside the labels: ``images`` or ``gist``, ``masks``.
    """

    data_folder: Path
    split: Path
    pretrained: Path | None = None
    needs: tuple[str, ...] = ("images",)

    @classmethod
    def of(cls, files: Mapping[str, Path]) -> CellInputs:
        """From the inputs of a step: ``labels``, ``split``, what is needed, ``pretrained``."""
        needs = tuple(name for name in ("images", "gist", "masks") if name in files)
        return cls(files["labels"].parent, files["split"], files.get("pretrained"), needs)

    def files(self) -> dict[str, Path]:
        """Every file that decides the result, by name."""
        files = {name: self.data_folder / f"{name}.npy" for name in ("labels", *self.needs)}
        files |= {"split": self.split}
        return files | ({"pretrained": self.pretrained} if self.pretrained else {})


@dataclass(frozen=True)
class Task:
    """A cell to train, or one that is trained.

    Attributes:
        cell: which.
        settings: with what.
        inputs: from what.
        folder: the cell's folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        identity: hash of all that the training depends on; its state is kept under it.
        score: how good codes are, for the selection ``best-query-map``.
        pause: asked after each epoch whether to stop there.
    """

    cell: Cell
    settings: Settings
    inputs: CellInputs
    folder: Path
    device: str = "auto"
    identity: str = ""
    score: Score | None = None
    pause: Pause = never

    @property
    def checkpoint(self) -> Path:
        """The file of the trained cell."""
        return self.folder / CHECKPOINT

    def check(self, facts: dict[str, Any]) -> None:
        """Refuse the facts of another cell's checkpoint.

        Raises:
            MedhashError: names both cells.
        """
        if facts.get("cell") != self.cell.coordinates:
            found, asked = facts.get("cell"), self.cell.coordinates
            raise MedhashError(f"{self.checkpoint}: is of the cell {found}, not {asked}")

    def misfit(self) -> MedhashError:
        """What is said of a checkpoint whose tensors have other names or shapes."""
        return MedhashError(
            f"{self.checkpoint}: does not fit the settings; train {self.cell} again"
        )

    @property
    def own_settings(self) -> dict[str, object]:
        """The method's own hyperparameters, as given."""
        return self.settings.methods.get(self.cell.method, {})


@dataclass(frozen=True)
class Trained:
    """What a family gives back.

    Attributes:
        encoder: the trained method.
        losses: the text of ``train.csv``.
        facts: JSON-able: ``method_settings``, ``epochs``, ``states``, ``evaluated_epoch``,
            ``parameters`` and ``device``.
        temporary: files that are not needed once the cell is written.
    """

    encoder: Encoder
    losses: str
    facts: dict[str, Any]
    temporary: tuple[Path, ...] = field(default=())
