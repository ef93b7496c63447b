import math

import numpy as np
import pytest
import torch

from medhash.models.aggregation import crow, crow_channels, crow_places, unit


def slow_crow(features):
    """The original formula on one map, by loops over places and channels."""
    places, channels = len(features), len(features[0])
    sums = [sum(features[p][k] for k in range(channels)) for p in range(places)]
    length = math.sqrt(sum(s * s for s in sums))
    weights = [math.sqrt(s / length) if length else 0.0 for s in sums]
    shares = [sum(features[p][k] != 0 for p in range(places)) / places for k in range(channels)]
    rarity = [math.log(sum(shares) / share) if share else 0.0 for share in shares]
    return [
        rarity[k] * sum(weights[p] * features[p][k] for p in range(places)) for k in range(channels)
    ]


def sparse_maps(seed, images=4, places=9, channels=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, places, channels, generator=generator, dtype=dtype).relu()


@pytest.mark.parametrize("seed", range(5))
def test_crow_is_a_loop_over_the_papers_formula(seed):
    maps = sparse_maps(seed)
    maps[0, :, 2] = 0  # a channel that never answers
    maps[1, 3] = 0  # a place where nothing is
    maps[2] = 0  # a dead network
    expected = np.array([slow_crow(each) for each in maps.tolist()])
    assert crow(maps).numpy() == pytest.approx(expected, abs=1e-12)


def test_the_order_of_places_does_not_matter():
    maps = sparse_maps(0)
    assert torch.allclose(crow(maps), crow(maps[:, torch.randperm(9)]))


def test_a_channel_that_always_answers_weighs_least():
    maps = torch.ones(1, 4, 2)
    maps[0, 1:, 1] = 0
    always, rare = crow_channels(maps)[0].tolist()
    assert always == pytest.approx(math.log(1.25))
    assert rare == pytest.approx(math.log(5))


def test_a_place_with_more_weighs_more():
    maps = torch.tensor([[[1.0, 2.0], [4.0, 0.0], [0.0, 0.0]]])
    assert crow_places(maps)[0].tolist() == pytest.approx([math.sqrt(0.6), math.sqrt(0.8), 0])


def test_images_do_not_know_each_other():
    maps = sparse_maps(1)
    assert torch.equal(crow(maps)[2:3], crow(maps[2:3]))


def test_unit_vectors():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert unit(vectors).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
