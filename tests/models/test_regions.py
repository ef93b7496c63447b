import math

import pytest
import torch

from medhash.models.regions import pool_regions, region_grid, rmac


def corners(side, levels=3, grid="tolias"):
    """Size -> the rows at which regions of that size begin."""
    starts = {}
    for row, column, size in region_grid(side, levels, grid):
        starts.setdefault(size, set()).update({row, column})
    return starts


@pytest.mark.parametrize(
    ("side", "expected"),
    [(8, {8: {0}, 5: {0, 3}, 4: {0, 2, 4}}), (16, {16: {0}, 10: {0, 6}, 8: {0, 4, 8}})],
)
def test_fourteen_regions(side, expected):
    assert corners(side) == expected
    assert len(region_grid(side, 3)) == len(set(region_grid(side, 3))) == 14


def test_fourteen_regions_of_a_small_map():
    regions = region_grid(4, 3)
    assert len(regions) == 14
    assert [region.size for region in regions] == [4] + [2] * 13
    assert corners(4) == {4: {0}, 2: {0, 1, 2}}
    assert [r[:2] for r in regions[1:5]] == [(0, 0), (0, 2), (2, 0), (2, 2)]


def test_regions_cover_the_map_but_for_the_grid_of_public_code():
    for grid, last in (("tolias", 7), ("pyretri", 6)):
        seen = {
            (row, column)
            for top, left, size in region_grid(8, 3, grid)
            for row in range(top, top + size)
            for column in range(left, left + size)
        }
        assert seen == {(row, column) for row in range(last + 1) for column in range(last + 1)}
    assert corners(8, grid="pyretri") == {7: {0}, 4: {0, 1}, 3: {0, 1, 2}}


def test_the_sheets_numbers_of_levels():
    assert [len(region_grid(8, levels)) for levels in (1, 2, 3, 4, 5)] == [1, 5, 14, 30, 55]


def test_too_many_levels_are_refused():
    with pytest.raises(ValueError, match="2x2 places has no 4 levels"):
        region_grid(2, 4)


def test_rmac_is_a_loop_over_regions():
    maps = torch.randn(3, 6, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    regions = region_grid(8, 3)
    found = rmac(maps, regions).tolist()
    for image, own in zip(maps.tolist(), found, strict=True):
        total = [0.0] * 6
        for row, column, size in regions:
            greatest = [
                max(x for line in channel[row : row + size] for x in line[column : column + size])
                for channel in image
            ]
            length = math.sqrt(sum(x * x for x in greatest))
            total = [t + x / length for t, x in zip(total, greatest, strict=True)]
        length = math.sqrt(sum(x * x for x in total))
        assert own == pytest.approx([x / length for x in total])


def test_a_dead_map_has_a_vector_of_zeros():
    vectors = rmac(torch.zeros(2, 5, 8, 8), region_grid(8, 3))
    assert vectors.abs().max() == 0


def test_the_first_region_of_a_map_is_all_of_it():
    maps = torch.randn(2, 3, 8, 8)
    assert torch.equal(pool_regions(maps, region_grid(8, 3))[:, 0], maps.amax(dim=(2, 3)))
