"""Counting against sorting at the size of ACH's radiograph experiment: time and memory.

Run: python benchmarks/bench_metrics.py [--repeats 3]

4200 queries against 16965 database items of four classes with the sizes of the dataset, random
codes of 8 and of 32 bits. Both protocols compute every metric of `medhash evaluate`; the tie range
and the curve within a radius come from the counts in either case, so sorting pays for them as well.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from tabulate import tabulate

from medhash.retrieval.codes import Codes
from medhash.retrieval.counting import count
from medhash.retrieval.evaluation import DEFAULT_CUTOFFS
from medhash.retrieval.hamming import pack
from medhash.retrieval.metrics import tie_aware_scores
from medhash.retrieval.ranking import stable_scores

QUERIES, ITEMS = 4200, 16965
CLASS_SIZES = np.array([3616, 6012, 10192, 1345])


def random_codes(bits: int, seed: int = 0) -> Codes:
    """Codes that lean towards their class: each bit agrees with the class's code in 7 of 10."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(4, QUERIES + ITEMS, p=CLASS_SIZES / CLASS_SIZES.sum())
    centres = rng.choice([-1, 1], (4, bits))
    flips = np.where(rng.random((classes.size, bits)) < 0.7, 1, -1)
    packed, labels = pack(centres[classes] * flips), np.eye(4, dtype=np.uint8)[classes]
    rows = np.arange(classes.size)
    query, database = slice(QUERIES), slice(QUERIES, None)
    return Codes(
        packed[query],
        packed[database],
        bits,
        labels[query],
        labels[database],
        rows[query],
        rows[database],
    )


def by_counting(codes: Codes) -> float:
    """mAP of the tie-aware protocol, with all metrics at cutoffs."""
    return float(tie_aware_scores(count(codes), DEFAULT_CUTOFFS).average_precision.mean())


def by_sorting(codes: Codes) -> float:
    """mAP of the stable protocol, with all metrics at cutoffs."""
    return float(stable_scores(codes, DEFAULT_CUTOFFS).average_precision.mean())


def measure(function: Callable[[Codes], float], codes: Codes, repeats: int) -> tuple[float, ...]:
    """The mAP, the least of the repeated wall times in seconds, and peak new memory in MB."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = function(codes)
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    function(codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return value, min(seconds), peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    rows = []
    for bits in (8, 32):
        codes = random_codes(bits)
        counting, sorting = (measure(f, codes, repeats) for f in (by_counting, by_sorting))
        rows.append([bits, "counting (tie-aware)", *counting, sorting[1] / counting[1]])
        rows.append([bits, "sorting (stable)", *sorting, 1.0])
    print(f"{QUERIES} queries, {ITEMS} database items, least of {repeats} runs\n")
    headers = ["bits", "protocol", "mAP", "seconds", "peak MB", "times faster"]
    print(tabulate(rows, headers, floatfmt=("", "", ".4f", ".2f", ".1f", ".1f")))


if __name__ == "__main__":
    main()
