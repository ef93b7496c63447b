import os

import numpy as np
import pytest
from retrieval_reference import flattened, make_descriptors, random_codes, random_vectors

from medhash.retrieval import blocks
from medhash.retrieval.evaluation import evaluate


@pytest.mark.parametrize(("queries", "items"), [(0, 5), (1, 1), (7, 3), (10, 10**9)])
def test_blocks_cover_each_query_once(queries, items):
    covered = [i for block in blocks.query_blocks(queries, items) for i in range(queries)[block]]
    assert covered == list(range(queries))


def test_blocks_are_bounded():
    sizes = [b.stop - b.start for b in blocks.query_blocks(10_000, 1000)]
    assert max(sizes) * 1000 <= blocks.PAIRS_PER_BLOCK


def test_results_come_in_the_order_of_the_queries(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    slices = blocks.in_blocks(lambda block: block, 100, blocks.PAIRS_PER_BLOCK // 7)
    assert slices == list(blocks.query_blocks(100, blocks.PAIRS_PER_BLOCK // 7))
    assert len(slices) == 15


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
@pytest.mark.parametrize("kind", ["codes", "descriptors"])
def test_number_of_threads_does_not_matter(protocol, kind, monkeypatch):
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 200)
    codes = random_codes(0, 10, 31, 50, 4, True)
    vectors = make_descriptors(*random_vectors(0, 3, 31, 50, 4, True, True))
    found = []
    for threads in ("1", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(evaluate(codes if kind == "codes" else vectors, protocol, (1, 7, 50)))
    assert flattened(found[0].metrics) == flattened(found[1].metrics)
    assert np.array_equal(found[0].per_query_ap, found[1].per_query_ap)


@pytest.mark.parametrize("text", ["", "0", "many", "2,1"])
def test_without_a_number_all_cores_are_used(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert 1 <= blocks.threads() <= os.cpu_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert blocks.threads() == 7
