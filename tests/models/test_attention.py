import math

import pytest
import torch

from medhash.models.attention import SecondOrderAttention


def attention():
    torch.manual_seed(0)
    return SecondOrderAttention(6, 2).double().eval()


def test_a_new_one_leaves_maps_as_they_are():
    maps = torch.randn(2, 6, 3, 3, dtype=torch.float64)
    assert torch.equal(attention()(maps), maps)


@torch.no_grad()
def test_each_place_takes_from_those_that_are_like_it():
    layer, maps = attention(), torch.randn(2, 6, 3, 3, dtype=torch.float64)
    torch.nn.init.normal_(layer.out.weight)
    query, key, value = (
        part(maps)[1].flatten(1).T.tolist() for part in (layer.query, layer.key, layer.value)
    )
    for place in range(9):
        scores = [
            math.exp(sum(a * b for a, b in zip(query[place], other, strict=True)) / math.sqrt(3))
            for other in key
        ]
        taken = [sum(s * v[i] for s, v in zip(scores, value, strict=True)) for i in range(3)]
        mixed = torch.tensor([[t / sum(scores) for t in taken]], dtype=torch.float64)[..., None]
        added = layer.out(mixed[..., None])[0, :, 0, 0]
        expected = maps[1].flatten(1)[:, place] + added
        assert layer(maps)[1].flatten(1)[:, place].tolist() == pytest.approx(expected.tolist())
