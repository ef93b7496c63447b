"""Which epoch is evaluated: the last one, or, by a named protocol, the best on the query set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from medhash.errors import MedhashError
from medhash.training.checkpoints import load_state, save_state
from medhash.training.encoding import Encoder, encode_split
from medhash.training.loop import Objective
from medhash.training.task import CellInputs, Score, Task


class LastEpoch:
    """The honest protocol: nothing is evaluated before training ends.

    Attributes:
        keeps: the files that :meth:`look` writes.
    """

    keeps: tuple[Path, ...] = ()

    def look(self, epoch: int) -> None:
        """Look away."""

    def restore(self, epochs: int) -> int:
        """The last epoch, as it is."""
        return epochs


class BestEpoch(LastEpoch):
    """The protocol ``best-query-map``: keep the epoch that retrieves best for the query set.

    It looks at the test data and exists only to compare with public codes that do so.
    """

    def __init__(
        self, objective: Objective, encoder: Encoder, path: Path, inputs: CellInputs, score: Score
    ) -> None:
        self.path = path
        self.keeps = (path,)
        self.objective = objective
        self.encoder = encoder
        self.inputs = inputs
        self.score = score

    def look(self, epoch: int) -> None:
        """Evaluate after an epoch, and keep the state if it is the best so far."""
        score = self.score(encode_split(self.encoder, self.inputs.data_folder, self.inputs.split))
        # An epoch that is run again after an interruption is compared with what came before it.
        if epoch == 0 or score > self._kept()[1]["map"]:
            save_state(self.path, self.objective.state_dict(), {"map": score, "epoch": epoch + 1})

    def restore(self, epochs: int) -> int:
        """Put the best state back; its epoch, from 1."""
        tensors, facts = self._kept()
        self.objective.load_state_dict(tensors)
        best: int = facts["epoch"]
        return best

    def _kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        kept = load_state(self.path)
        if kept is None:
            raise MedhashError(f"{self.path}: is damaged; start the training again")
        return kept


def best_epoch(task: Task, objective: Objective, encoder: Encoder) -> LastEpoch:
    """What the settings' selection asks for.

    Raises:
        MedhashError: it needs a score, and none was given.
    """
    if task.settings.evaluation.selection == "last-epoch":
        return LastEpoch()
    if task.score is None:
        raise MedhashError("evaluation.selection is best-query-map, but no score was given")
    path = task.folder / ".best.safetensors"
    return BestEpoch(objective, encoder, path, task.inputs, task.score)
