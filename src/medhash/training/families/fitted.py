"""Fitted cells: features in, the parameters of a projection out. Nothing here imports torch."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from medhash.data.gist import gist
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.methods import method_class
from medhash.methods.families.fitted import FittedMethod, Parameters
from medhash.retrieval.codes import Codes
from medhash.training import tensor_files
from medhash.training.encoding import Encoder
from medhash.training.machine import processor_name, seed_for
from medhash.training.task import Task, Trained


class FittedEncoder(Encoder):
    """Features through a projection to packed codes.

    Args:
        method: projects.
        parameters: what its fit gave.
        bits: q.
        threads: of linear algebra; they decide the last bits of sums.
    """

    distance = Codes.distance

    def __init__(
        self, method: FittedMethod[Any], parameters: Parameters, bits: int, threads: int
    ) -> None:
        self.method = method
        self.parameters = parameters
        self.length = bits
        self.threads = threads

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored images, uint8 (n, T, T, 3), to packed codes, uint8 (n, ceil(q / 8))."""
        return self.code(gist(images))

    def encode_rows(self, data_folder: Path, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Packed codes of the images at ``rows``, from the features that are kept of them."""
        return self.code(_features(data_folder, rows))

    def code(self, features: NDArray[Any]) -> NDArray[np.uint8]:
        """Features (n, D) to packed codes, an image by itself: the same in every batch."""
        with threadpool_limits(self.threads):
            rows = [
                self.method.project(self.parameters, row[None])
                for row in features.astype(np.float64)
            ]
        return self.packed(np.concatenate(rows))

    def machine(self) -> dict[str, Any]:
        """The processor."""
        return {"device": _device(self.threads), "threads": self.threads, "precision": "float64"}

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the parameters."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self.parameters.items()}
        tensor_files.save(path, arrays, facts, save_file)


def train(task: Task) -> Trained:
    """Fit the method to the training images' features.

    Raises:
        MedhashError: a protocol that chooses among epochs; what the method refuses.
    """
    if task.settings.evaluation.selection != "last-epoch":
        raise MedhashError(
            f"cell {task.cell}: evaluation.selection chooses an epoch, and a fitted method has none"
        )
    inputs, bits = task.inputs, task.cell.bits
    method = _method(task)
    rows = rows_of(inputs.split, "train")
    features = _features(inputs.data_folder, rows).astype(np.float64)
    labels = PreparedDataset(inputs.data_folder).labels[rows]
    rng = np.random.default_rng(seed_for(task.cell.seed, "method"))
    threads = task.settings.threads
    with threadpool_limits(threads):
        fit = method.fit(features, labels, bits, rng)
    facts = {
        "method_settings": method.settings.model_dump(mode="json"),
        "epochs": 0,
        "states": [],
        "evaluated_epoch": 0,
        "parameters": sum(array.size for array in fit.parameters.values()),
        "device": _device(threads),
    }
    encoder = FittedEncoder(method, fit.parameters, bits, threads)
    return Trained(encoder, _objective_csv(fit.objective), facts)


def load(task: Task) -> FittedEncoder:
    """A fitted cell, ready to encode.

    Raises:
        MedhashError: the checkpoint is of another cell.
    """
    parameters, facts = tensor_files.load(task.checkpoint, "np")
    task.check(facts)
    return FittedEncoder(_method(task), parameters, task.cell.bits, task.settings.threads)


def _method(task: Task) -> FittedMethod[Any]:
    kind = method_class(task.cell.method)
    method: FittedMethod[Any] = kind(kind.Settings(**task.own_settings))
    return method


def _device(threads: int) -> dict[str, Any]:
    return {"type": "cpu", "name": processor_name(), "threads": threads}


def _features(data_folder: Path, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return PreparedDataset(data_folder).gist[rows]


def _objective_csv(objective: tuple[float, ...]) -> str:
    """One row an iteration."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["iteration", "objective"])
    writer.writerows(enumerate(objective, start=1))
    return text.getvalue()
