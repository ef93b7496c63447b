"""Key points that are given: in the lesion, anywhere, or away from it."""

import numpy as np
import pytest
import torch

from medhash.causal.placing import draw_at, lesion_shares

GRID, PATCH = 6, 3
SCALES = ((1, 1), (3, 2))
MANY = 4000


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


@pytest.fixture
def masks():
    """A lesion over a corner of four patches, one of a single pixel, and none."""
    masks = torch.zeros(3, GRID * PATCH, GRID * PATCH, dtype=torch.uint8)
    masks[0, 2:5, 5:9] = 1
    masks[1, 17, 17] = 2
    return masks


def looped_shares(mask):
    patches = mask.numpy().reshape(GRID, PATCH, GRID, PATCH) > 0
    return patches.mean(axis=(1, 3))


def drawn(place, masks, generator):
    """How often each patch is drawn, (B, G, G)."""
    shares = lesion_shares(masks, GRID).repeat(MANY, 1)
    points = draw_at(place, shares, SCALES, GRID, generator).unflatten(0, (MANY, len(masks)))
    counts = np.zeros((len(masks), GRID, GRID))
    for image in range(len(masks)):
        for row, column in points[:, image].tolist():
            counts[image, row, column] += 1
    return counts / MANY


def test_shares_are_means_over_patches(masks):
    found = lesion_shares(masks, GRID).unflatten(1, (GRID, GRID)).numpy()
    np.testing.assert_allclose(found, [looped_shares(mask) for mask in masks], atol=1e-6)


def test_a_point_in_the_lesion_is_a_random_pixel_of_it(masks, generator):
    found = drawn("lesion", masks, generator)
    for image in (0, 1):
        shares = looped_shares(masks[image])
        np.testing.assert_allclose(found[image], shares / shares.sum(), atol=0.03)
    np.testing.assert_allclose(found[2], 1 / GRID**2, atol=0.015)


def test_a_random_point_is_any_patch(masks, generator):
    np.testing.assert_allclose(drawn("random", masks, generator), 1 / GRID**2, atol=0.015)


def test_a_point_outside_masks_no_lesion(masks, generator):
    found = drawn("outside", masks, generator)
    for image, mask in enumerate(masks):
        shares, free = looped_shares(mask), np.zeros((GRID, GRID), bool)
        for row in range(GRID):
            for column in range(GRID):
                covered = 0.0
                for height, width in SCALES:
                    top, left = row - height // 2, column - width // 2
                    box = shares[max(top, 0) : top + height, max(left, 0) : left + width]
                    covered += box.sum()
                free[row, column] = covered == 0
        assert 0 < free.sum() <= GRID**2
        np.testing.assert_allclose(found[image], free / free.sum(), atol=0.015)


def test_where_no_patch_is_free_the_least_is_covered(generator):
    masks = torch.ones(1, GRID * PATCH, GRID * PATCH, dtype=torch.uint8)
    masks[0, :PATCH, :PATCH] = 0
    shares = lesion_shares(masks, GRID)
    points = draw_at("outside", shares.repeat(50, 1), ((1, 1),), GRID, generator)
    assert (points == 0).all()
