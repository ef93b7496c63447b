"""Scoring against what others take for less: every figure a ratio of one run.

    uv run --with faiss-cpu python benchmarks/bench_metrics.py [--repeats 5] [--items 1000000]

All metrics of `medhash evaluate`, ties exact, are timed

- on 1000 queries against a million codes of 64 bits, beside faiss's search for the first 100;
- on 4200 queries against 16,965 codes of 32 bits (ACH's radiographs), beside faiss's ranking of
  the whole database, and beside mAP as public deep hashing codes have it: for each query a
  product of float codes and an argsort;
- on descriptors of 512 numbers, beside a product of matrices in float64 and an argsort of it, by
  which nothing is scored yet, and beside the stable argsort that a protocol with ties needs.

Each is run in turn with its rivals, on as many threads (OMP_NUM_THREADS; all cores if it is not
set); a ratio is the median over the turns. Processor seconds do not depend on what else the
machine does, wall time does. Without faiss its rows are left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import numpy as np
from tabulate import tabulate

from medhash.retrieval.blocks import in_blocks, threads
from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.hamming import pack
from medhash.retrieval.representation import Representation

CLASS_SIZES = np.array([3616, 6012, 10192, 1345])
OURS = "medhash, all metrics"

Rivals = dict[str, Callable[[], object]]


def random_classes(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(4, count, p=CLASS_SIZES / CLASS_SIZES.sum())


def sides(classes: np.ndarray, queries: int) -> tuple[np.ndarray, ...]:
    """Labels and rows of both sides, in the order of the representations' fields."""
    labels, rows = np.eye(4, dtype=np.uint8)[classes], np.arange(classes.size)
    return labels[:queries], labels[queries:], rows[:queries], rows[queries:]


def random_codes(queries: int, items: int, bits: int) -> Codes:
    """Codes that lean towards their class: each bit agrees with the class's code in 7 of 10."""
    rng = np.random.default_rng(0)
    classes = random_classes(queries + items, rng)
    centres = rng.choice(np.array([-1, 1], np.int8), (4, bits))
    parts = np.array_split(classes, max(1, classes.size // 100_000))
    packed = [
        pack(np.where(rng.random((part.size, bits)) < 0.7, centres[part], -centres[part]))
        for part in parts
    ]
    codes = np.concatenate(packed)
    return Codes(codes[:queries], codes[queries:], bits, *sides(classes, queries))


def random_descriptors(queries: int, items: int, length: int) -> Descriptors:
    rng = np.random.default_rng(0)
    classes = random_classes(queries + items, rng)
    vectors = rng.normal(size=(classes.size, length)) + 0.3 * rng.normal(size=(4, length))[classes]
    vectors = vectors.astype(np.float32)
    labels = sides(classes, queries)
    return Descriptors(vectors[:queries], vectors[queries:], "euclidean", *labels)


def faiss_search(codes: Codes, first: int) -> Callable[[], object]:
    import faiss

    faiss.omp_set_num_threads(threads())
    index = faiss.IndexBinaryFlat(codes.database_codes.shape[1] * 8)
    index.add(codes.database_codes)
    return lambda: index.search(codes.query_codes, first)


def product_and_argsort_of_each(codes: Codes) -> float:
    """Mean average precision, one query after the other; ties as the sort happens to leave them."""
    query, database = (
        np.unpackbits(packed, axis=1, count=codes.bits) * np.float32(2) - 1
        for packed in (codes.query_codes, codes.database_codes)
    )
    total = 0.0
    for code, labels in zip(query, codes.query_labels, strict=True):
        relevant = (labels @ codes.database_labels.T > 0).astype(np.float32)
        order = np.argsort((codes.bits - code @ database.T) / 2)
        ranks = np.flatnonzero(relevant[order]) + 1.0
        total += float(np.mean(np.arange(1, ranks.size + 1) / ranks)) if ranks.size else 0.0
    return total / len(query)


def product_and_sort(
    descriptors: Descriptors, kind: Literal["quicksort", "stable"]
) -> Callable[[], object]:
    queries = descriptors.query_descriptors.astype(np.float64)
    items = descriptors.database_descriptors.astype(np.float64).T

    def rank(block: slice) -> None:
        np.argsort(-(queries[block] @ items), axis=1, kind=kind)

    return lambda: in_blocks(rank, len(queries), items.shape[1])


def measure(title: str, vectors: Representation, rivals: Rivals, repeats: int) -> None:
    """Print wall and processor seconds of all, and how often the rivals' time ours fits into."""
    runs = {OURS: lambda: evaluate(vectors)} | rivals
    wall: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter(), time.process_time()
            run()
            if repeat:  # the first turn loads, and compiles what is not compiled yet
                wall[name].append(time.perf_counter() - start[0])
                processor[name].append(time.process_time() - start[1])
    rows = [
        [
            name,
            statistics.median(wall[name]),
            statistics.median(processor[name]),
            *(
                statistics.median(map(float.__truediv__, times[name], times[OURS]))
                for times in (wall, processor)
            ),
        ]
        for name in runs
    ]
    tracemalloc.start()
    evaluate(vectors)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"{title}; {threads()} threads, median of {repeats}, {peak:.0f} MB of memory beside data")
    headers = ["", "wall s", "processor s", "of ours (wall)", "of ours (processor)"]
    print(tabulate(rows, headers, floatfmt=("", ".3f", ".3f", ".2f", ".2f")), "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--items", type=int, default=1_000_000, help="of the large database")
    arguments = parser.parse_args()
    has_faiss = find_spec("faiss") is not None
    large = random_codes(1000, arguments.items, 64)
    rivals: Rivals = {"faiss, first 100": faiss_search(large, 100)} if has_faiss else {}
    measure(f"1000 x {arguments.items} x 64 bits", large, rivals, arguments.repeats)
    codes = random_codes(4200, 16_965, 32)
    rivals = {"faiss, whole ranking": faiss_search(codes, 16_965)} if has_faiss else {}
    rivals["product and argsort a query, mAP"] = lambda: product_and_argsort_of_each(codes)
    measure("4200 x 16965 x 32 bits", codes, rivals, arguments.repeats)
    descriptors = random_descriptors(840, 16_965, 512)
    rivals = {
        "product and argsort": product_and_sort(descriptors, "quicksort"),
        "product and stable argsort": product_and_sort(descriptors, "stable"),
    }
    measure("840 x 16965 x 512 numbers", descriptors, rivals, arguments.repeats)


if __name__ == "__main__":
    main()
