import numpy as np
import pytest
from retrieval_reference import distance

from medhash.retrieval import hamming
from medhash.retrieval.hamming import pack


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 32, 63, 64, 65, 130, 520])
def test_distances_are_the_differing_bits(bits):
    rng = np.random.default_rng(bits)
    query, database = rng.integers(0, 2, (5, bits)), rng.integers(0, 2, (9, bits))
    expected = [[distance(q, d) for d in database] for q in query]
    assert hamming.distances(pack(query), pack(database)).tolist() == expected


def test_longest_code_does_not_overflow():
    bits = hamming.MAX_BITS
    query, database = np.ones((1, bits)), np.zeros((1, bits))
    assert hamming.distances(pack(query), pack(database)).tolist() == [[bits]]


def test_padding_is_seen():
    assert hamming.padding_is_clear(np.array([[0b10100000]], dtype=np.uint8), 3)
    assert not hamming.padding_is_clear(np.array([[0b10110000]], dtype=np.uint8), 3)
    assert hamming.padding_is_clear(np.array([[255, 255]], dtype=np.uint8), 16)
