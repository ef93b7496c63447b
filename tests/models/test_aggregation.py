import math

import numpy as np
import pytest
import torch

from medhash.models.aggregation import (
    bag_of_words,
    cam,
    crow,
    crow_channels,
    crow_places,
    gem,
    unit,
)


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


def length_one(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length if length else 0.0 for x in vector]


def slow_cam(features, class_layer, likely):
    """One image, by loops over classes, places and channels."""
    places, channels = len(features), len(features[0])
    rarity = crow_channels(torch.tensor([features], dtype=torch.float64))[0].tolist()
    total = [0.0] * channels
    for weights, counts in zip(class_layer, likely, strict=True):
        answers = [
            max(0.0, sum(w * x for w, x in zip(weights, place, strict=True))) for place in features
        ]
        share = [a / max(answers) if max(answers) > 0 else 1.0 for a in answers]
        summed = [
            rarity[k] * sum(share[p] * features[p][k] for p in range(places))
            for k in range(channels)
        ]
        if counts:
            total = [t + x for t, x in zip(total, length_one(summed), strict=True)]
    return length_one(total)


@pytest.mark.parametrize("seed", range(3))
def test_cam_is_a_loop_over_classes(seed):
    maps = sparse_maps(seed)
    generator = torch.Generator().manual_seed(seed)
    class_layer = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    class_layer[2] = -class_layer[2].abs()  # a class whose activation map is dead everywhere
    likely = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0]], dtype=torch.bool)
    expected = [
        slow_cam(image, class_layer.tolist(), own)
        for image, own in zip(maps.tolist(), likely.tolist(), strict=True)
    ]
    assert cam(maps, class_layer, likely).numpy() == pytest.approx(np.array(expected))


def test_a_dead_activation_map_weighs_all_places_alike():
    maps = sparse_maps(4)
    dead = cam(maps, -torch.ones(1, 7, dtype=torch.float64), torch.ones(4, 1, dtype=torch.bool))
    assert torch.allclose(dead, unit(maps.sum(dim=1) * crow_channels(maps)))


def test_words_are_counted_by_what_their_places_weigh():
    words = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    features = torch.tensor([[[0.9, 0.1], [0.1, 0.1], [1.2, 0.0]], [[0.0, 2.0]] * 3])
    weights = torch.tensor([[0.5, 1.0, 0.25], [0.0, 0.0, 1.0]])
    found = bag_of_words(features, words, weights)
    assert found.tolist() == [pytest.approx(length_one([1.0, 0.75, 0.0])), [0, 0, 1]]


def test_a_generalised_mean_lies_between_mean_and_greatest():
    maps = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    assert torch.allclose(gem(maps, 1.0), maps.mean(dim=(2, 3)))
    assert torch.allclose(gem(maps, 500.0), maps.amax(dim=(2, 3)), rtol=0.02)
    by_hand = (sum(x**3 for x in maps[1, 2].flatten().tolist()) / 16) ** (1 / 3)
    assert gem(maps, 3.0)[1, 2].item() == pytest.approx(by_hand)
