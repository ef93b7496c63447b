"""Queries in blocks that fit in little memory, one block a thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

# Query-database pairs that are looked at together. A handful of arrays of this many elements
# stay in the processor's cache; the memory that distances take does not grow with the data.
PAIRS_PER_BLOCK = 1 << 18


def query_blocks(queries: int, items: int) -> Iterator[slice]:
    """Cut the queries into blocks of about :data:`PAIRS_PER_BLOCK` pairs, at least one query."""
    step = max(1, PAIRS_PER_BLOCK // max(1, items))
    for start in range(0, queries, step):
        yield slice(start, min(start + step, queries))


def in_blocks(function: Callable[[slice], Result], queries: int, items: int) -> list[Result]:
    """What a function returns for each block of queries, in their order.

    The blocks run side by side in :func:`threads`; their results do not depend on how many those
    are. Memory grows with their number. NumPy and :mod:`medhash.retrieval.kernels` release
    Python's lock.
    """
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(function, query_blocks(queries, items)))


def threads() -> int:
    """How many threads this process may use.

    That is ``OMP_NUM_THREADS``, which Snakemake sets to a job's threads, or else the cores that
    the process may run on.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
