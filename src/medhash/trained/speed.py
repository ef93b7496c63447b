"""How fast a trained cell answers a query (ACH Section V-D-5, Table VIII; Y-Net Section IV-C-4).

Measured the way a clinic would feel it: one image at a time, from decoded pixels at the image's
original size to the list of the whole database, nearest first. Reading and decoding a file and
showing the results are not part of it. Beside it the steps that Y-Net times: encoding the database,
making an index of it, and answering all queries whose vectors are there. A measurement differs from
run to run and is no result that has to be the same bytes again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medhash.data.prepared import PreparedDataset
from medhash.files import write_json
from medhash.flow import environment
from medhash.flow.account import require_trained_together
from medhash.retrieval.reading import load
from medhash.retrieval.representation import Representation
from medhash.retrieval.search import nearest
from medhash.schema.cell import Cell
from medhash.trained.cell import load_encoder
from medhash.training.encoding import Encoder
from medhash.training.task import CellInputs, Task

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

SCHEMA = 1
WARM_UP = 30
"""Queries that are answered before the first one is timed."""
TIMED = 200
"""Queries that are timed one by one; a small query set is gone through several times."""
BATCH_SIZE = 64
BATCHES = 5
"""Batches that are timed, after one that is not."""
RETURNED = 10
"""Images that all queries together ask for."""
REPEATS = 5
"""How often an index is made and asked, the first time untimed."""


class Search:
    """A cell ready to answer queries.

    Args:
        encoder: the trained cell.
        vectors: its codes or descriptors, whose database is searched.
        image_size: T, of the stored images.
    """

    def __init__(self, encoder: Encoder, vectors: Representation, image_size: int) -> None:
        self.encoder = encoder
        self.image_size = image_size
        self._vectors = vectors

    def rank(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
        """The whole database for each query image, nearest first, ties in database order.

        Args:
            images: RGB pixels, each uint8 (height, width, 3) of any size.

        Returns:
            int64 (images, items), places in the database.
        """
        return self.nearest(self.encode(images))

    def nearest(self, vectors: NDArray[Any]) -> NDArray[np.int64]:
        """The same for codes or descriptors, as the encoder gives them."""
        return np.argsort(self._vectors.distances(vectors), axis=1, kind="stable")

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        """Codes or descriptors of query images, (images, width)."""
        return self.encoder.encode(self.prepare(images))

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Images of any size as they are stored, uint8 (images, T, T, 3)."""
        return np.stack([self._shrink(image) for image in images])

    def _shrink(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resized as :func:`medhash.data.preparation.prepare_image` does."""
        size = (self.image_size, self.image_size)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Time the queries of a step's cell."""
    cell, folder = Cell.parse(step.key), step.inputs["checkpoint"].parent
    inputs = CellInputs(step.inputs["images"].parent, step.inputs["split"])
    task = Task(cell, configuration.settings_of(cell), inputs, folder, job.device)
    receipt = configuration.layout.receipt("train", step.key)
    measure_speed(task, receipt, step.outputs["speed"], configuration.scale)


def measure_speed(task: Task, receipt: Path, path: Path, scale: str) -> None:
    """Time a cell's queries and write them (``speed.json``).

    Args:
        task: the trained cell; network, precision and threads of its settings matter.
        receipt: of its training.
        path: the file that is written.
        scale: name of the scale.

    Raises:
        MedhashError: the cell is not trained, or its files are not those of the receipt.
    """
    vectors = load(require_trained_together(receipt, task.folder))
    encoder, data_folder = load_encoder(task), task.inputs.data_folder
    images = query_images(data_folder, vectors.query_rows[:TIMED])
    search = Search(encoder, vectors, task.settings.stored)
    facts = {
        "schema": SCHEMA,
        "scale": scale,
        "cell": asdict(task.cell),
        "synthetic": PreparedDataset(data_folder).synthetic,
        "database": len(vectors.database_rows),
        "query_pixels": _sizes(images),
        "network_pixels": task.settings.network.image_size,
        "single": time_singles(search.rank, images, WARM_UP, TIMED),
        "batched": time_batches(search.rank, images, BATCH_SIZE, BATCHES),
        "steps": time_steps(encoder, vectors, data_folder),
    }
    write_json(path, facts | machine_facts(encoder))


def machine_facts(encoder: Encoder) -> dict[str, Any]:
    """On what, in what and when something is measured, for its file."""
    return encoder.machine() | {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "environment": environment.describe(),
        "git": environment.git_state(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def time_singles(
    answer: Callable[[list[NDArray[np.uint8]]], object],
    images: Sequence[NDArray[np.uint8]],
    warm_up: int,
    timed: int,
) -> dict[str, float | int]:
    """Latency of one query at a time.

    Args:
        answer: takes a list of images; has ended when it returns.
        images: taken in turn.
        warm_up: queries before the first that is timed.
        timed: queries that are timed.

    Returns:
        ``queries``, ``warm_up``, ``median_seconds``, ``p95_seconds`` (95th percentile, linear
        interpolation) and ``fps``, one over the median.
    """
    queries = [[image] for image in images]
    return time_in_turn({"single": answer}, queries, warm_up, timed)["single"]


def time_in_turn(
    answers: Mapping[str, Callable[[Any], object]],
    queries: Sequence[Any],
    warm_up: int,
    timed: int,
) -> dict[str, dict[str, float | int]]:
    """Latencies of several ways to answer, each query by all of them, one after the other.

    What disturbs the machine for a while so disturbs all of them. Who comes first is drawn by lot
    for each query (seeded): work beside this takes the processor in a rhythm of its own, which a
    regular order could fall in step with.

    Args:
        answers: name -> takes a query; has ended when it returns.
        queries: taken in turn.
        warm_up: queries before the first that is timed.
        timed: queries that are timed.

    Returns:
        Name -> what :func:`time_singles` returns.
    """
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    names, random = list(answers), np.random.default_rng(0)
    for number in range(warm_up + timed):
        query = queries[number % len(queries)]
        for name in map(names.__getitem__, random.permutation(len(names))):
            start = time.perf_counter()
            answers[name](query)
            seconds[name].append(time.perf_counter() - start)
    return {name: _latency(each[warm_up:], warm_up) for name, each in seconds.items()}


def time_batches(
    answer: Callable[[list[NDArray[np.uint8]]], object],
    images: Sequence[NDArray[np.uint8]],
    size: int,
    batches: int,
) -> dict[str, float | int]:
    """Throughput of whole batches, the first of which is not timed.

    Returns:
        ``batch_size``, ``batches`` and ``images_per_second`` (of the median batch).
    """
    batch = [images[number % len(images)] for number in range(size)]
    seconds = []
    for _ in range(1 + batches):
        start = time.perf_counter()
        answer(batch)
        seconds.append(time.perf_counter() - start)
    rate = size / float(np.median(seconds[1:]))
    return {"batch_size": size, "batches": batches, "images_per_second": rate}


def time_steps(
    encoder: Encoder, vectors: Representation, data_folder: Path
) -> dict[str, float | int]:
    """Seconds of encoding the database, of its index, and of all queries at once.

    Encoding starts from stored images, network and device warm, and is timed once. An index is
    the vectors, checked and in the form in which they are compared. Queries have their vectors.

    Returns:
        ``encode_seconds``, ``index_seconds`` and ``query_seconds`` (medians), ``encoded``,
        ``queries`` and ``returned``, how many images a query gets.
    """
    start = time.perf_counter()
    encoder.encode_rows(data_folder, vectors.database_rows)
    encode_seconds = time.perf_counter() - start
    returned = min(RETURNED, len(vectors.database_rows))
    seconds = np.array([_indexed_and_asked(vectors, returned) for _ in range(REPEATS)])
    index_seconds, query_seconds = np.median(seconds[1:], axis=0).tolist()
    return {
        "encode_seconds": encode_seconds,
        "index_seconds": index_seconds,
        "query_seconds": query_seconds,
        "encoded": len(vectors.database_rows),
        "queries": len(vectors.query_rows),
        "returned": returned,
    }


def _indexed_and_asked(vectors: Representation, returned: int) -> tuple[float, float]:
    """Seconds of making an index, and of asking it all queries."""
    start = time.perf_counter()
    index: Representation = replace(cast(Any, vectors))
    index.distances(index.query_vectors[:1])  # what it prepares and keeps
    made = time.perf_counter()
    for query in index.query_vectors:
        nearest(query, index, returned)
    return made - start, time.perf_counter() - made


def query_images(data_folder: Path, rows: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """Query images at their original size.

    Archives need not be there: prepared images are enlarged to the size that ``index.csv`` tells.
    How long an answer takes depends on the size, not on what the pixels show.
    """
    dataset = PreparedDataset(data_folder)
    prepared, sizes = dataset.images, dataset.original_sizes
    return [
        np.asarray(Image.fromarray(prepared[row]).resize((int(sizes[row, 0]), int(sizes[row, 1]))))
        for row in rows
    ]


def _latency(seconds: Sequence[float], warm_up: int) -> dict[str, float | int]:
    median, p95 = np.percentile(seconds, [50, 95]).tolist()
    return {
        "queries": len(seconds),
        "warm_up": warm_up,
        "median_seconds": median,
        "p95_seconds": p95,
        "fps": 1 / median,
    }


def _sizes(images: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    heights, widths = zip(*(image.shape[:2] for image in images), strict=True)
    return {"median_width": float(np.median(widths)), "median_height": float(np.median(heights))}
